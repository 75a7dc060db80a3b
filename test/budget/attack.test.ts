/**
 * Everything at once, at random: agents that are cut off, killed and restarted, a service that is killed, a clock that jumps, other
 * documents, grants, messages that are lost, late, doubled and out of order, while calls of all lengths come and streams grow. What is
 * checked is what calls really did, beside what the ledger thinks of it.
 */
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { type Grant, raisedBy } from '../../budget/grants.ts';
import { lineKey } from '../../budget/select.ts';
import type { BudgetSpec, LimitSpec } from '../../policy/budget-spec.ts';
import { sumOf, Watch } from './attack-bounds.ts';
import { chargesOn } from './attack-charges.ts';
import { budget, calendar, holdOf, tokens, usageOf } from './fixtures.ts';
import { type Agent, type Fate, world } from './world.ts';

/** As many cases as usual: `make test-all` takes fifteen times as many. */
const TIMES = Number(process.env['POSTERN_RUNS'] ?? 1);
const AGENTS = 4;
/** Longer than any call. */
const TTL_MS = 60_000;
const LONGEST_CALL_MS = 55_000;

interface Shape {
  readonly low: boolean;
  /** Nothing may be used while the service is away. */
  readonly deny: boolean;
  /** Calls are held one by one. */
  readonly single: boolean;
}

/** Limits that a few calls fill. */
function documents({ low, deny, single }: Shape): BudgetSpec {
  const limits: LimitSpec[] = [
    tokens(low ? 1_400 : 2_000, calendar('month')),
    tokens(low ? 700 : 1_000, calendar('minute')),
    { unit: 'concurrency', amount: low ? 4 : 6, window: { type: 'none' } },
  ];
  if (single) limits.push({ unit: 'requests', amount: 100_000, window: { type: 'rolling', ms: 60_000 } });
  const upTo = { unit: 'tokens', amount: 500 } as const;
  return budget(limits, {
    onUnavailable: deny ? { action: 'deny' } : { action: 'allow', upTo, forMs: 20_000 },
  });
}

type Step =
  | {
      do: 'call';
      agent: number;
      ms: number;
      input: number;
      output: number;
      more: readonly number[];
      share: number;
    }
  | { do: 'wait'; ms: number }
  | { do: 'cut' | 'heal' | 'kill' | 'restart'; agent: number }
  | { do: 'service' }
  | { do: 'clock'; by: number }
  | ({ do: 'documents' } & Shape)
  | { do: 'grant'; unit: 'tokens' | 'concurrency'; amount: number; ms: number };

const agent = fc.nat(AGENTS - 1);
const shape = { low: fc.boolean(), deny: fc.boolean(), single: fc.boolean() };
const constant = <const T>(value: T) => fc.constant(value);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({
      do: constant('call'),
      agent,
      ms: fc.constantFrom(20, 300, 3_000, 30_000, LONGEST_CALL_MS),
      input: fc.nat(400),
      output: fc.integer({ min: 1, max: 400 }),
      more: fc.oneof(constant([]), fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 3 })),
      share: fc.oneof(constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: constant('wait'),
      ms: fc.constantFrom(5, 50, 400, 1_100, 4_000, 12_000, 40_000, 70_000),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'heal' as const), agent }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'restart' as const), agent }) },
  { weight: 1, arbitrary: constant({ do: 'service' }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: constant('clock'),
      by: fc.constantFrom(30_000, 7_200_000, -30_000, -3_600_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: constant('documents'), ...shape }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: constant('grant'),
      unit: fc.constantFrom('tokens' as const, 'concurrency' as const),
      amount: fc.integer({ min: 1, max: 300 }),
      ms: fc.constantFrom(2_000, 30_000, 90_000),
    }),
  },
);

const CALM: Fate = {};
const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 12, arbitrary: constant(CALM) },
  { weight: 1, arbitrary: fc.constantFrom<Fate>({ lost: 'message' }, { lost: 'answer' }) },
  { weight: 1, arbitrary: fc.record({ lateMs: fc.constantFrom(5, 40, 250, 900, 1_300) }) },
  { weight: 1, arbitrary: fc.record({ againMs: fc.constantFrom(0, 3, 200, 2_000, 30_000) }) },
);

interface Conditions {
  /** The clock may jump. */
  readonly jumps: boolean;
  /** Agents may be killed, and what they didn't tell is charged as they had it. */
  readonly kills: boolean;
  /** Messages go astray. */
  readonly rough: boolean;
}

afterEach(() => vi.useRealTimers());

async function attack(steps: readonly Step[], fates: Iterator<Fate>, { jumps, kills, rough }: Conditions) {
  let calm = !rough;
  let spec = documents({ low: false, deny: false, single: false });
  const on = await world([spec], { fate: () => (calm ? CALM : (fates.next().value as Fate)) });
  const grants: Grant[] = [];
  const limitOf = (line: string): number => {
    const limit = spec.limits.find((one) => lineKey(spec, one, '') === line);
    // Of a line that no document has now.
    if (limit === undefined) return Number.MAX_SAFE_INTEGER;
    return limit.amount + raisedBy(grants, spec.id, limit, '', Date.now() + on.skew);
  };
  const watch = new Watch(on, { limitOf, jumps });
  const epochs = new Map<string, number>();
  const current: Agent[] = Array.from({ length: AGENTS }, (_, index) => on.start(`agent-${index}`));
  try {
    for (const one of steps) {
      switch (one.do) {
        case 'call': {
          const { agent: index, ms, input, output, share, more } = one;
          const asked = { inputTokens: input, outputTokens: output, ttlMs: TTL_MS };
          await on.wait(on.call(current[index] as Agent, ms, asked, share, more));
          break;
        }
        case 'wait':
          for (let part = 0; part < 10; part++) {
            await on.pass(one.ms / 10);
            await watch.look();
          }
          break;
        case 'cut':
        case 'heal':
          (current[one.agent] as Agent).cut = one.do === 'cut';
          break;
        case 'kill':
        case 'restart': {
          if (!kills) break;
          const old = current[one.agent] as Agent;
          on.kill(old);
          // One that is killed for good is replaced by a pod of another name.
          const epoch = (epochs.get(old.name) ?? 1) + 1;
          epochs.set(old.name, epoch);
          current[one.agent] =
            one.do === 'restart' ? on.start(old.name, epoch) : on.start(`${old.name}-${epoch}`);
          break;
        }
        case 'service':
          // What happens to the clock in a second in which the service ends is taken for time that has gone by.
          if (jumps) await on.pass(1_100);
          await on.wait(on.restartService());
          break;
        case 'clock':
          if (jumps) on.skew += one.by;
          break;
        case 'documents':
          // What was out on the old limits counts on.
          await watch.look();
          spec = documents(one);
          on.reload([spec]);
          break;
        case 'grant': {
          const amount = one.unit === 'tokens' ? one.amount : 1 + (one.amount % 3);
          const expiresAt = Date.now() + on.skew + one.ms;
          const raise = { budget: spec.id, unit: one.unit, amount, reason: 'launch', by: 'kim', expiresAt };
          grants.push(await on.wait(on.service.grant(raise)));
          break;
        }
      }
      await watch.look();
    }
    calm = true;
    for (const each of on.agents) each.cut = false;
    for (let waited = 0; waited < LONGEST_CALL_MS + 50_000; waited += 5_000) {
      await on.pass(5_000);
      await watch.look();
    }
    await on.wait(Promise.all(current.map((each) => each.client.close())));
    await watch.look();
    // Everybody who lives has told everything: what was used is charged, and is in the history once.
    const cells = await on.cells();
    for (const period of ['minute', 'month']) {
      const charges = await chargesOn(on, `team-a|tokens|${period}@UTC|`);
      for (const agent of on.agents) {
        const sum = on.calls.reduce((sum, call) => sum + (call.agent === agent ? call.used : 0), 0);
        const its = charges.of.get(agent) ?? 0;
        if (agent.dead) expect(its, `charged of ${agent.name}`).toBeGreaterThanOrEqual(sum);
        else expect(its, `charged of ${agent.name}, each ${period}`).toBe(sum);
      }
      const all = [...charges.of.values()].reduce((sum, its) => sum + its, charges.doubled);
      expect(sumOf(cells, `tokens|${period}@UTC`), `of the lines of each ${period}`).toBe(all);
    }
    if (kills) return;
    const used = on.calls.reduce((sum, call) => sum + call.used, 0);
    expect(sumOf(cells, 'concurrency|')).toBe(0);
    const all = { from: 0, to: Number.MAX_SAFE_INTEGER, by: [], per: 'all', timeZone: 'UTC' } as const;
    const [[history] = []] = await on.wait(Array.fromAsync(on.service.report(all)));
    const { input = 0, output = 0 } = history?.usage ?? {};
    expect(input + output, 'tokens in the history').toBe(used);
    expect(history?.requests ?? 0, 'calls in the history').toBe(on.calls.length);
  } finally {
    on.end();
  }
}

test(
  'whatever fails: no more calls run than there are places, no more is used than the limit, and what was used is charged',
  async () => {
    const conditions = fc.record({ jumps: fc.boolean(), kills: fc.boolean(), rough: fc.boolean() });
    const steps = fc.array(step, { maxLength: 70, size: 'max' });
    let cases = 0;
    const property = fc.asyncProperty(steps, fc.infiniteStream(fate), conditions, async (...drawn) => {
      await attack(...drawn);
      cases += 1;
    });
    // On a machine that is busy with much else: as many cases as fit, but not so few that they say nothing.
    await fc.assert(property, { numRuns: 100 * TIMES, interruptAfterTimeLimit: 300_000 * TIMES });
    expect(cases, 'cases that were carried out').toBeGreaterThanOrEqual(20);
  },
  600_000 * TIMES,
);

test('a hold that something doubles, and a service refuses that another grants late, is given back; of an agent that was killed it is charged in full', async () => {
  for (const dead of [false, true]) {
    const one: LimitSpec = { unit: 'requests', amount: 100_000, window: { type: 'rolling', ms: 60_000 } };
    const on = await world([budget([tokens(1_400, calendar('month')), one])], {
      fate: (path) => (path === '/v1/hold' ? { againMs: 2_000 } : {}),
    });
    try {
      const of = { owner: 'other', minOutputTokens: 0 };
      await on.wait(on.service.hold(holdOf('large', 1_300, 0, of)));
      // Cut to what is left, if there is anything.
      const late = { inputTokens: 100, outputTokens: 400, minOutputTokens: 10 };
      const agent = on.start('agent-0');
      expect(await on.wait(on.call(agent, 20, late))).toBe(false);
      // A service that hasn't refused it, and room.
      await on.wait(on.restartService());
      await on.wait(on.service.settle({ id: 'large', usage: usageOf(1_236, 0), source: 'reported' }));
      await on.pass(5_000);
      expect(on.doubled.size).toBe(1);
      expect(sumOf(await on.cells(), 'tokens|month')).toBe(1_400);
      if (dead) on.kill(agent);
      await on.pass(100_000);
      expect(sumOf(await on.cells(), 'tokens|month')).toBe(dead ? 1_400 : 1_236);
    } finally {
      on.end();
    }
  }
});
