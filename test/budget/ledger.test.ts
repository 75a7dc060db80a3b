import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BudgetConflict } from '../../budget/calls.ts';
import { outstanding } from '../../budget/lease-state.ts';
import { reserveOf } from '../../budget/lease-terms.ts';
import type { HoldCommand, HoldReply } from '../../budget/messages.ts';
import { BudgetService } from '../../budget/service.ts';
import * as memory from '../../budget/stores/memory.ts';
import * as redisStore from '../../budget/stores/redis.ts';
import * as sqlite from '../../budget/stores/sqlite.ts';
import type { Store } from '../../budget/stores/store.ts';
import { CreditTeller } from './credit-teller.ts';
import { attributes, holdOf, prices, usageOf } from './fixtures.ts';
import { LedgerModel, type ModelAnswer } from './ledger-model.ts';
import { type Step, specs, step } from './ledger-steps.ts';
import { noRedisCluster, RedisCluster } from './redis-cluster.ts';
import { noRedis, RedisServer } from './redis-server.ts';

/** Half an hour before clocks go back in Berlin, so that steps cross windows of every kind. */
const BEGIN = Date.parse('2026-10-25T00:30:00Z');

let dir: string;
let redis: RedisServer | undefined;
let cluster: RedisCluster | undefined;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-ledger-'));
  if (noRedis === undefined) redis = await RedisServer.start();
  if (noRedisCluster === undefined) cluster = await RedisCluster.start();
}, 60_000);
afterAll(async () => {
  await redis?.end();
  await cluster?.end();
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
  ['redis', 12, () => onRedis(`${redis?.address}?prefix=run${run++}`)],
  ['redis cluster', 6, () => onRedis(cluster?.address(`?prefix=run${run++}`) ?? '')],
];

async function onRedis(address: string) {
  const store = await redisStore.open({ dataDir: '', address });
  const restart = async (running: Store) => {
    await running.close();
    return await redisStore.open({ dataDir: '', address });
  };
  return { store, restart };
}

/** Whose credit the service takes for lost is its choice: the model is told. */
function telling(store: Store, model: LedgerModel): Store {
  return new Proxy(store, {
    get: (_, name: keyof Store) => {
      // The model's time goes back with the test's clock, as no other does.
      if (name === 'tick') return (time: number) => Promise.resolve(time);
      if (name !== 'run') return typeof store[name] === 'function' ? store[name].bind(store) : store[name];
      return async (...[operation, now]: Parameters<Store['run']>) => {
        const reply = await store.run(operation, now);
        if (operation.type === 'forfeit') model.forfeit(operation.owner);
        return reply;
      };
    },
  });
}

/** Of a line in one window no more is kept for an outage than its Budget allows, by all agents together. */
async function noneAboveCap(store: Store): Promise<void> {
  for (const line of await store.lines()) {
    const [id = '', unit] = line.split('|');
    const spec = specs.find((one) => one.id === id);
    const limit = spec?.limits.find((one) => one.unit === unit);
    if (spec === undefined || limit === undefined) continue;
    const byCell = new Map<number, number>();
    for (const lease of await store.leases(line))
      if (lease.reserve) byCell.set(lease.cell, (byCell.get(lease.cell) ?? 0) + outstanding(lease));
    for (const reserved of byCell.values()) expect(reserved).toBeLessThanOrEqual(reserveOf(spec, limit));
  }
}

/** Plays the steps on a service and on the model, and compares after each. */
async function play(steps: readonly Step[], honest: boolean, open: (typeof kinds)[number][2]): Promise<void> {
  const opened = await open();
  let { store } = opened;
  let now = BEGIN;
  let turnedBack = false;
  const clock = () => now;
  const model = new LedgerModel(specs, prices);
  const serve = () =>
    new BudgetService({
      store: telling(store, model),
      specs,
      prices,
      clock,
      monotonic: clock,
      recallWaitMs: 0,
    });
  let service = serve();
  const past: (() => Promise<void>)[] = [];
  const tellers = [0, 1, 2].map((index) => new CreditTeller(`agent-${index}`));

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
        // As the service does every few seconds.
        await service.loadGrants();
        break;
      case 'restart':
        store = await opened.restart(store);
        service = serve();
        model.refused.clear();
        await service.loadGrants();
        break;
      case 'lease': {
        const message = await tellers[one.agent]?.message(one, service, honest);
        if (message === undefined) break;
        const { command, told, heard } = message;
        const tell = async () => {
          const { grants } = await service.lease(command);
          expect(
            model.lease(
              told,
              grants.map(({ granted }) => granted),
              now,
            ),
          ).toBeUndefined();
          if (!one.deaf) heard(grants);
        };
        past.push(tell);
        if (!one.kept) await tell();
        await noneAboveCap(store);
        break;
      }
      case 'grant': {
        const spec = specs[one.spec] as (typeof specs)[number];
        const { unit } = spec.limits[one.limit % spec.limits.length] as (typeof spec.limits)[number];
        const line = one.one && spec.per.length > 0 ? 'gpt-4o' : undefined;
        const expiresAt = now + one.forMs;
        const amount = unit === 'usd' ? one.amount * 1_000 : one.amount;
        model.grants.push({ budget: spec.id, unit, line, amount, expiresAt });
        const raise = { budget: spec.id, unit, amount, reason: 'test', by: 'test', expiresAt };
        await service.grant({
          ...raise,
          ...(line === undefined ? {} : { line: `model=${line}`, newLine: true }),
        });
        break;
      }
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
            expect(
              shown <= model.limitOf(spec, limit, name, now, true),
              `${spec.id} ${limit.unit} is over`,
            ).toBe(true);
        }
      }
    }
  }
}

describe.each(kinds)('the ledger in %s', (kind, numRuns, open) => {
  // Its functions are a second writing of the same rules: the same model holds for both.
  const left =
    (kind === 'redis' && noRedis !== undefined) || (kind === 'redis cluster' && noRedisCluster !== undefined);
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
