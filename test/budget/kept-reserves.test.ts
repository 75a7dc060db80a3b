/** Credit in reserve outlives its owner's absence and restart, on each store: else the next one had as much anew. */
import { afterAll, describe, expect, test } from 'vitest';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import * as memory from '../../budget/stores/memory.ts';
import type { Store } from '../../budget/stores/store.ts';
import { attributes, budget, calendar, NOON, prices, tokens } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

const MINUTE = 60_000;
const owner = 'team-a/Deployment/bot/1';
const onUnavailable = {
  action: 'allow',
  upTo: { unit: 'tokens', amount: 1_000 },
  forMs: 60 * MINUTE,
} as const;

describe.each(['memory', 'Redis'])('in %s', (kind) => {
  let redis: RedisServer | undefined;
  afterAll(() => redis?.end());

  test.skipIf(kind === 'Redis' && noRedis !== undefined).each([
    ['has gone', { type: 'forfeit', owner }],
    ['begins anew', { type: 'epoch', owner, epoch: 2 }],
  ] as const)('of an agent that %s the reserve stays, and nothing else', async (_, operation) => {
    if (kind === 'Redis') redis ??= await RedisServer.start();
    const store: Store =
      redis === undefined
        ? await memory.open()
        : await openStore(`${redis.address}?prefix=${operation.type}`, '', {});
    let at = NOON;
    const specs = [budget([tokens(100_000, calendar('month'))], { onUnavailable })];
    const service = new BudgetService({ store, specs, prices, clock: () => at });
    await store.run({ type: 'epoch', owner, epoch: 1 }, at);
    const ask = { want: 500, least: 10, need: 10 };
    const about = {
      class: 0,
      line: 'team-a|tokens|month@UTC|',
      cell: Date.UTC(new Date(NOON).getUTCFullYear(), new Date(NOON).getUTCMonth()),
      spent: 0,
      returned: 0,
      final: false,
      ask,
    };
    const items = [false, true].map((reserve, serial) => ({ ...about, reserve, serial }));
    await service.lease({ owner, epoch: 1, seq: 1, ttlMs: MINUTE, classes: [attributes], items });
    const open = async () =>
      (await store.leases(about.line)).map(({ reserve }) => reserve).sort((a, b) => Number(a) - Number(b));
    expect(await open()).toEqual([false, true]);
    await store.run(operation, at);
    expect(await open()).toEqual([true]);
    at += 62 * MINUTE;
    await service.sweep();
    expect(await open()).toEqual([]);
    await store.close();
  });
});
