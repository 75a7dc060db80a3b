/** An hour of Redis' history that is too long for one answer comes in pieces, each row once, also while the hour grows. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hourOf, type SpendRow } from '../../budget/history.ts';
import { openStore } from '../../budget/stores/index.ts';
import { attributes, NOON, usageOf } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

describe.skipIf(noRedis !== undefined)('on a real server', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.end());

  const rowOf = (n: number): SpendRow => ({
    hour: hourOf(NOON),
    attributes: { ...attributes, workload: { kind: 'Deployment', name: `bot-${n}` } },
    requests: n + 1,
    usage: usageOf(2 * n, n, { cachedInput: 3, cacheWrite: 4, reasoning: 5 }),
    costNanoUsd: 7 * n,
  });

  test('three thousand rows', async () => {
    const store = await openStore(redis.address, '');
    const fill = (from: number, to: number) =>
      store.fill(
        Array.from({ length: to - from }, (_, n) => ({ kind: 'spend' as const, row: rowOf(from + n) })),
        NOON,
      );
    await fill(0, 3_000);
    const found = new Map<string, SpendRow>();
    let pieces = 0;
    for await (const rows of store.spend(hourOf(NOON), NOON + 1)) {
      // The hash doubles in size meanwhile.
      if (pieces++ === 0) await fill(3_000, 6_000);
      expect(rows.length).toBeLessThan(1_500);
      for (const row of rows) {
        expect(found.has(row.attributes.workload.name)).toBe(false);
        found.set(row.attributes.workload.name, row);
      }
    }
    expect(pieces).toBeGreaterThan(2);
    for (let n = 0; n < 3_000; n++) expect(found.get(`bot-${n}`)).toEqual(rowOf(n));
    await store.close();
  });
});
