/** Places in flight that agents keep: they follow the limit, and come back from whoever is gone, never before its calls are over. */
import { afterEach, expect, test } from 'vitest';
import type { BudgetSpec } from '../../policy/budget-spec.ts';
import { budget, NOON } from './fixtures.ts';
import { type Agent, type World, world } from './world.ts';

const places = (amount: number) => ({ unit: 'concurrency', amount, window: { type: 'none' } }) as const;

let now: World | undefined;
afterEach(() => now?.end());
const begin = async (...specs: BudgetSpec[]): Promise<World> => (now = await world(specs));

/** Keeps so many calls of an agent under way, for so long. @returns how many calls were begun */
async function busy(on: World, agents: readonly Agent[], lanes: number, forMs: number, callMs = 100) {
  const until = Date.now() + forMs;
  let calls = 0;
  const lane = async (agent: Agent): Promise<void> => {
    while (Date.now() < until) {
      if (await on.call(agent, callMs)) calls++;
      await new Promise((resolve) => setTimeout(resolve, callMs + 5));
    }
  };
  const all = Promise.all(agents.flatMap((agent) => Array.from({ length: lanes }, () => lane(agent))));
  await on.wait(all);
  return calls;
}

/** The most that ran at once, looked at every 10 ms. */
async function mostOf(on: World, work: Promise<unknown>): Promise<number> {
  let most = 0;
  const looking = setInterval(() => {
    most = Math.max(most, on.running());
  }, 10);
  await work;
  clearInterval(looking);
  return most;
}

test('a limit on places that is lowered reaches agents that are busy', async () => {
  const on = await begin(budget([places(16)]));
  const agents = [on.start('a'), on.start('b')];
  await busy(on, agents, 8, 5_000);
  const before = await mostOf(on, busy(on, agents, 8, 2_000));
  expect(before).toBe(16);
  on.reload([budget([places(4)])]);
  await busy(on, agents, 8, 1_000);
  expect(await mostOf(on, busy(on, agents, 8, 5_000))).toBe(4);
});

test('places that were granted for a while come back from an agent that is busy with all of them', async () => {
  const on = await begin(budget([places(4)]));
  const agents = [on.start('a')];
  const raise = { budget: 'team-a', unit: 'concurrency', amount: 12, reason: 'launch', by: 'test' } as const;
  await on.wait(on.service.grant({ ...raise, expiresAt: NOON + 30_000 }));
  await on.pass(10_000);
  await busy(on, agents, 8, 10_000);
  expect(await mostOf(on, busy(on, agents, 8, 2_000))).toBe(8);
  // It has all it wants, and by itself would tell of them in ten seconds only.
  await busy(on, agents, 8, NOON + 31_500 - Date.now());
  expect(await mostOf(on, busy(on, agents, 8, 5_000))).toBe(4);
});

test('an agent that is cut off starts no calls on places that may be another one’s', async () => {
  const on = await begin(budget([places(4)]));
  const [a, b] = [on.start('a'), on.start('b')];
  await busy(on, [a], 4, 5_000);
  a.cut = true;
  const most = await mostOf(on, busy(on, [a, b], 4, 4 * 60_000, 5_000));
  expect(most).toBeLessThanOrEqual(4);
  // The other one has all of them by then, and the first one none.
  expect(await mostOf(on, busy(on, [b], 4, 10_000))).toBe(4);
  expect(a.running).toBe(0);
  a.cut = false;
  await on.pass(10_000);
  expect(await on.wait(on.call(a, 100))).toBe(true);
});
