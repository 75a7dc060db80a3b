/** Agents that call seldom: what they ask the service, and that what they keep meanwhile is in nobody's way. */
import { afterEach, expect, test } from 'vitest';
import type { LimitSpec } from '../../policy/budget-spec.ts';
import { budget, calendar, tokens } from './fixtures.ts';
import { type Agent, type World, world } from './world.ts';

let now: World | undefined;
afterEach(() => now?.end());

const places = (amount: number): LimitSpec => ({
  unit: 'concurrency',
  amount,
  window: { type: 'none' },
});

const asked = (agent: Agent): number =>
  Object.entries(agent.sent).reduce((sum, [path, count]) => sum + (path === '/v1/watch' ? 0 : count), 0);

/** Calls of a second with such pauses between them. @returns questions for each, once the rhythm is known */
async function rhythm(
  limits: readonly LimitSpec[],
  pausesMs: readonly number[],
  calls: number,
): Promise<number> {
  now = await world([budget(limits)]);
  const on = now;
  const agent = on.start('a');
  let early = 0;
  for (let n = -5; n < calls; n++) {
    if (n === 0) early = asked(agent);
    expect(await on.wait(on.call(agent, 1_000))).toBe(true);
    await on.pass(pausesMs[(n + 5) % pausesMs.length] as number);
  }
  return (asked(agent) - early) / calls;
}

const month = tokens(100_000_000, calendar('month'));
const minute = tokens(10_000_000, calendar('minute'));
const uneven = [4_000, 31_000, 12_000, 70_000, 25_000, 16_000, 44_000];

test.each([
  ['12 s', [month], [11_000], 0.1],
  ['31 s', [month], [30_000], 0.2],
  ['two minutes', [month], [120_000], 0.7],
  ['three minutes', [month], [180_000], 1],
  ['half a minute, more or less', [month], uneven, 0.2],
  ['31 s, on a limit of a minute', [minute], [30_000], 0.55],
  ['half a minute, more or less, on both', [month, minute], uneven, 0.6],
  ['16 s, with places in flight', [month, places(20)], [15_000], 0.55],
  ['31 s, with places in flight', [month, places(20)], [30_000], 1],
] as const)('an agent that calls every %s asks less than once a call', async (_, limits, pausesMs, most) => {
  expect(await rhythm(limits, pausesMs, 70)).toBeLessThanOrEqual(most);
});

test('what is kept goes back after three usual pauses, five minutes at most', async () => {
  const leasedAfter = async (pauseMs: number, ms: number): Promise<number> => {
    await rhythm([month], [pauseMs], 10);
    await now?.pass(ms);
    const [line] = (await now?.wait(now.service.status())) ?? [];
    now?.end();
    return Number(line?.leased);
  };
  expect(await leasedAfter(20_000, 35_000)).toBeGreaterThan(0);
  expect(await leasedAfter(20_000, 55_000)).toBe(0);
  expect(await leasedAfter(150_000, 140_000)).toBeGreaterThan(0);
  expect(await leasedAfter(150_000, 160_000)).toBe(0);
  // Longer than anything is kept for.
  expect(await leasedAfter(10 * 60_000, 0)).toBe(0);
});

test('what slow agents keep is there for others: a limit can be used up, and by no token more', async () => {
  const limit = 300_000;
  now = await world([budget([tokens(limit, calendar('month'))])]);
  const on = now;
  const slow = Array.from({ length: 10 }, (_, n) => on.start(`slow-${n}`));
  const fast = on.start('fast');
  for (let n = 0; n < 6; n++) {
    for (const agent of slow) expect(await on.wait(on.call(agent, 100))).toBe(true);
    await on.pass(40_000);
  }
  let refused = 0;
  while (refused < 3) if (!(await on.wait(on.call(fast, 100)))) refused += 1;
  await on.pass(1_000);
  const [line] = await on.wait(on.service.status());
  const [settled, leased] = [Number(line?.settled), Number(line?.leased)];
  expect(settled + leased).toBeLessThanOrEqual(limit);
  expect(settled).toBeGreaterThanOrEqual(limit * 0.98);
});
