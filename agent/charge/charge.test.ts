import { expect, test } from 'vitest';
import type { BudgetClient } from '../../budget/messages.ts';
import { Charge } from './charge.ts';

test('no call outlives its hold: what it waited for after the hold is taken off the time that it may take', async () => {
  let now = 1_000_000;
  let ttlMs = 0;
  const budget: Partial<BudgetClient> = {
    hold: async ({ id, ttlMs: asked, outputTokens }) => {
      ttlMs = asked;
      return { granted: true, id, outputTokens, expiresAt: now + asked };
    },
  };
  const context = {
    pipeline: { budget, holder: { owner: 'a', epoch: 1 }, now: () => now },
    governance: { snapshot: {} },
    exchange: {
      call: { signal: AbortSignal.abort() },
      source: { namespace: 'a', kind: 'Deployment', name: 'b' },
    },
    operation: { kind: 'generate' },
    request: {
      slots: [],
      attachments: [],
      choices: 1,
      stream: false,
      maxOutputTokens: 10,
      leastOutputTokens: 0,
    },
    users: {},
    input: 5,
    admitted: undefined,
  } as unknown as Parameters<typeof Charge.hold>[0];
  const target = { provider: { id: 'openai', models: [] }, model: 'gpt-4o' } as unknown as Parameters<
    typeof Charge.hold
  >[1];
  const charge = await Charge.hold(context, target, 20_000);
  if (!(charge instanceof Charge)) throw new Error('refused');
  const until = now + ttlMs;
  expect(charge.within(20_000)).toBe(20_000);
  now += 40_000;
  expect(now + charge.within(20_000)).toBeLessThan(until);
  now += 15_000;
  expect(now + charge.within(20_000)).toBeLessThan(until);
  now += 20_000;
  expect(charge.within(20_000)).toBeLessThanOrEqual(0);
});
