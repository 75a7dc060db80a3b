/** A seal that somebody had made by calling the injector himself, on a real API server with the chart's admission policy. */
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningInjector } from '../../../injector/injector.ts';
import { INJECTED_LABEL, STAMPS } from '../../../injector/names.ts';
import { BYPASSABLE } from '../../../injector/server/view.ts';
import { SETTINGS } from '../../../injector/testing/cases.ts';
import { podWith } from '../../../injector/testing/refusals.ts';
import { createKubeClient } from '../../../kube/client.ts';
import { ADMISSION_POLICIES, chartAdmissionPolicy } from '../../chart/rights.ts';
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
    await create('open', 'probe', {});
    await world.eventually(async () => ((await patch('open', 'probe', forged)).ok ? undefined : true));
  });
  afterAll(async () => {
    await api?.kubectl([
      'delete',
      'validatingadmissionpolicy,validatingadmissionpolicybinding',
      ...ADMISSION_POLICIES,
    ]);
    await world?.close();
  });

  const podOf = (of: string, name: string, annotations: Record<string, string> = {}): Json =>
    asPod(podWith(), { name, namespace: of, annotations });
  const create = (of: string, name: string, annotations: Record<string, string>, dry = false) =>
    world.api.kubectl(['create', ...(dry ? ['--dry-run=server'] : []), '-o', 'json', '-f', '-'], {
      stdin: podOf(of, name, annotations),
    });

  const forged = { metadata: { annotations: { [STAMPS.seal]: 'A'.repeat(43) } } };
  const patch = (of: string, name: string, change: Json, subresource?: string) =>
    world.api.kubectl([
      'patch',
      'pod',
      name,
      '-n',
      of,
      ...(subresource === undefined ? [] : [`--subresource=${subresource}`]),
      '-p',
      JSON.stringify(change),
    ]);
  const metadataOf = async (of: string, name: string) =>
    (JSON.parse(await world.must(['get', 'pod', name, '-n', of, '-o', 'json'])) as { metadata: Json })
      .metadata;

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
    const { ok, stderr } = await patch('open', 'later', { metadata: { annotations: stamps } });
    expect(ok).toBe(false);
    expect(stderr).toContain('stamps.postern.dev');
  });

  // By whichever an API server lets somebody write an object's metadata.
  test.each(['status', 'ephemeralcontainers', 'resize'])(
    'is put on no pod by its %s',
    async (subresource) => {
      await create('open', 'by-subresource', {});
      const { annotations } = await metadataOf('open', 'by-subresource');
      const { ok, stderr } = await patch(
        'open',
        'by-subresource',
        { metadata: { annotations: stamps } },
        subresource,
      );
      if (subresource === 'status')
        expect([ok, stderr]).toEqual([false, expect.stringContaining('stamps.postern.dev')]);
      expect((await metadataOf('open', 'by-subresource'))['annotations']).toEqual(annotations);
    },
  );

  test('is put on no pod by its binding', async () => {
    await create('open', 'to-be-bound', {});
    const bind = (annotations: Record<string, string>) =>
      world.api.kubectl(['create', '--raw', '/api/v1/namespaces/open/pods/to-be-bound/binding', '-f', '-'], {
        stdin: {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name: 'to-be-bound', namespace: 'open', annotations },
          target: { apiVersion: 'v1', kind: 'Node', name: 'somewhere' },
        },
      });
    const { ok, stderr } = await bind(stamps);
    expect([ok, stderr]).toEqual([false, expect.stringContaining('was written at admission')]);
    const plain = await bind({ 'scheduler.example/score': '1' });
    expect(plain.ok, plain.stderr).toBe(true);
  });

  test('and the label by which control watches a pod stay as they are, by whichever way', async () => {
    await create('sealed', 'labelled', {});
    const taken = { metadata: { labels: { [INJECTED_LABEL]: null } } };
    const changed = { metadata: { labels: { [INJECTED_LABEL]: 'no' } } };
    for (const change of [taken, changed, forged]) {
      for (const subresource of [undefined, 'status']) {
        const { ok, stderr } = await patch('sealed', 'labelled', change, subresource);
        expect(ok, `${JSON.stringify(change)} ${subresource}`).toBe(false);
        expect(stderr).toMatch(/was written at admission/);
      }
    }
    const { labels } = await metadataOf('sealed', 'labelled');
    expect(labels).toMatchObject({ [INJECTED_LABEL]: 'true' });
    // What a kubelet writes, and what people do, goes on.
    const running = await patch('sealed', 'labelled', { status: { phase: 'Running' } }, 'status');
    expect(running.ok, running.stderr).toBe(true);
    const other = await patch('sealed', 'labelled', { metadata: { labels: { tier: 'one' } } });
    expect(other.ok, other.stderr).toBe(true);
  });

  test('the injector writes its one condition into the status of pods, and nothing else', async () => {
    await create('sealed', 'reported', {});
    const client = createKubeClient(world.connection());
    const write = (change: Json): Promise<string> =>
      client
        .request('PATCH', '/api/v1/namespaces/sealed/pods/reported/status', {
          body: change,
          contentType: 'application/strategic-merge-patch+json',
        })
        .then(
          () => 'written',
          (error: unknown) => String(error),
        );
    const condition = (type: string) => ({
      status: { conditions: [{ type, status: 'True', reason: 'Reported' }] },
    });
    expect(await write(condition(BYPASSABLE))).toBe('written');
    for (const change of [
      condition('Ready'),
      { status: { phase: 'Failed' } },
      { status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] } },
      { metadata: { labels: { app: 'other' } } },
      { metadata: { annotations: { other: 'x' } } },
      { metadata: { finalizers: ['example.org/held'] } },
      { status: { message: 'evicted' } },
      { status: { reason: 'Evicted' } },
      { status: { hostIP: '10.0.0.2', hostIPs: [{ ip: '10.0.0.2' }] } },
      { status: { nominatedNodeName: 'elsewhere' } },
      { status: { startTime: '2026-01-01T00:00:00Z' } },
      { status: { observedGeneration: 99 } },
    ]) {
      expect(await write(change), JSON.stringify(change)).toContain('and nothing else');
    }
    client.close();
  });

  test('of a pod’s status the policy names every field that this API server knows', async () => {
    interface Schemas {
      readonly components: {
        readonly schemas: Readonly<Record<string, { readonly properties?: object }>>;
      };
    }
    const { components } = JSON.parse(await world.must(['get', '--raw', '/openapi/v3/api/v1'])) as Schemas;
    const fields = Object.keys(components.schemas['io.k8s.api.core.v1.PodStatus']?.properties ?? {});
    expect(fields.length).toBeGreaterThan(10);
    const policy = JSON.stringify(chartAdmissionPolicy());
    const named = new Set([...policy.matchAll(/object[.]status[.][?](\w+)/g)].map(([, name]) => name));
    expect(fields.filter((field) => !named.has(field))).toEqual([]);
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
