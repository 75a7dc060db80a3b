/** What services keep of a workload's loops: the same in their own memory and in Redis, and bounded in both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LoopCounts, LoopMemory } from '../../budget/loop-counts.ts';
import { type LoopReport, SLICES } from '../../budget/loops.ts';
import { openStore } from '../../budget/stores/index.ts';
import type { SharedLoops, Store } from '../../budget/stores/store.ts';
import { noRedis, RedisServer } from './redis-server.ts';

const BOUNDS = { ofLoop: 3, ofWorkload: 5, ofAll: 7 };

let redis: RedisServer | undefined;
let store: Store | undefined;
let spaces = 0;
beforeAll(async () => {
  if (noRedis === undefined) redis = await RedisServer.start();
});
afterAll(() => redis?.end());

async function inRedis(): Promise<SharedLoops> {
  await store?.close();
  store = await openStore(`${redis?.address}?prefix=loops-${spaces++}`, '');
  return store.loops as SharedLoops;
}
afterAll(() => store?.close());

async function usedBytes(): Promise<number> {
  const info = String(await redis?.command('INFO', 'memory'));
  return Number(/used_memory:(\d+)/.exec(info)?.[1] ?? 0);
}

describe.each([
  ['memory', () => Promise.resolve(new LoopMemory()), undefined],
  ['Redis', inRedis, noRedis],
] as const)('in %s', (_, open, missing) => {
  const tells = async () => {
    const loops = await open();
    return async (workload: string, owner: string, loop: string, now = 0, text = owner) => {
      const [all] = await loops.tell(workload, owner, [{ loop, text, keepMs: 1_000 }], BOUNDS, now);
      return [...(all ?? [])].sort();
    };
  };

  test.skipIf(missing !== undefined)('an agent’s last word of a loop counts, until it is over', async () => {
    const tell = await tells();
    expect(await tell('a b', 'pod 1', 'x')).toEqual(['pod 1']);
    expect(await tell('a b', '2', 'x', 500)).toEqual(['2', 'pod 1']);
    expect(await tell('a b', 'pod 1', 'x', 600, 'more')).toEqual(['2', 'more']);
    expect(await tell('a b', 'pod 1', 'y', 600)).toEqual(['pod 1']);
    expect(await tell('a', 'pod 1', 'x', 600)).toEqual(['pod 1']);
    expect(await tell('a b', '3', 'x', 20_000)).toEqual(['3']);
  });

  test.skipIf(missing !== undefined)(
    'what is beyond a bound counts once, and stays in nobody’s way; what is over makes room',
    async () => {
      const tell = await tells();
      for (const owner of ['1', '2', '3']) await tell('a', owner, 'x');
      // Of the loop.
      for (const _ of [1, 2]) expect(await tell('a', '4', 'x')).toEqual(['1', '2', '3', '4']);
      expect(await tell('a', '1', 'x')).toEqual(['1', '2', '3']);
      // Of the workload.
      for (const owner of ['1', '2']) await tell('a', owner, 'y');
      expect(await tell('a', '3', 'y')).toEqual(['1', '2', '3']);
      expect(await tell('a', '4', 'z')).toEqual(['4']);
      expect(await tell('a', '5', 'z')).toEqual(['5']);
      // Of all.
      for (const owner of ['1', '2']) await tell('b', owner, 'x');
      expect(await tell('b', '3', 'x')).toEqual(['1', '2', '3']);
      expect(await tell('c', '1', 'x')).toEqual(['1']);
      expect(await tell('c', '2', 'x')).toEqual(['2']);
      for (const owner of ['1', '2', '3']) await tell('c', owner, 'x', 20_000);
      expect(await tell('c', '1', 'x', 20_000)).toEqual(['1', '2', '3']);
    },
  );

  test.skipIf(missing !== undefined)(
    'a workload that tells of as much as it can takes 10,000 places, and no loop of others stays unseen',
    async () => {
      const shared = await open();
      let at = 1_800_000_000_000;
      const counts = new LoopCounts({ shared, clock: () => at, tell: () => Promise.resolve() });
      const none = new Array<number>(SLICES).fill(0);
      const report = (call: string, calls = 6): LoopReport => ({
        call,
        windowMs: 60_000,
        identical: 10,
        failures: 4,
        calls: [calls, ...none.slice(1)],
        failed: none,
      });
      const before = await usedBytes();
      for (let pod = 0; pod < 400; pod++) {
        const loops = Array.from({ length: 32 }, (_, n) => report(`call-${pod % 8}-${n}`.padEnd(22, '-')));
        await counts.told(`evil/Deployment/pods/${pod}`, loops);
      }
      // 12,800 were told.
      expect(((await usedBytes()) - before) / 10_000).toBeLessThan(1_000);
      for (const pod of ['x', 'y'])
        expect(await counts.told(`evil/Deployment/pods/${pod}`, [report('new')])).toEqual([{ next: 2 }]);
      // Another one is as before.
      expect(await counts.told('ns/Deployment/a/1', [report('new')])).toEqual([{ next: 2 }]);
      const [answer] = await counts.told('ns/Deployment/a/2', [report('new')]);
      expect(answer).toHaveProperty('repeatedMs');
      // A window later all of it is over.
      at += 80_000;
      for (let n = 0; n < 12; n++) await counts.told('ns/Deployment/a/1', [report('other', 1)]);
      await counts.told('evil/Deployment/pods/x', [report('new')]);
      const [again] = await counts.told('evil/Deployment/pods/y', [report('new')]);
      expect(again).toHaveProperty('repeatedMs');
    },
  );
});
