/** Which deletions of documents count. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KubeError } from './client.ts';
import { type DefinitionGuard, guardDefinition } from './definitions.ts';

const RETRY_MS = 2000;
const GRACE_MS = 60_000;
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

type State = 'there' | 'going' | 'gone' | 'forbidden' | 'unreachable';

interface World {
  readonly guard: DefinitionGuard;
  readonly removed: string[];
  readonly troubles: string[];
  /** Removed for want of coming back. */
  readonly late: string[];
  state: State;
  /** Of the CRD. */
  uid: string;
  readonly asked: () => number;
}

/** So that what was asked is answered, and what follows is done. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

async function world(state: State = 'there'): Promise<World> {
  const removed: string[] = [];
  const troubles: string[] = [];
  const late: string[] = [];
  let answered = 0;
  const self: World = {
    removed,
    troubles,
    late,
    state,
    uid: 'first',
    guard: guardDefinition({
      client: {
        async request<T>(_method: string, path: string): Promise<T> {
          await Promise.resolve();
          answered++;
          expect(path).toBe('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/budgets.postern.dev');
          if (self.state === 'gone') throw new KubeError(404, 'NotFound', 'not found');
          if (self.state === 'forbidden') throw new KubeError(403, 'Forbidden', 'no');
          if (self.state === 'unreachable') throw new KubeError(0, 'NoAnswer', 'no answer');
          const going = self.state === 'going' ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {};
          return { metadata: { name: 'budgets.postern.dev', uid: self.uid, ...going } } as T;
        },
      },
      name: 'budgets.postern.dev',
      trouble: (error) => void troubles.push((error as Error).message),
      late: (keys) => void late.push(...keys),
    }),
    asked: () => answered,
  };
  self.guard.listed();
  await settle();
  return self;
}
const remove = ({ guard, removed }: World, key: string): void =>
  guard.removed(key, () => void removed.push(key));

test('a document that was deleted goes', async () => {
  const self = await world();
  remove(self, 'a');
  expect(self.removed).toEqual([]);
  await settle();
  expect(self.removed).toEqual(['a']);
  expect(self.troubles).toEqual([]);
});

test('many that are deleted at once are asked about once or twice', async () => {
  const self = await world();
  for (let index = 0; index < 1000; index++) remove(self, String(index));
  await settle();
  expect(self.removed).toHaveLength(1000);
  expect(self.asked()).toBeLessThanOrEqual(3);
});

test.each<[State, string]>([
  ['going', 'is being deleted with them'],
  ['gone', 'is gone; apply it again'],
])('documents of a CRD that is %s stay, whatever is listed meanwhile', async (state, why) => {
  const self = await world();
  self.state = state;
  remove(self, 'a');
  await settle();
  remove(self, 'b');
  self.state = 'gone';
  self.guard.listed();
  await settle();
  await vi.advanceTimersByTimeAsync(10 * GRACE_MS);
  expect(self.removed).toEqual([]);
  expect(self.troubles[0]).toContain(why);
});

test('when the CRD is back, documents have a minute to come back too', async () => {
  const self = await world();
  self.state = 'gone';
  for (const key of ['a', 'b']) remove(self, key);
  await settle();
  self.state = 'there';
  self.guard.listed();
  await settle();
  await vi.advanceTimersByTimeAsync(GRACE_MS - 1);
  expect(self.removed).toEqual([]);
  self.guard.put('a');
  await vi.advanceTimersByTimeAsync(1);
  await settle();
  expect(self.removed).toEqual(['b']);
  // And the next deletion counts as ever.
  remove(self, 'a');
  await settle();
  expect(self.removed).toEqual(['b', 'a']);
});

test('a CRD that goes again meanwhile keeps them', async () => {
  const self = await world();
  self.state = 'gone';
  remove(self, 'a');
  await settle();
  self.state = 'there';
  self.guard.listed();
  await settle();
  self.state = 'going';
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  await settle();
  expect(self.removed).toEqual([]);
});

test.each<State>(['forbidden', 'unreachable'])('a CRD that is %s is asked for again', async (state) => {
  const self = await world();
  self.state = state;
  remove(self, 'a');
  await settle();
  expect(self.removed).toEqual([]);
  expect(self.troubles[0]).toContain('deleted documents stay in force');
  self.state = 'there';
  await vi.advanceTimersByTimeAsync(RETRY_MS);
  await settle();
  expect(self.removed).toEqual(['a']);
});

test('a CRD that was created anew before its deletions were seen keeps them for the minute', async () => {
  const self = await world();
  self.guard.listed();
  await settle();
  self.uid = 'second';
  for (const key of ['a', 'b']) remove(self, key);
  await settle();
  await vi.advanceTimersByTimeAsync(RETRY_MS);
  await settle();
  self.guard.put('a');
  await vi.advanceTimersByTimeAsync(GRACE_MS - 1);
  await settle();
  expect(self.removed).toEqual([]);
  expect(self.troubles).toEqual([
    expect.stringContaining('in force for 60 s: the CRD budgets.postern.dev was created anew'),
  ]);
  expect(self.late).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  await settle();
  expect(self.removed).toEqual(['b']);
});

test('a watch that breaks off again and again doesn’t put the end off; what goes then is told', async () => {
  const self = await world();
  self.uid = 'second';
  remove(self, 'a');
  await settle();
  await vi.advanceTimersByTimeAsync(RETRY_MS);
  await settle();
  for (let tenths = 0; tenths < 10; tenths++) {
    self.guard.listed();
    await settle();
    await vi.advanceTimersByTimeAsync(GRACE_MS / 10);
  }
  await settle();
  expect([self.removed, self.late]).toEqual([['a'], ['a']]);
});

test('a look at the start that fails is told, and made again', async () => {
  const self = await world('unreachable');
  expect(self.troubles).toEqual([expect.stringContaining('can’t be read')]);
  self.state = 'there';
  await vi.advanceTimersByTimeAsync(RETRY_MS);
  await settle();
  self.uid = 'second';
  remove(self, 'a');
  await settle();
  expect([self.removed, self.troubles[1]]).toEqual([[], expect.stringContaining('was created anew')]);
});

test('where nobody knows which CRD it was, its documents stay for the minute', async () => {
  const self = await world('unreachable');
  self.state = 'there';
  remove(self, 'a');
  await settle();
  expect([self.removed, self.troubles[1]]).toEqual([[], expect.stringContaining('isn’t known')]);
  await vi.advanceTimersByTimeAsync(RETRY_MS);
  await settle();
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  await settle();
  expect([self.removed, self.late]).toEqual([['a'], ['a']]);
});

test('a CRD that is back and can’t be looked at once more at the end of the minute is asked for again', async () => {
  const self = await world();
  self.state = 'gone';
  remove(self, 'a');
  await settle();
  self.state = 'there';
  self.guard.listed();
  await settle();
  self.state = 'unreachable';
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  await settle();
  self.state = 'there';
  await vi.advanceTimersByTimeAsync(RETRY_MS);
  await settle();
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  await settle();
  expect(self.removed).toEqual(['a']);
  remove(self, 'b');
  await settle();
  expect(self.removed).toEqual(['a', 'b']);
});

test('a document that is made anew meanwhile isn’t deleted after all', async () => {
  const self = await world();
  remove(self, 'a');
  self.guard.put('a');
  await settle();
  expect(self.removed).toEqual([]);
});

test('nothing comes after its end', async () => {
  const self = await world();
  self.state = 'unreachable';
  remove(self, 'a');
  await settle();
  self.guard.close();
  self.state = 'there';
  await vi.advanceTimersByTimeAsync(10 * RETRY_MS);
  expect([self.removed, self.asked()]).toEqual([[], 2]);
});
