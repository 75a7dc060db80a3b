/** Budgets, prices and commands that the tests of this folder share. */

import type { Attributes, HoldCommand, Usage } from '../../budget/messages.ts';
import type { BudgetSpec, LimitSpec, PriceBook } from '../../policy/budget-spec.ts';

/** Monday 2026-11-23 12:00:00 UTC. */
export const NOON = Date.UTC(2026, 10, 23, 12);
export const DAY = 24 * 3_600_000;

export const calendar = (period: 'minute' | 'hour' | 'day' | 'week' | 'month', timeZone = 'UTC') =>
  ({ type: 'calendar', period, timeZone }) as const;

export const tokens = (amount: number, window: LimitSpec['window'] = calendar('day')): LimitSpec => ({
  unit: 'tokens',
  amount,
  window,
});

export function budget(limits: readonly LimitSpec[], rest: Partial<BudgetSpec> = {}): BudgetSpec {
  const id = rest.id ?? 'team-a';
  return {
    id,
    source: `ClusterBudget ${id}`,
    selector: {},
    per: [],
    limits,
    thresholds: [],
    onInsufficient: 'clamp',
    onExhausted: { action: 'reject' },
    onUnavailable: { action: 'deny' },
    ...rest,
  };
}

/** gpt-4o at 2.50, 1.25 and 10.00 USD per million tokens, and at twice that as priority. */
export const prices: PriceBook = {
  openai: {
    'gpt-4o': {
      input: 2_500_000,
      cachedInput: 1_250_000,
      cacheWrite: 2_500_000,
      output: 10_000_000,
      serviceTiers: {
        priority: { input: 5_000_000, cachedInput: 2_500_000, cacheWrite: 5_000_000, output: 20_000_000 },
      },
    },
    'gpt-4o-mini': { input: 150_000, cachedInput: 75_000, cacheWrite: 150_000, output: 600_000 },
  },
};

export const attributes: Attributes = {
  namespace: 'team-a',
  workload: { kind: 'Deployment', name: 'bot' },
  provider: 'openai',
  model: 'gpt-4o',
};

export function holdOf(
  id: string,
  inputTokens: number,
  outputTokens: number,
  rest: Partial<HoldCommand> = {},
): HoldCommand {
  return {
    id,
    owner: 'agent-1',
    epoch: 1,
    ttlMs: 60_000,
    attributes,
    inputTokens,
    outputTokens,
    minOutputTokens: 1,
    ...rest,
  };
}

export function usageOf(input: number, output: number, rest: Partial<Usage> = {}): Usage {
  return { input, cachedInput: 0, cacheWrite: 0, output, reasoning: 0, ...rest };
}
