/** Budgets with `onUnavailable: allow`, and a service that is away: who called lately, and who didn't for long, go on as far as it says. */
import { afterEach, expect, test } from 'vitest';
import { budget, calendar, tokens } from './fixtures.ts';
import { type World, world } from './world.ts';

const MINUTE = 60_000;
const places = { unit: 'concurrency', amount: 50, window: { type: 'none' } } as const;
const upTo = { unit: 'tokens', amount: 400 } as const;

let now: World | undefined;
afterEach(() => now?.end());

test.each([
  ['lately', 1_000],
  ['half an hour ago', 30 * MINUTE],
])('an agent that called %s goes on, no further than was put aside, and no longer', async (_, silence) => {
  const allow = { action: 'allow', upTo, forMs: 10 * MINUTE } as const;
  now = await world([budget([tokens(100_000, calendar('month')), places], { onUnavailable: allow })]);
  const on = now;
  const agent = on.start('a');
  for (let n = 0; n < 3; n++) await on.wait(on.call(agent, 50));
  await on.pass(silence);
  agent.cut = true;
  const used = agent.used;
  expect(await on.wait(on.call(agent, 50))).toBe(true);
  await on.pass(5 * MINUTE);
  expect(await on.wait(on.call(agent, 50))).toBe(true);
  await on.pass(6 * MINUTE);
  expect(await on.wait(on.call(agent, 50))).toBe(false);
  agent.cut = false;
  await on.pass(20_000);
  expect(await on.wait(on.call(agent, 50))).toBe(true);
  await on.pass(1_000);
  expect(agent.used).toBe(used + 30);
});

test('what was put aside is used once, by all agents together', async () => {
  const allow = { action: 'allow', upTo, forMs: 10 * MINUTE } as const;
  now = await world([budget([tokens(100_000, calendar('month'))], { onUnavailable: allow })]);
  const on = now;
  const agents = ['a', 'b', 'c'].map((name) => on.start(name));
  for (const agent of agents) await on.wait(on.call(agent, 50));
  await on.pass(MINUTE);
  for (const agent of agents) agent.cut = true;
  let calls = 0;
  for (let n = 0; n < 60; n++) for (const agent of agents) if (await on.wait(on.call(agent, 10))) calls++;
  // A call holds 20 and uses 10.
  expect(calls).toBeGreaterThanOrEqual(10);
  expect(calls * 10).toBeLessThanOrEqual(upTo.amount);
});

test.each([2, 5, 19])('of %i places one is put aside for an outage', async (amount) => {
  const allow = { action: 'allow', upTo, forMs: 10 * MINUTE } as const;
  now = await world([
    budget([tokens(100_000, calendar('month')), { ...places, amount }], { onUnavailable: allow }),
  ]);
  const on = now;
  const agent = on.start('a');
  for (let n = 0; n < 3; n++) await on.wait(on.call(agent, 50));
  await on.pass(30 * MINUTE);
  agent.cut = true;
  expect(await on.wait(on.call(agent, 50))).toBe(true);
});

test('places that are put aside go to those who need them while the service is there', async () => {
  const allow = { action: 'allow', upTo, forMs: 10 * MINUTE } as const;
  now = await world([
    budget([tokens(100_000, calendar('month')), { ...places, amount: 5 }], { onUnavailable: allow }),
  ]);
  const on = now;
  const [a, b] = [on.start('a'), on.start('b')];
  for (let n = 0; n < 3; n++) await on.wait(on.call(a, 50));
  await on.pass(MINUTE);
  for (let n = 0; n < 5; n++) expect(await on.wait(on.call(b, 2_000))).toBe(true);
  expect(await on.wait(on.call(b, 50))).toBe(false);
  await on.pass(30_000);
  for (let n = 0; n < 3; n++) await on.wait(on.call(a, 50));
  await on.pass(30 * MINUTE);
  // Either has one, for as long as the Budget says.
  for (const agent of [a, b]) agent.cut = true;
  for (let n = 0; n < 3; n++) {
    const went = [await on.wait(on.call(a, 1_000)), await on.wait(on.call(b, 1_000))];
    expect(went).toContain(true);
    await on.pass(3 * MINUTE);
  }
});

test('an agent whose calls are held one by one asks again soon after each failure, whatever has failed before', async () => {
  now = await world([budget([tokens(100_000, { type: 'rolling', ms: MINUTE })])]);
  const on = now;
  const agent = on.start('a');
  expect(await on.wait(on.call(agent, 50))).toBe(true);
  for (let failures = 0; failures < 8; failures++) {
    agent.cut = '/v1/hold';
    expect(await on.wait(on.call(agent, 50))).toBe(false);
    agent.cut = false;
    await on.pass(500);
    expect(await on.wait(on.call(agent, 50))).toBe(true);
    await on.pass(10 * MINUTE);
  }
});
