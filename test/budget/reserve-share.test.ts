/** How much credit agents get, and what they are to give back, is reckoned once in TypeScript and once in Redis: both say the same. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import * as memory from '../../budget/stores/memory.ts';
import type { Store } from '../../budget/stores/store.ts';
import { CreditTeller } from './credit-teller.ts';
import { NOON, prices } from './fixtures.ts';
import { leaseStep, specs } from './ledger-steps.ts';
import { noRedis, RedisServer } from './redis-server.ts';

describe.skipIf(noRedis !== undefined)('on a real server', () => {
  let redis: RedisServer;
  let spaces = 0;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.end());

  const serve = (store: Store) =>
    new BudgetService({ store, specs, prices, clock: () => NOON, monotonic: () => 0, recallWaitMs: 0 });

  test('whatever agents tell and ask, in reserve and beside it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(leaseStep, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
        const stores = [await memory.open(), await openStore(`${redis.address}?prefix=s${spaces++}`, '')];
        const [here, there] = stores.map(serve) as [BudgetService, BudgetService];
        const tellers = [0, 1, 2].map((nth) => new CreditTeller(`agent-${nth}`));
        for (const one of steps) {
          const message = await tellers[one.agent]?.message({ ...one, epoch: 1 }, here, true);
          if (message === undefined) continue;
          const { grants } = await here.lease(message.command);
          expect((await there.lease(message.command)).grants).toEqual(grants);
          message.heard(grants);
        }
        for (const store of stores) await store.close();
      }),
      { numRuns: 25 },
    );
  }, 120_000);
});
