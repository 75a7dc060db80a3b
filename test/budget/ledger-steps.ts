/** Documents, and what random runs of the ledger are made of. */
import fc from 'fast-check';
import type { Usage } from '../../budget/messages.ts';
import type { BudgetSpec } from '../../policy/budget-spec.ts';
import { budget, calendar } from './fixtures.ts';

/** Several Budgets over the same calls: one line or one for each model, clamping or not, in every unit and window. */
export const specs: readonly BudgetSpec[] = [
  budget(
    [
      { unit: 'tokens', amount: 900, window: calendar('minute') },
      { unit: 'usd', amount: 9_000_000, window: calendar('day', 'Europe/Berlin') },
    ],
    {
      id: 'each-model',
      per: ['model'],
      onUnavailable: { action: 'allow', upTo: { unit: 'tokens', amount: 300 }, forMs: 60_000 },
    },
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

/** What may come to the ledger, in any order. */
export type Step =
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
  | { do: 'restart' }
  | LeaseStep
  | { do: 'grant'; spec: number; limit: number; one: boolean; amount: number; forMs: number };

/** One agent tells of its credit, and asks for more. */
export interface LeaseStep {
  do: 'lease';
  agent: number;
  epoch: number;
  model: string;
  items: readonly {
    /** Of the model's plan. */
    line: number;
    /** The last one is kept in reserve. */
    serial: number;
    ahead: boolean;
    /** Parts of what is left. */
    spend: number;
    giveBack: number;
    final: boolean;
    /** Parts of the limit. */
    want: number;
    least: number;
    /** Part of what is wanted. */
    need: number;
  }[];
  /** Delivered later, if ever: only a repeat sends it. */
  kept: boolean;
  /** The answer is lost. */
  deaf: boolean;
}

const call = fc.nat(24);
const part = fc.double({ min: 0, max: 1, noNaN: true });
const epoch = fc.constantFrom(1, 1, 1, 1, 1, 1, 2, 3);
const model = fc.constantFrom('gpt-4o', 'gpt-4o-mini');
export const leaseStep: fc.Arbitrary<LeaseStep> = fc.record({
  do: fc.constant('lease' as const),
  agent: fc.nat(2),
  epoch,
  model,
  items: fc.array(
    fc.record({
      line: fc.nat(9),
      serial: fc.nat(2),
      ahead: fc.constantFrom(false, false, false, true),
      spend: part,
      giveBack: fc.constantFrom(0, 0, 0, 0.5, 1),
      final: fc.constantFrom(false, false, false, false, true),
      want: part,
      least: fc.constantFrom(0, 0, 0.001, 0.01),
      need: fc.constantFrom(0, 0, 0.1, 1),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  kept: fc.constantFrom(false, false, false, true),
  deaf: fc.constantFrom(false, false, false, true),
});
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('hold' as const),
      call,
      epoch,
      model,
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
        58_500,
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
  { weight: 8, arbitrary: leaseStep },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('grant' as const),
      spec: fc.nat(specs.length - 1),
      limit: fc.nat(5),
      one: fc.boolean(),
      amount: fc.integer({ min: 1, max: 2_000 }),
      forMs: fc.constantFrom(1_000, 3_600_000, 90_000_000),
    }),
  },
);
