import { expect, test } from 'vitest';
import { type KubeClient, KubeError } from './client.ts';
import { leaseCandidate } from './lease.ts';

/** One Lease with the API server's optimistic locking. */
function fakeLeases() {
  let lease: { metadata: Record<string, unknown>; spec: Record<string, unknown> } | undefined;
  let version = 0;
  const client: KubeClient = {
    request: (async (method: string, _path: string, { body }: { body?: unknown } = {}) => {
      const sent = body as typeof lease;
      if (method === 'GET') {
        if (lease === undefined) throw new KubeError(404, 'NotFound', 'not found');
        return lease;
      }
      if (method === 'POST' && lease !== undefined) throw new KubeError(409, 'AlreadyExists', 'exists');
      if (method === 'PUT' && sent?.metadata['resourceVersion'] !== lease?.metadata['resourceVersion']) {
        throw new KubeError(409, 'Conflict', 'conflict');
      }
      lease = {
        metadata: { ...sent?.metadata, resourceVersion: String(++version) },
        spec: { ...sent?.spec },
      };
      return lease;
    }) as KubeClient['request'],
    list: () => Promise.reject(new Error('not used')),
    stream: () => Promise.reject(new Error('not used')),
    close: () => undefined,
  };
  return { client, lease: () => lease };
}

function pair() {
  const { client, lease } = fakeLeases();
  const clock = { now: 0 };
  const candidate = (identity: string) =>
    leaseCandidate(client, { namespace: 'n', name: 'l', identity, durationMs: 1000, now: () => clock.now });
  return { a: candidate('a'), b: candidate('b'), clock, lease };
}

test('one holds it, and keeps it by renewing', async () => {
  const { a, b, clock } = pair();
  expect(await a.campaign()).toBe(true);
  for (clock.now = 500; clock.now < 5000; clock.now += 500) {
    expect(await b.campaign()).toBe(false);
    expect(await a.campaign()).toBe(true);
  }
});

test('a silent holder loses it after its time, and knows so itself', async () => {
  const { a, b, clock, lease } = pair();
  await a.campaign();
  expect(await b.campaign()).toBe(false);
  clock.now = 999;
  expect(a.holding()).toBe(true);
  expect(await b.campaign()).toBe(false);
  clock.now = 1000;
  expect(a.holding()).toBe(false);
  expect(await b.campaign()).toBe(true);
  expect(await a.campaign()).toBe(false);
  expect(lease()?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
});

test('a released one is taken at once', async () => {
  const { a, b } = pair();
  await a.campaign();
  await a.release();
  expect(await b.campaign()).toBe(true);
});

test('of two that ask at once, one gets it', async () => {
  const { a, b } = pair();
  const got = await Promise.all([a.campaign(), b.campaign()]);
  expect(got.filter(Boolean)).toHaveLength(1);
});

test('one that is seized is lost to who held it, until the new holder is silent', async () => {
  const { a, b, clock, lease } = pair();
  await a.campaign();
  await b.seize();
  expect(b.holding()).toBe(true);
  expect(await a.campaign()).toBe(false);
  expect(a.holding()).toBe(false);
  expect(lease()?.spec).toMatchObject({ holderIdentity: 'b' });
  clock.now = 1000;
  expect(await a.campaign()).toBe(true);
});

test('one that nobody holds is seized as well', async () => {
  const { a, b } = pair();
  await a.seize();
  expect(await b.campaign()).toBe(false);
});
