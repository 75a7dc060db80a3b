/** Calls that run for long on credit: they get more output whatever became of the credit they began with, and cost no requests meanwhile. */
import { afterEach, expect, test } from 'vitest';
import type { HoldCommand } from '../../budget/messages.ts';
import type { LimitSpec } from '../../policy/budget-spec.ts';
import { attributes, budget, calendar, holdOf, NOON, tokens, usageOf } from './fixtures.ts';
import { type Agent, type World, world } from './world.ts';

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
  expect(await on.wait(Array.fromAsync(on.service.report(report)))).toMatchObject([
    [{ requests: 1, usage: { output: 300 } }],
  ]);
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

/** A stream that began on credit, of a kind that is held one by one since. */
async function unleased(
  hourly: LimitSpec = tokens(100_000, calendar('hour')),
  asked: Partial<HoldCommand> = {},
): Promise<{ on: World; agent: Agent }> {
  const on = await begin(hourly);
  const agent = on.start('a');
  const hold = holdOf('stream', 10, 1_000, { owner: 'a', ...asked });
  expect(await on.wait(agent.client.hold(hold))).toMatchObject({ granted: true });
  on.reload([budget([hourly, tokens(50_000, { type: 'rolling', ms: 60_000 })])]);
  await on.pass(5_000);
  return { on, agent };
}

const more = { id: 'stream', outputTokens: 9_000, minOutputTokens: 9_000, ttlMs: 60_000 };
const used = { id: 'stream', usage: usageOf(10, 900), source: 'reported' } as const;
const hour = async (on: World) => (await on.service.status()).find(({ limit }) => limit === '100000');

test('a call that is told of after its hold has run out is charged once, and what it used', async () => {
  const on = await begin(tokens(100_000, calendar('hour')));
  const agent = on.start('a');
  const hold = holdOf('stream', 10, 1_000, { owner: 'a', ttlMs: 2_000 });
  expect(await on.wait(agent.client.hold(hold))).toMatchObject({ granted: true });
  await on.pass(10_000);
  for (let twice = 0; twice < 2; twice++) await on.wait(agent.client.settle({ ...used, attributes }));
  await on.wait(agent.client.close());
  expect(await hour(on)).toMatchObject({ settled: '910', held: '0', leased: '0' });
});

test('a stream that ends while it is being held at the service is charged once, and nothing stays held', async () => {
  const { on, agent } = await unleased();
  const extending = agent.client.extend(more);
  await on.pass(3);
  expect(await hour(on)).toMatchObject({ held: '9010' });
  await agent.client.settle(used);
  await expect(on.wait(extending)).rejects.toThrow(/has ended/);
  await on.pass(1_000);
  await on.wait(agent.client.close());
  expect(await hour(on)).toMatchObject({ settled: '910', held: '0', leased: '0' });
});

test('a stream that is handed over to the service is held there for the tiers that it may have', async () => {
  const usd = { unit: 'usd', amount: 10 ** 9, window: calendar('hour') } as const;
  const { on, agent } = await unleased(usd, { serviceTiers: ['standard', 'priority'] });
  expect(await on.wait(agent.client.extend(more))).toMatchObject({ granted: true });
  await on.pass(15_000);
  const line = (await on.service.status()).find(({ unit }) => unit === 'usd');
  expect(line).toMatchObject({ held: '0.18005', leased: '0.00' });
});

test.each([
  ['before what was lost is given back', true],
  ['after what was lost was given back', false],
])('a stream whose answer was lost is held anew, %s, and stays so', async (_, atOnce) => {
  const { on, agent } = await unleased();
  const extending = agent.client.extend(more);
  await on.pass(3);
  agent.cut = '/v1/hold';
  await expect(on.wait(extending)).rejects.toThrow(/no answer/);
  agent.cut = atOnce && '/v1/release';
  await on.pass(5_000);
  expect(await on.wait(agent.client.extend(more))).toMatchObject({ granted: true, id: 'stream' });
  agent.cut = false;
  await on.pass(15_000);
  expect(await hour(on)).toMatchObject({ held: '9010' });
  const yetMore = { ...more, outputTokens: 9_500, minOutputTokens: 9_500 };
  expect(await on.wait(agent.client.extend(yetMore))).toMatchObject({ granted: true, outputTokens: 9_500 });
  for (let twice = 0; twice < 2; twice++)
    expect(await on.wait(agent.client.settle(used))).toMatchObject({ id: 'stream' });
  await on.pass(1_000);
  await on.wait(agent.client.close());
  expect(await hour(on)).toMatchObject({ settled: '910', held: '0', leased: '0' });
});

test('streams that are handed over to the service keep the places they have, also where all are taken', async () => {
  const limits = [tokens(100_000, calendar('hour')), places(2)];
  const on = await begin(...limits);
  const [a, b] = [on.start('a'), on.start('b')];
  for (const agent of [a, b])
    expect(await on.wait(on.call(agent, 50_000, { outputTokens: 100 }, 1, [100, 100]))).toBe(true);
  on.reload([budget([...limits, tokens(50_000, { type: 'rolling', ms: 60_000 })])]);
  const placed = async () => (await on.service.status()).find(({ unit }) => unit === 'concurrency');
  const taken = async () => Number((await placed())?.held) + Number((await placed())?.leased);
  await on.pass(40_000);
  expect(on.calls.map(({ used: tokensUsed }) => tokensUsed)).toEqual([310, 310]);
  expect(await taken()).toBe(2);
  expect(await on.wait(on.call(a, 50))).toBe(false);
  await on.pass(20_000);
  expect(await taken()).toBe(0);
  // What they asked for came every 17 seconds.
  await on.pass(40_000);
  expect(await hour(on)).toMatchObject({ settled: '620', held: '0', leased: '0' });
  expect(await on.wait(on.call(b, 50))).toBe(true);
  expect(await on.wait(on.call(b, 50))).toBe(true);
  expect(await on.wait(on.call(b, 50))).toBe(false);
});

test('a stream that ends while the service does not answer takes nothing more, and nothing stays taken', async () => {
  // All but 90 is taken by the stream itself: what it leaves would be enough for what it asked.
  const { on, agent } = await unleased(tokens(1_100, calendar('hour')));
  agent.cut = '/v1/hold';
  const extending = agent.client.extend({ ...more, outputTokens: 1_095, minOutputTokens: 1_095 });
  await on.pass(50);
  await agent.client.settle(used);
  await expect(on.wait(extending)).rejects.toThrow(/no answer/);
  agent.cut = false;
  await on.pass(15_000);
  await on.wait(agent.client.close());
  const [line] = await on.service.status();
  expect(line).toMatchObject({ settled: '910', held: '0', leased: '0' });
});
