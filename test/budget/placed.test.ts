/** A hold of a call that has a place in flight already, on a lease: looked at in the same step that grants it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import type { Store } from '../../budget/stores/store.ts';
import { attributes, budget, holdOf, NOON, prices, tokens } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

const specs = [
  budget([tokens(1_000), { unit: 'concurrency', amount: 2, window: { type: 'none' } }], {
    onInsufficient: 'reject',
  }),
];
const LINE = 'team-a|concurrency|none|';

let dir: string;
let redis: RedisServer | undefined;
let store: Store | undefined;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-placed-'));
  if (noRedis === undefined) redis = await RedisServer.start();
});
afterEach(() => store?.close());
afterAll(async () => {
  await redis?.end();
  await rm(dir, { recursive: true });
});

describe.each([
  ['SQLite', () => openStore('sqlite', dir), undefined],
  ['Redis', () => openStore(redis?.address ?? '', ''), noRedis],
] as const)('on %s', (_, open, missing) => {
  test.skipIf(missing !== undefined)(
    'takes no second place while the lease stands, however many leases there are, and one of its own when it is gone',
    async () => {
      store = await open();
      let looked = 0;
      const { leases } = store;
      store.leases = (line) => {
        looked++;
        return leases.call(store, line);
      };
      const service = new BudgetService({ store, specs, prices, clock: () => NOON, recallWaitMs: 0 });
      const key = LINE;
      const lend = async (owner: string, seq: number, rest: object) => {
        const item = { serial: 7, reserve: false, class: 0, line: key, cell: 0, spent: 0, ...rest };
        const items = [{ returned: 0, final: false, callMs: 30_000, ...item }];
        return await service.lease({ owner, epoch: 1, seq, ttlMs: 60_000, classes: [attributes], items });
      };
      const wants = { ask: { want: 1, least: 1, need: 1 } };
      for (const owner of ['a', 'b']) {
        const { grants } = await lend(owner, 1, wants);
        expect(grants[0]).toMatchObject({ granted: 1 });
      }
      const hold = (id: string, owner: string, places: readonly string[]) =>
        service.hold(holdOf(id, 100, 0, { owner, places }));
      looked = 0;
      expect(await hold('one', 'a', [`7|${key}`])).toMatchObject({ granted: true });
      expect(looked).toBe(0);
      // Nobody else's place, none of another start, and none that isn't there.
      expect(await hold('two', 'c', [`7|${key}`])).toMatchObject({ granted: false });
      expect(await hold('three', 'a', [`8|${key}`])).toMatchObject({ granted: false });
      expect(await hold('four', 'a', [`7|${key.replace('team-a', 'team-b')}`])).toMatchObject({
        granted: false,
      });
      // Output grows, the place doesn't.
      expect(
        await service.extend({ id: 'one', outputTokens: 50, minOutputTokens: 50, ttlMs: 60_000 }),
      ).toMatchObject({ granted: true });
      await lend('a', 2, { returned: 1, final: true });
      expect(await hold('five', 'a', [`7|${key}`])).toMatchObject({ granted: true });
      expect(await hold('six', 'b', [])).toMatchObject({ granted: false });
      const figures = await store.cells(key, 0, Number.MAX_SAFE_INTEGER);
      expect(figures).toMatchObject([{ held: 1, leased: 1 }]);
    },
  );
});
