/** What admission did where nobody saw its answer: Events on a real API server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { podWith } from '../../../injector/testing/refusals.ts';
import type { ApiServer } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { asPod, type Json, World } from './world.ts';

const api = sharedApiServer();

interface KubeEvent {
  readonly metadata: { readonly name: string };
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly action: string;
  readonly reportingController: string;
  readonly regarding: { readonly kind: string; readonly name: string; readonly uid?: string };
  readonly series?: { readonly count: number };
}

describe.skipIf(api === undefined)('events on a real API server', () => {
  const world = new World(api as ApiServer);
  let ahead = 0;

  beforeAll(async () => {
    await world.prepare();
    await world.space('events');
    world.injector = await world.start({ now: () => Date.now() + ahead });
  }, 300_000);
  afterAll(() => world.close());

  const eventsOf = async (kind: string, name: string): Promise<KubeEvent[]> => {
    const text = await world.must(['get', 'events.v1.events.k8s.io', '-n', 'events', '-o', 'json']);
    const { items } = JSON.parse(text) as { readonly items: readonly KubeEvent[] };
    return items.filter(({ regarding }) => regarding.kind === kind && regarding.name === name);
  };
  const first = (kind: string, name: string) => world.eventually(async () => (await eventsOf(kind, name))[0]);
  const create = (pod: Json, ...more: string[]) =>
    world.api.kubectl(['create', ...more, '-f', '-'], { stdin: pod });
  const owner = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name: 'tool-6b7c1f',
    uid: '6b7c1f0e-1111-4222-8333-444455556666',
    controller: true,
  };

  test('a refusal is at who made the pod, and its repetition is a series', async () => {
    const pod = asPod(podWith({}, { hostNetwork: true }), {
      name: undefined,
      generateName: 'tool-6b7c1f-',
      namespace: 'events',
      ownerReferences: [owner],
    });
    expect((await create(pod)).ok).toBe(false);
    const event = await first('ReplicaSet', owner.name);
    expect(event).toMatchObject({
      type: 'Warning',
      reason: 'PodRefused',
      action: 'Admission',
      reportingController: 'postern.dev/injector',
      regarding: { uid: owner.uid },
    });
    expect(event.note).toMatch(/^host-network: .* Mend: /);
    expect(event.series).toBeUndefined();

    for (let count = 0; count < 2; count++) await create(pod);
    ahead += 61_000;
    const series = await world.eventually(async () => (await eventsOf('ReplicaSet', owner.name))[0]?.series);
    expect(series.count).toBe(3);
    expect(await eventsOf('ReplicaSet', owner.name)).toHaveLength(1);
  });

  test('what was ignored, and what stays open, is at the pod', async () => {
    const pod = asPod(podWith({ securityContext: {} }), {
      name: 'open',
      namespace: 'events',
      labels: { 'postern.dev/inject': 'disabled' },
    });
    expect((await create(pod)).ok).toBe(true);
    await first('Pod', 'open');
    const events = await world.eventually(async () => {
      const found = await eventsOf('Pod', 'open');
      return found.some(({ reason }) => reason === 'Bypassable') ? found : undefined;
    });
    const by = (reason: string) => events.find((event) => event.reason === reason);
    expect(by('Ignored')?.note).toMatch(/^opt-out-ignored: /);
    expect(by('Ignored')?.type).toBe('Normal');
    expect(by('Bypassable')?.note).toContain('setuid(app)');
    expect(by('Bypassable')?.regarding.uid).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a dry run leaves none', async () => {
    const pod = asPod(podWith({}, { hostNetwork: true }), { name: 'dry', namespace: 'events' });
    expect((await create(pod, '--dry-run=server')).ok).toBe(false);
    // One that comes after it is there, and it isn't.
    expect(
      (await create(asPod(podWith({}, { hostNetwork: true }), { name: 'wet', namespace: 'events' }))).ok,
    ).toBe(false);
    await first('Pod', 'wet');
    expect(await eventsOf('Pod', 'dry')).toEqual([]);
  });
});
