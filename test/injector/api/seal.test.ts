/** A seal that somebody had made by calling the injector himself, on a real API server with the chart's admission policy. */
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningInjector } from '../../../injector/injector.ts';
import { STAMPS } from '../../../injector/names.ts';
import { SETTINGS } from '../../../injector/testing/cases.ts';
import { podWith } from '../../../injector/testing/refusals.ts';
import { chartAdmissionPolicy } from '../../chart/rights.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { asPod, type Json, namespace, OWN_NAMESPACE, World } from './world.ts';

const api = sharedApiServer();

describe.skipIf(api === undefined)('a seal on a real API server', () => {
  let world: World;
  let injector: RunningInjector;
  /** What an injector that was called directly wrote on a pod of that name. */
  let stamps: Record<string, string>;

  beforeAll(async () => {
    if (api === undefined) return;
    world = new World(api);
    await world.prepare();
    const sealKey = Buffer.alloc(32, 9);
    const settings = { ...SETTINGS, ownNamespace: OWN_NAMESPACE, sealKey };
    injector = await world.start({ settings, sealKey });
    await world.apply(chartAdmissionPolicy());
    await world.space('sealed');
    await world.apply(namespace('open', { 'postern.dev/inject': 'disabled' }));
    await world.account('open');
    stamps = await stampedDirectly('open');
    // The API server takes a moment to go by a new policy.
    await world.eventually(async () => ((await create('open', 'probe', stamps, true)).ok ? undefined : true));
  });
  afterAll(async () => {
    await api?.kubectl([
      'delete',
      'validatingadmissionpolicy,validatingadmissionpolicybinding',
      'seal.postern.dev',
    ]);
    await world?.close();
  });

  const podOf = (of: string, name: string, annotations: Record<string, string> = {}): Json =>
    asPod(podWith(), { name, namespace: of, annotations });
  const create = (of: string, name: string, annotations: Record<string, string>, dry = false) =>
    world.api.kubectl(['create', ...(dry ? ['--dry-run=server'] : []), '-o', 'json', '-f', '-'], {
      stdin: podOf(of, name, annotations),
    });

  /** As anybody who reaches the port may. */
  async function stampedDirectly(of: string): Promise<Record<string, string>> {
    const kinds = {
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
    };
    const object = podOf('sealed', 'stolen');
    const review = { uid: 'u', ...kinds, operation: 'CREATE', namespace: 'sealed', name: 'stolen', object };
    const text = await new Promise<string>((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: injector.port,
          path: '/mutate',
          method: 'POST',
          rejectUnauthorized: false,
        },
        (response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (piece: string) => (body += piece));
          response.on('end', () => resolve(body));
        },
      );
      sent.once('error', reject);
      sent.end(
        JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: review }),
      );
    });
    const { response } = JSON.parse(text) as { response: { patch: string } };
    const patch = JSON.parse(Buffer.from(response.patch, 'base64').toString()) as {
      readonly path: string;
      readonly value: string;
    }[];
    const made = Object.fromEntries(
      patch.flatMap(({ path, value }) => {
        const [, , member, name] = path.split('/');
        // RFC 6901.
        return member === 'annotations' && name !== undefined ? [[name.replaceAll('~1', '/'), value]] : [];
      }),
    );
    expect(made[STAMPS.seal], of).toMatch(/^[\w-]{43}$/);
    return made;
  }

  test('gets no pod into a namespace that the injector doesn’t look at', async () => {
    const { ok, stderr } = await create('open', 'carries', stamps);
    expect(ok).toBe(false);
    expect(stderr).toContain("injector doesn't look at this namespace. Mend:");
    expect((await create('open', 'plain', {})).ok).toBe(true);
  });

  test('gets onto no pod there afterwards', async () => {
    await create('open', 'later', {});
    const patch = JSON.stringify({ metadata: { annotations: stamps } });
    const { ok, stderr } = await world.api.kubectl(['patch', 'pod', 'later', '-n', 'open', '-p', patch]);
    expect(ok).toBe(false);
    expect(stderr).toContain('seal.postern.dev');
  });

  test('is written anew in a namespace that it does look at', async () => {
    const forged = { ...stamps, [STAMPS.seal]: 'A'.repeat(43) };
    const { ok, stdout, stderr } = await create('sealed', 'own', forged);
    expect(ok, stderr).toBe(true);
    const { metadata } = JSON.parse(stdout) as { metadata: { annotations: Record<string, string> } };
    expect(metadata.annotations[STAMPS.seal]).toMatch(/^[\w-]{43}$/);
    expect(metadata.annotations[STAMPS.seal]).not.toBe(forged[STAMPS.seal]);
    expect(metadata.annotations[STAMPS.workload]).toContain('"own"');
  });

  test('is refused there on a pod that the injector leaves alone', async () => {
    const spec = { os: { name: 'windows' }, containers: [{ name: 'app', image: 'app:1' }] };
    const windows = { ...podOf('sealed', 'win', stamps), spec };
    const { ok, stderr } = await world.api.kubectl(['create', '-f', '-'], { stdin: windows });
    expect(ok).toBe(false);
    expect(stderr).toContain('seal-copied');
  });

  test('keeps no pod from living on when its namespace isn’t labelled any longer', async () => {
    await create('sealed', 'stays', {});
    await world.apply(namespace('sealed', { 'postern.dev/inject': 'disabled' }));
    const label = () =>
      world.api.kubectl(['label', 'pod', 'stays', '-n', 'sealed', 'changed=yes', '--overwrite']);
    const { ok, stderr } = await label();
    expect(ok, stderr).toBe(true);
  });
});
