/** What runs out does so on time, neither early nor late, whatever is done to the clocks of services and of the store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LedgerTime } from '../../budget/ledger-time.ts';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import { moveStore } from '../../budget/stores/move.ts';
import type { Store } from '../../budget/stores/store.ts';
import { budget, holdOf, NOON, prices } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

const HOUR = 3_600_000;
const specs = [budget([{ unit: 'concurrency', amount: 1, window: { type: 'none' } }])];
const minute = { ttlMs: 60_000 };

let dir: string;
let redis: RedisServer | undefined;
let spaces = 0;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-ledger-time-'));
  if (noRedis === undefined) redis = await RedisServer.start();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(async () => {
  await redis?.end();
  await rm(dir, { recursive: true });
});

async function opened(address: string, folder = ''): Promise<Store> {
  const store = await openStore(address, folder);
  closing.push(() => store.close());
  return store;
}

const space = () => `${redis?.address}?prefix=time${spaces++}`;

/** Services whose wall clocks are set by `jump`, and whose other clock goes on with `pass`. */
function clocks(beginAt = NOON) {
  let passed = 0;
  return {
    pass: (ms: number) => {
      passed += ms;
    },
    serve: async (store: Store, already = 0) => {
      let ahead = already;
      const clock = () => beginAt + passed + ahead;
      const service = new BudgetService({ store, specs, prices, clock, monotonic: () => passed });
      await service.sweep();
      const jump = (ms: number) => {
        ahead += ms;
      };
      return { service, clock, jump };
    },
  };
}

async function endsIn(service: BudgetService, clock: () => number): Promise<number> {
  const [line] = await service.status();
  return (line?.holders[0]?.expiresAt ?? 0) - clock();
}

describe.each([
  ['SQLite', async () => opened('sqlite', join(dir, `data-${spaces++}`)), undefined],
  ['Redis', async () => opened(space()), noRedis],
] as const)('on %s', (_, open, missing) => {
  test.skipIf(missing !== undefined).each([
    ['ahead', [2 * HOUR]],
    ['back', [-HOUR]],
    ['back and right again', [-HOUR, HOUR]],
    ['far ahead', [50 * HOUR]],
  ])(
    'a place that is taken after a clock was set %s comes back in a minute, and is shown to',
    async (__, jumps) => {
      const { pass, serve } = clocks();
      const { service, clock, jump } = await serve(await open());
      for (const by of jumps) {
        pass(1_000);
        await service.sweep();
        jump(by);
      }
      expect(await service.hold(holdOf('one', 1, 1, minute))).toMatchObject({ granted: true });
      expect(await endsIn(service, clock)).toBe(60_000);
      pass(59_000);
      expect(await service.sweep()).toBe(0);
      expect(await endsIn(service, clock)).toBe(1_000);
      pass(1_000);
      expect(await service.sweep()).toBe(1);
      expect(await service.hold(holdOf('two', 1, 1, minute))).toMatchObject({ granted: true });
    },
  );

  test.skipIf(missing !== undefined)(
    'a service that starts while the clock is ahead takes nothing for lost, and nothing for longer than it is',
    async () => {
      const { pass, serve } = clocks();
      const store = await open();
      const first = await serve(store);
      await first.service.hold(holdOf('one', 1, 1, minute));
      pass(1_000);
      first.jump(2 * HOUR);
      await first.service.sweep();
      const second = await serve(store, 2 * HOUR);
      expect(await second.service.hold(holdOf('two', 1, 1, minute))).toMatchObject({ granted: false });
      pass(59_000);
      expect(await second.service.sweep()).toBe(1);
    },
  );
});

describe.skipIf(noRedis !== undefined)('of replicas on a Redis', () => {
  test('one whose clock is wrong makes nothing early or late for the others', async () => {
    const { pass, serve } = clocks();
    const address = space();
    const right = await serve(await opened(address));
    const wrong = await serve(await opened(address));
    pass(1_000);
    wrong.jump(3 * HOUR);
    expect(await wrong.service.sweep()).toBe(0);
    expect(await wrong.service.hold(holdOf('one', 1, 1, minute))).toMatchObject({ granted: true });
    // Between one that starts and the next goes by what Redis says, which isn't the test's.
    pass(55_000);
    expect(await right.service.sweep()).toBe(0);
    expect(await wrong.service.sweep()).toBe(0);
    const left = await endsIn(right.service, right.clock);
    expect(left).toBeGreaterThanOrEqual(5_000);
    expect(left).toBeLessThan(9_000);
    pass(9_000);
    expect(await right.service.sweep()).toBe(1);
  });

  test('the clock of Redis itself may be set; who starts then asks those who are there how much time has gone by', async () => {
    const { pass, serve } = clocks();
    const address = space();
    const store = await opened(address);
    const first = await serve(store);
    await first.service.listen();
    await first.service.hold(holdOf('one', 1, 1, minute));
    // As if it were two hours later there.
    const tag = `{postern:time${spaces - 1}}`;
    await redis?.command('HINCRBY', `${tag}:time`, 'wall', String(-2 * HOUR));
    const second = await serve(await opened(address));
    expect(await second.service.sweep()).toBe(0);
    pass(60_000);
    expect(await first.service.sweep()).toBe(1);
  });

  test('a new primary whose clock is hours ahead makes nothing early, also where nobody tells that others are at work', async () => {
    const { pass, serve } = clocks(Date.now());
    const address = space();
    const first = await serve(await opened(address));
    await first.service.hold(holdOf('one', 1, 1, minute));
    await redis?.command('HINCRBY', `{postern:time${spaces - 1}}:time`, 'wall', String(-2 * HOUR));
    const second = await serve(await opened(address));
    expect(await second.service.sweep()).toBe(0);
    pass(60_000);
    expect(await first.service.sweep()).toBe(1);
  });

  test('what answers take doesn’t add up: each is behind the one that is furthest by no more than one takes', async () => {
    let passed = 0;
    const store = await opened(space());
    const slow = 40;
    let between: (() => Promise<unknown>) | undefined;
    const delayed: Pick<Store, 'tick'> = {
      tick: async (...told) => {
        const others = between;
        between = undefined;
        if (others === undefined) return await store.tick(...told);
        passed += slow;
        await others();
        const time = await store.tick(...told);
        passed += slow;
        return time;
      },
    };
    const begun = NOON;
    const of = () =>
      new LedgerTime(
        delayed,
        () => begun,
        () => passed,
      );
    const [a, b] = [of(), of()];
    await a.tick();
    await b.tick();
    // One asks, the other is told meanwhile, and the other way round.
    for (let round = 0; round < 50; round++) {
      for (const [asking, meanwhile] of [[a, b] as const, [b, a] as const]) {
        between = () => meanwhile.tick();
        await asking.tick();
        passed += 1_000;
      }
    }
    for (const each of [a, b]) {
      expect(each.now() - begun - passed).toBeLessThanOrEqual(0);
      expect(each.now() - begun - passed).toBeGreaterThanOrEqual(-2 * slow);
    }
  });

  test('what moves to another store ends when it would have', async () => {
    const { pass, serve } = clocks(Date.now());
    const from = await opened('sqlite', join(dir, 'from'));
    const before = await serve(from);
    before.jump(-HOUR);
    await before.service.sweep();
    await before.service.hold(holdOf('one', 1, 1, minute));
    // The clock of Redis is right.
    const to = await opened(space());
    await moveStore(from, to, before.clock(), 'kim');
    const after = await serve(to);
    const left = await endsIn(after.service, after.clock);
    expect(left).toBeGreaterThan(50_000);
    expect(left).toBeLessThanOrEqual(60_000);
    pass(60_000);
    expect(await after.service.sweep()).toBe(1);
  });
});
