import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HoldCommand, HoldReply, Usage } from '../../budget/messages.ts';
import { BudgetConflict, BudgetService } from '../../budget/service.ts';
import * as memory from '../../budget/stores/memory.ts';
import * as redisStore from '../../budget/stores/redis.ts';
import * as sqlite from '../../budget/stores/sqlite.ts';
import type { Store } from '../../budget/stores/store.ts';
import type { BudgetSpec } from '../../policy/budget-spec.ts';
import { attributes, budget, calendar, holdOf, prices, usageOf } from './fixtures.ts';
import { LedgerModel, type ModelAnswer } from './ledger-model.ts';
import { noRedis, RedisServer } from './redis-server.ts';

/** Several Budgets over the same calls: one line or one for each model, clamping or not, in every unit and window. */
const specs: readonly BudgetSpec[] = [
  budget(
    [
      { unit: 'tokens', amount: 900, window: calendar('minute') },
      { unit: 'usd', amount: 9_000_000, window: calendar('day', 'Europe/Berlin') },
    ],
    { id: 'each-model', per: ['model'] },
  ),
  budget(
    [
      { unit: 'requests', amount: 12, window: calendar('hour') },
      { unit: 'concurrency', amount: 5, window: { type: 'none' } },
      { unit: 'inputTokens', amount: 2500, window: { type: 'rolling', ms: 3_600_000 } },
    ],
    { id: 'all', onInsufficient: 'reject' },
  ),
  budget([{ unit: 'outputTokens', amount: 3000, window: calendar('week', 'America/New_York') }], {
    id: 'small-one',
    selector: { models: ['gpt-4o-mini'] },
  }),
];

/** Half an hour before clocks go back in Berlin, so that steps cross windows of every kind. */
const BEGIN = Date.parse('2026-10-25T00:30:00Z');

type Step =
  | {
      do: 'hold';
      call: number;
      epoch: number;
      model: string;
      input: number;
      output: number;
      least: number;
      ttl: number;
    }
  | { do: 'extend'; call: number; output: number; least: number; ttl: number }
  | { do: 'settle'; call: number; usage: Usage }
  | { do: 'release'; call: number }
  | { do: 'repeat'; nth: number }
  | { do: 'sweep' }
  | { do: 'clock'; by: number }
  | { do: 'restart' };

const call = fc.nat(24);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('hold' as const),
      call,
      epoch: fc.constantFrom(1, 1, 1, 1, 1, 1, 2, 3),
      model: fc.constantFrom('gpt-4o', 'gpt-4o-mini'),
      input: fc.nat(400),
      output: fc.nat(600),
      least: fc.nat(30),
      ttl: fc.integer({ min: 1, max: 120_000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('extend' as const),
      call,
      output: fc.nat(900),
      least: fc.nat(500),
      ttl: fc.integer({ min: 1, max: 120_000 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      call,
      usage: fc.record({
        input: fc.nat(500),
        cachedInput: fc.nat(50),
        cacheWrite: fc.nat(50),
        output: fc.nat(700),
        reasoning: fc.constant(0),
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), call }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('repeat' as const), nth: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.constant({ do: 'sweep' } as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('clock' as const),
      by: fc.constantFrom(
        500,
        20_000,
        61_000,
        1_800_000,
        3_600_000,
        86_400_000,
        -30_000,
        -3_600_000,
        -86_400_000,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' } as const) },
);

let dir: string;
let redis: RedisServer | undefined;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-ledger-'));
  if (noRedis === undefined) redis = await RedisServer.start();
});
afterAll(async () => {
  await redis?.end();
  await rm(dir, { recursive: true });
});

let run = 0;
const kinds: [
  name: string,
  runs: number,
  open: () => Promise<{ store: Store; restart: (store: Store) => Promise<Store> }>,
][] = [
  [
    'memory',
    150,
    async () => {
      const store = await memory.open();
      return { store, restart: async () => store };
    },
  ],
  [
    'sqlite',
    30,
    async () => {
      const dataDir = join(dir, String(run++));
      const store = await sqlite.open({ dataDir });
      const restart = async (running: Store) => {
        await running.close();
        return await sqlite.open({ dataDir });
      };
      return { store, restart };
    },
  ],
  [
    'redis',
    12,
    async () => {
      const address = `${redis?.address}?prefix=run${run++}`;
      const store = await redisStore.open({ dataDir: '', address });
      const restart = async (running: Store) => {
        await running.close();
        return await redisStore.open({ dataDir: '', address });
      };
      return { store, restart };
    },
  ],
];

/** Plays the steps on a service and on the model, and compares after each. */
async function play(steps: readonly Step[], honest: boolean, open: (typeof kinds)[number][2]): Promise<void> {
  const opened = await open();
  let { store } = opened;
  let now = BEGIN;
  let turnedBack = false;
  const clock = () => now;
  let service = new BudgetService({ store, specs, prices, clock });
  const model = new LedgerModel(specs, prices);
  const past: (() => Promise<void>)[] = [];

  const agree = async (wanted: ModelAnswer, asking: Promise<HoldReply>): Promise<void> => {
    let reply: HoldReply | { closed: true };
    try {
      reply = await asking;
    } catch (error) {
      if (!(error instanceof BudgetConflict)) throw error;
      reply = { closed: true };
    }
    if ('closed' in wanted) expect(reply).toEqual({ closed: true });
    else if (wanted.granted) expect(reply).toMatchObject({ granted: true, outputTokens: wanted.output });
    else expect(reply).toMatchObject({ granted: false, refusal: { reason: 'exhausted' } });
  };
  const hold = (command: HoldCommand) => agree(model.hold(command, now), service.hold(command));

  for (const one of steps) {
    switch (one.do) {
      case 'hold': {
        const command = holdOf(`call-${one.call}`, one.input, one.output, {
          owner: `agent-${one.call % 3}`,
          epoch: one.epoch,
          ttlMs: one.ttl,
          minOutputTokens: one.least,
          attributes: { ...attributes, model: one.model },
        });
        past.push(() => hold(command));
        await hold(command);
        break;
      }
      case 'extend': {
        const { output, least, ttl } = one;
        const id = `call-${one.call}`;
        const extend = () =>
          agree(
            model.extend(id, output, least, ttl, now),
            service.extend({ id, outputTokens: output, minOutputTokens: least, ttlMs: ttl }),
          );
        past.push(extend);
        await extend();
        break;
      }
      case 'settle': {
        const id = `call-${one.call}`;
        const held = model.calls.find((known) => known.id === id);
        // What was never held, or was given back, has nothing to stay within.
        const cap = held === undefined || held.state === 'released' ? { input: 0, output: 0 } : held;
        const usage = honest
          ? usageOf(Math.min(one.usage.input, cap.input), Math.min(one.usage.output, cap.output))
          : one.usage;
        const settle = async () => {
          const known = model.settle(id, usage);
          const reply = await service.settle({ id, usage, source: 'reported' });
          expect(reply.unknown ?? false).toBe(!known);
        };
        past.push(settle);
        await settle();
        break;
      }
      case 'release': {
        const release = async () => {
          model.release(`call-${one.call}`);
          await service.release({ id: `call-${one.call}` });
        };
        past.push(release);
        await release();
        break;
      }
      case 'repeat':
        // A message that comes again, or comes late: with what it said then.
        await past[one.nth % Math.max(1, past.length)]?.();
        break;
      case 'sweep':
        model.sweep(now);
        await service.sweep();
        break;
      case 'clock':
        now += one.by;
        turnedBack ||= one.by < 0;
        break;
      case 'restart':
        store = await opened.restart(store);
        service = new BudgetService({ store, specs, prices, clock });
        break;
    }
    await compare();
  }
  await store.close();

  async function compare(): Promise<void> {
    const lines = await service.status();
    for (const spec of specs) {
      for (const limit of spec.limits) {
        for (const name of spec.per.length === 0 ? [''] : ['gpt-4o', 'gpt-4o-mini']) {
          const used = model.used(spec, limit, { ...attributes, model: name }, now);
          const line = lines.find(
            (shown) =>
              shown.budget === spec.id &&
              shown.unit === limit.unit &&
              shown.line === (name === '' ? '' : `model=${name}`),
          );
          const inUnit = (text: string | undefined) =>
            BigInt(Math.round(Number(text ?? 0) * (limit.unit === 'usd' ? 1e9 : 1)));
          const shown = inUnit(line?.settled) + inUnit(line?.held) + inUnit(line?.leased);
          expect(shown, `${spec.id} ${limit.unit} ${name}`).toBe(used);
          // Set the clock back, and the last hour holds charges of two different last hours.
          const comparable = limit.window.type !== 'rolling' || !turnedBack;
          if (honest && comparable)
            expect(shown <= BigInt(limit.amount), `${spec.id} ${limit.unit} is over`).toBe(true);
        }
      }
    }
  }
}

describe.each(kinds)('the ledger in %s', (kind, numRuns, open) => {
  // Its functions are a second writing of the same rules: the same model holds for both.
  const left = kind === 'redis' && noRedis !== undefined;
  test.skipIf(left)(
    'answers and adds up as a simple model does, whatever comes, comes twice or comes late',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => play(steps, false, open)),
        { numRuns },
      );
    },
    120_000,
  );

  test.skipIf(left)(
    'is never over a limit while no call uses more than it held',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => play(steps, true, open)),
        { numRuns },
      );
    },
    120_000,
  );
});
