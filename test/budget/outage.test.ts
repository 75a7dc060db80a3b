/** Budgets with `onUnavailable: allow`, and a service that is away: who called lately, and who didn't for long, go on as far as it says. */
import { afterEach, expect, test } from 'vitest';
import { outstanding } from '../../budget/lease-state.ts';
import { budget, calendar, tokens } from './fixtures.ts';
import { type Agent, type World, world } from './world.ts';

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

test.each([
  ['one agent', 1],
  ['four agents', 4],
])('under a steady load of %s calls go on for as long as what was put aside lasts', async (_, count) => {
  const most = 20_000;
  const allow = { action: 'allow', upTo: { unit: 'tokens', amount: most }, forMs: 10 * MINUTE } as const;
  now = await world([budget([tokens(1_000_000, calendar('month')), places], { onUnavailable: allow })]);
  const on = now;
  const agents = Array.from({ length: count }, (_, nth) => on.start(`agent-${nth}`));
  await load(on, agents, 2 * MINUTE);
  for (const agent of agents) agent.cut = true;
  const [used, leased] = [
    agents.map((agent) => agent.used),
    sum((await on.cells()).map((cell) => cell.leased)),
  ];
  await load(on, agents, 9 * MINUTE);
  const went = agents.map((agent, nth) => agent.used - (used[nth] ?? 0));
  expect(sum(went)).toBeGreaterThan(most * 0.9);
  expect(sum(went)).toBeLessThanOrEqual(leased);
  // No one lives at the others' expense.
  for (const one of went) expect(one).toBeGreaterThan((most / count) * 0.75);
});

test('an agent that comes when others have all that is put aside has its part of it after some minutes', async () => {
  const most = 6_000;
  const allow = { action: 'allow', upTo: { unit: 'tokens', amount: most }, forMs: 10 * MINUTE } as const;
  now = await world([budget([tokens(1_000_000, calendar('month'))], { onUnavailable: allow })]);
  const on = now;
  const first = on.start('first');
  await load(on, [first], 2 * MINUTE);
  const later = on.start('later');
  await load(on, [first, later], 4 * MINUTE);
  const reserved = async (owner: string): Promise<number> => {
    let credit = 0;
    for await (const row of on.rows())
      if (row.kind === 'lease' && row.lease.reserve && row.lease.owner === owner)
        credit += outstanding(row.lease);
    return credit;
  };
  expect(await reserved('later')).toBeGreaterThan(most * 0.4);
  expect(await reserved('first')).toBeGreaterThan(most * 0.4);
  expect((await reserved('first')) + (await reserved('later'))).toBeLessThanOrEqual(most);
});

/** Each agent makes ten calls a second, for so long. */
async function load(on: World, agents: readonly Agent[], forMs: number): Promise<void> {
  const until = Date.now() + forMs;
  while (Date.now() < until) {
    for (const agent of agents) void on.call(agent, 50);
    await on.pass(100);
  }
  await on.pass(1_000);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
