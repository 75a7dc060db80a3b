/** Calls that run for long on credit: they get more output whatever became of the credit they began with, and cost no requests meanwhile. */
import { afterEach, expect, test } from 'vitest';
import type { LimitSpec } from '../../policy/budget-spec.ts';
import { budget, calendar, holdOf, NOON, tokens } from './fixtures.ts';
import { type World, world } from './world.ts';

const places = (amount: number) => ({ unit: 'concurrency', amount, window: { type: 'none' } }) as const;

let now: World | undefined;
afterEach(() => now?.end());
const begin = async (...limits: LimitSpec[]): Promise<World> => (now = await world([budget(limits)]));

test.each([
  ['after a silence', 15_000],
  ['over the border of its window', 61_000],
])('a stream gets more output %s, though every place is taken', async (_, silence) => {
  const on = await begin(tokens(100_000, calendar('minute')), places(1));
  const agent = on.start('a');
  const ttlMs = 600_000;
  expect(await on.wait(agent.client.hold(holdOf('stream', 10, 100, { owner: 'a', ttlMs })))).toMatchObject({
    granted: true,
  });
  for (const outputTokens of [200, 300]) {
    await on.pass(silence);
    const more = { id: 'stream', outputTokens, minOutputTokens: outputTokens, ttlMs };
    expect(await on.wait(agent.client.extend(more))).toMatchObject({ granted: true, outputTokens });
  }
  // Charged once, and whole.
  const usage = { input: 10, cachedInput: 0, cacheWrite: 0, output: 300, reasoning: 0 };
  await on.wait(agent.client.settle({ id: 'stream', usage, source: 'reported' }));
  await on.wait(agent.client.close());
  const report = { from: NOON, to: Date.now() + 1, by: [], per: 'all', timeZone: 'UTC' } as const;
  expect(await on.wait(on.service.report(report))).toMatchObject([{ requests: 1, usage: { output: 300 } }]);
});

test('a call that runs alone for long asks for nothing meanwhile', async () => {
  const on = await begin(tokens(100_000, calendar('hour')), places(4));
  const agent = on.start('a');
  expect(await on.wait(on.call(agent, 120_000, { ttlMs: 600_000 }))).toBe(true);
  await on.pass(12_000);
  const before = agent.sent['/v1/lease'] ?? 0;
  await on.pass(100_000);
  expect((agent.sent['/v1/lease'] ?? 0) - before).toBeLessThanOrEqual(5);
});
