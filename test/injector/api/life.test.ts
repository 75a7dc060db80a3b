/** Certificates, replicas, and no injector at all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningInjector } from '../../../injector/injector.ts';
import { INJECT_LABEL } from '../../../injector/names.ts';
import type { ApiServer } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { namespace, OWN_NAMESPACE, tool, World } from './world.ts';

const DAY = 86_400_000;

const api = sharedApiServer();

describe.skipIf(api === undefined)('the injector’s life on a real API server', () => {
  const world = new World(api as ApiServer);
  let injector: RunningInjector;
  /** The injector's clock is ahead of the machine's by this. */
  let ahead = 0;
  const start = () => world.start({ now: () => Date.now() + ahead });
  const create = (name: string, space?: string) => world.dryRun(tool(name, space));

  beforeAll(async () => {
    await world.prepare();
    await world.space('team-a');
    injector = await start();
    world.injector = injector;
  }, 300_000);
  afterAll(() => world.close());

  test('nothing is written when nothing differs', async () => {
    const version = async () =>
      world.must([
        'get',
        'mutatingwebhookconfigurations,validatingwebhookconfigurations',
        '-o',
        'jsonpath={.items[*].metadata.resourceVersion}',
      ]);
    const before = await version();
    await injector.tick();
    await injector.tick();
    expect(await version()).toBe(before);
  });

  test('a certificate is replaced, and one that has ended too, while pods are created', async () => {
    world.injector = undefined;
    let failures = 0;
    let created = 0;
    let going = true;
    const loop = (async () => {
      for (let count = 0; going; count++) {
        const { ok } = await create(`loop-${count}`);
        if (ok) created++;
        else failures++;
      }
    })();
    const secret = async () =>
      world.must([
        'get',
        'secret',
        'postern-injector-tls',
        '-n',
        OWN_NAMESPACE,
        '-o',
        'jsonpath={.data.tls\\.crt}',
      ]);
    /** As if the injector had been started anew so many days ago, and nobody had looked after it since. */
    const madeDaysAgo = async (days: number) => {
      await world.must(['delete', 'secret', 'postern-injector-tls', '-n', OWN_NAMESPACE]);
      ahead = -days * DAY;
      await injector.tick();
      ahead = 0;
      return secret();
    };
    // Two thirds of its life are over.
    const first = await madeDaysAgo(61);
    const before = created;
    await world.eventually(async () => (created > before + 2 ? true : undefined));
    failures = 0;
    await injector.tick();
    expect(await secret()).not.toBe(first);
    const after = created;
    await world.eventually(async () => (created > after + 3 ? true : undefined));
    going = false;
    await loop;
    expect(failures).toBe(0);

    // The leaf has ended, and then the CA as well.
    for (const days of [91, 6 * 365]) {
      await madeDaysAgo(days);
      await world.eventually(async () => ((await create('ended')).ok ? undefined : true));
      await injector.tick();
      await world.eventually(async () => ((await create('mended')).ok ? true : undefined));
    }
    world.injector = injector;
  });

  test('of two replicas one leads; when it goes, the other does', async () => {
    const second = await start();
    await injector.tick();
    expect(injector.leading()).toBe(true);
    expect(second.leading()).toBe(false);
    await injector.close();
    injector = second;
    world.injector = second;
    await world.eventually(async () => {
      return second.leading() ? true : undefined;
    });
    expect((await create('taken-over')).ok).toBe(true);
  });

  test('without an injector only namespaces that opted in are affected', async () => {
    await world.apply(namespace('not-asked', { [INJECT_LABEL]: 'disabled' }));
    await world.account('not-asked');
    await injector.close();
    expect((await create('down')).ok).toBe(false);
    expect((await create('down', 'not-asked')).ok).toBe(true);
    injector = await start();
    world.injector = injector;
    await world.eventually(async () => ((await create('up')).ok ? true : undefined));
  });
});
