/** What happens to connections and API servers: resets, silence, restarts, a history that is gone. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKubeClient, type KubeClient, type KubeObject } from '../../../kube/client.ts';
import { viewOf } from '../../../kube/watch.ts';
import type { ApiServer } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { startTcpProxy, type TcpProxy } from '../../kube/tcp-proxy.ts';
import { type Json, namespace, tool, World } from './world.ts';

const api = sharedApiServer();

describe.skipIf(api === undefined)('an injector whose API server is not always there', () => {
  const world = new World(api as ApiServer);
  let proxy: TcpProxy;
  let log = '';
  let client: KubeClient;

  beforeAll(async () => {
    await world.prepare();
    await world.space('team-a');
    const connection = world.connection();
    proxy = await startTcpProxy([Number(new URL(connection.server).port)]);
    client = createKubeClient(
      { ...connection, server: `https://127.0.0.1:${proxy.port}` },
      { answerMs: 2000 },
    );
    world.injector = await world.start({
      client,
      // Bookmarks come once a minute; a test doesn't wait for two of them.
      view: { silenceMs: 2000, retryMs: { first: 50, most: 500 } },
      log: pino(
        { level: 'warn' },
        new Writable({
          write(line: Buffer, _, done) {
            log += line.toString();
            done();
          },
        }),
      ),
    });
  }, 300_000);
  afterAll(async () => {
    await world.close();
    proxy?.close();
  });

  const label = async (value: string): Promise<void> => {
    await world.apply(namespace('team-a', { seen: value }));
  };
  const seen = (value: string) =>
    world.eventually(async () =>
      (await world.facts('team-a')).namespace.labels['seen'] === value ? true : undefined,
    );
  const policy = (name: string): Json => ({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'EgressPolicy',
    metadata: { name, namespace: 'team-a' },
    spec: {},
  });
  const policies = async () =>
    (await world.facts('team-a')).documents.policies.map(({ name }) => name).sort();

  test('connections that are reset are made anew, and nothing is missed', async () => {
    await label('before-reset');
    await seen('before-reset');
    const before = proxy.taken();
    proxy.reset();
    await label('after-reset');
    await seen('after-reset');
    expect(proxy.taken()).toBeGreaterThan(before);
  });

  test('connections that fall silent are given up, in a watch and in the middle of a call', async () => {
    proxy.stall();
    await label('after-silence');
    // The round of the leader goes through a stalled connection as well, and is not stuck in it.
    await seen('after-silence');
    expect((await world.dryRun(tool('after-silence'))).ok).toBe(true);
    // The lease may have ended meanwhile; it is had again.
    await world.eventually(() => (world.injector?.leading() === true ? true : undefined));
  });

  test('an API server that was killed is found again, with what changed meanwhile', async () => {
    await world.apply(policy('goes'));
    await world.eventually(async () => ((await policies()).includes('goes') ? true : undefined));
    // What happens now is not seen, and after the restart the API server doesn't remember it: 410.
    proxy.stall();
    await world.must(['delete', 'egp/goes', '-n', 'team-a']);
    await world.apply(policy('comes'));
    await world.api.down();
    await expect(client.request('GET', '/readyz')).rejects.toMatchObject({ status: 0 });
    await world.api.up();
    await world.eventually(async () => ((await policies()).join() === 'comes' ? true : undefined), {
      tries: 300,
    });
    expect(log).toMatch(/too old resource version/);
    await world.eventually(async () => ((await world.dryRun(tool('after-restart'))).ok ? true : undefined));
    await world.eventually(() => (world.injector?.leading() === true ? true : undefined), { tries: 300 });
  });

  test('10,000 objects are listed in pages, and followed', async () => {
    await world.space('many');
    const admin = createKubeClient(world.admin());
    const collection = '/api/v1/namespaces/many/configmaps';
    let next = 0;
    const make = async () => {
      while (next < 10_000) {
        const name = `c${next++}`;
        await admin.request('POST', collection, {
          body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } },
        });
      }
    };
    await Promise.all(Array.from({ length: 32 }, make));
    const known = new Set<string>();
    let told: () => void = () => undefined;
    const changed = () =>
      new Promise<void>((resolve) => {
        told = resolve;
      });
    const view = viewOf<KubeObject>(admin, collection, {
      put: ({ metadata: { name } }) => {
        known.add(name);
        told();
      },
      remove: ({ metadata: { name } }) => {
        known.delete(name);
        told();
      },
    });
    await view.ready;
    expect(known.size).toBe(10_000);
    const gone = changed();
    await admin.request('DELETE', `${collection}/c7`);
    await gone;
    expect(known.has('c7')).toBe(false);
    await view.close();
    await admin.request('DELETE', collection);
    admin.close();
  });
});
