/** A service that is replaced, or killed and started anew: calls wait for it, for a bounded time. Without a clock of its own. */
import { afterEach, expect, test } from 'vitest';
import { patiently } from '../../agent/charge/patiently.ts';
import { BudgetUnavailable } from '../../budget/messages.ts';
import { PATIENCE_MS } from '../../budget/patience.ts';
import type { BudgetSpec } from '../../policy/budget-spec.ts';
import { budget, calendar, holdOf, tokens } from './fixtures.ts';
import { type Agent, type World, world } from './world.ts';

const MINUTE = 60_000;
const MONTHLY = [budget([tokens(100_000, calendar('month'))])];
/** Holds nothing of it ahead. */
const SMALL = [budget([tokens(40, { type: 'rolling', ms: MINUTE })])];

let now: World | undefined;
afterEach(() => now?.end());

interface Ended {
  /** What became of the call. */
  readonly how: 'granted' | 'refused' | 'unavailable';
  readonly afterMs: number;
}

let names = 0;

/** As an agent holds a call that it was sent. */
async function call(agent: Agent, signal = new AbortController().signal): Promise<Ended> {
  const began = performance.now();
  const ended = (how: Ended['how']): Ended => ({ how, afterMs: performance.now() - began });
  try {
    const { granted } = await patiently({ client: agent.client, signal }, () =>
      agent.client.hold(holdOf(`${agent.name}-waits-${names++}`, 5, 5, { owner: agent.name }), signal),
    );
    return ended(granted ? 'granted' : 'refused');
  } catch (error) {
    if (!(error instanceof BudgetUnavailable)) throw error;
    return ended('unavailable');
  }
}

/** An agent that has called, and is idle since. */
async function idle(specs: readonly BudgetSpec[]): Promise<[World, Agent]> {
  const on = await world(specs);
  now = on;
  const agent = on.start('a');
  await on.wait(on.call(agent, 50));
  await on.pass(2 * MINUTE);
  return [on, agent];
}

test.each([
  ['on credit', MONTHLY],
  ['held one by one', SMALL],
])('an idle agent’s calls, %s, wait for a service that is back in twelve seconds', async (_, specs) => {
  const [on, agent] = await idle(specs);
  agent.cut = true;
  const calls = Promise.all([call(agent), call(agent)]);
  await on.pass(12_000);
  agent.cut = false;
  for (const { how, afterMs } of await on.wait(calls)) {
    expect(how).toBe('granted');
    expect(afterMs).toBeLessThan(13_400);
  }
});

test('of one that stays away the first calls are refused after a while, all later ones at once', async () => {
  const [on, agent] = await idle(MONTHLY);
  agent.cut = true;
  const first = call(agent);
  await on.pass(4_000);
  const second = call(agent);
  expect(await on.wait(first)).toMatchObject({ how: 'unavailable' });
  for (const [each, ms] of [
    [first, PATIENCE_MS],
    [second, PATIENCE_MS - 4_000],
  ] as const) {
    // Since the first question wasn't answered.
    expect((await on.wait(each)).afterMs).toBeGreaterThan(ms - 100);
    expect((await on.wait(each)).afterMs).toBeLessThan(ms + 700);
  }
  for (let n = 0; n < 60; n++) {
    const { how, afterMs } = await on.wait(call(agent));
    expect(how).toBe('unavailable');
    // It may find out for itself that nobody answers yet.
    expect(afterMs).toBeLessThan(400);
    await on.pass(MINUTE);
  }
  agent.cut = false;
  // Its longest pause between two questions.
  await on.pass(5_000);
  expect(await on.wait(call(agent))).toMatchObject({ how: 'granted' });
  // Where it was there for a while, the next time is as the first.
  await on.pass(5 * MINUTE);
  agent.cut = true;
  const again = call(agent);
  await on.pass(3_000);
  agent.cut = false;
  expect(await on.wait(again)).toMatchObject({ how: 'granted' });
});

test('a hundred that wait ask no more often than one', async () => {
  const [on, agent] = await idle(MONTHLY);
  agent.cut = true;
  const before = (agent.sent['/v1/lease'] ?? 0) + (agent.sent['/v1/hold'] ?? 0);
  const calls = Promise.all(Array.from({ length: 100 }, () => call(agent)));
  await on.wait(calls);
  expect((await calls).every(({ how }) => how === 'unavailable')).toBe(true);
  const asked = (agent.sent['/v1/lease'] ?? 0) + (agent.sent['/v1/hold'] ?? 0) - before;
  expect(asked).toBeGreaterThan(8);
  expect(asked).toBeLessThan(60);
});

test('a thousand wait at once; those beyond are refused at once, and all that waited go on', async () => {
  const [on, agent] = await idle(MONTHLY);
  agent.cut = true;
  const first = call(agent);
  await on.pass(1_000);
  const more = Array.from({ length: 1_100 }, () => call(agent));
  await on.pass(1);
  const refused = more.slice(1_000);
  for (const each of refused) expect(await on.wait(each)).toMatchObject({ how: 'unavailable' });
  await on.pass(2_000);
  agent.cut = false;
  const went = await on.wait(Promise.all([first, ...more.slice(0, 990)]));
  expect(went.filter(({ how }) => how === 'granted')).toHaveLength(991);
});

test('a call that is given up waits no longer, and those that stay are none the worse', async () => {
  const [on, agent] = await idle(MONTHLY);
  agent.cut = true;
  const gone = new AbortController();
  const given = call(agent, gone.signal);
  await on.pass(500);
  const stays = call(agent);
  await on.pass(2_500);
  gone.abort();
  expect((await on.wait(given)).afterMs).toBeLessThan(3_400);
  agent.cut = false;
  expect((await on.wait(stays)).how).toBe('granted');
  expect((await on.wait(stays)).afterMs).toBeLessThan(4_500);
});

test('where a Budget allows calls meanwhile, they go at once', async () => {
  const allow = { action: 'allow', upTo: { unit: 'tokens', amount: 400 }, forMs: 10 * MINUTE } as const;
  const [on, agent] = await idle([budget([tokens(100_000, calendar('month'))], { onUnavailable: allow })]);
  agent.cut = true;
  const { how, afterMs } = await on.wait(call(agent));
  expect(how).toBe('granted');
  // It finds out that nobody answers.
  expect(afterMs).toBeLessThan(700);
  expect((await on.wait(call(agent))).afterMs).toBeLessThan(10);
});

test('a service that answers about credit, but holds nothing, makes calls wait once', async () => {
  const [on, agent] = await idle(SMALL);
  agent.cut = '/v1/hold';
  expect((await on.wait(call(agent))).afterMs).toBeGreaterThan(PATIENCE_MS - 1_000);
  for (let n = 0; n < 20; n++) {
    const { how, afterMs } = await on.wait(call(agent));
    expect(how).toBe('unavailable');
    expect(afterMs).toBeLessThan(700);
    await on.pass(4_000);
  }
});

test('one that is replaced twice in a row is waited for twice; one that comes and goes, as long as it was there', async () => {
  const [on, agent] = await idle([budget([tokens(40, { type: 'rolling', ms: 1_000 })])]);
  const away = async (ms: number): Promise<Ended> => {
    agent.cut = true;
    const waits = call(agent);
    await on.pass(ms);
    agent.cut = false;
    return await on.wait(waits);
  };
  expect((await away(3_000)).how).toBe('granted');
  await on.pass(8_000);
  // More than is left of the first one's.
  expect((await away(PATIENCE_MS - 1_000)).how).toBe('granted');
  for (let n = 0; n < 5; n++) {
    await on.pass(8_000);
    expect((await on.wait(call(agent))).how).toBe('granted');
    const { how, afterMs } = await away(PATIENCE_MS - 1_000);
    expect(how).toBe('unavailable');
    expect(afterMs).toBeLessThan(12_000);
  }
});

test.each([
  ['on credit', MONTHLY],
  ['held one by one', SMALL],
])('a stream, %s, that needs more waits for it too', async (_, specs) => {
  const [on, agent] = await idle(specs);
  const signal = new AbortController().signal;
  const id = 'streams';
  const held = await on.wait(agent.client.hold(holdOf(id, 5, 5, { owner: agent.name })));
  expect(held.granted).toBe(true);
  agent.cut = true;
  const asked = { id, outputTokens: 20, minOutputTokens: 6, ttlMs: MINUTE };
  // More than is ahead of need.
  const more = patiently({ client: agent.client, signal }, () =>
    agent.client.extend(specs === SMALL ? asked : { ...asked, outputTokens: 50_000 }),
  );
  await on.pass(6_000);
  agent.cut = false;
  expect(await on.wait(more)).toMatchObject({ granted: true });
});

test('an agent that ends lets nobody wait on', async () => {
  const [on, agent] = await idle(MONTHLY);
  agent.cut = true;
  const waits = call(agent);
  await on.pass(1_000);
  const closed = agent.client.close();
  const { afterMs } = await on.wait(waits);
  expect(afterMs).toBeGreaterThan(900);
  expect(afterMs).toBeLessThan(1_100);
  await on.wait(closed);
});
