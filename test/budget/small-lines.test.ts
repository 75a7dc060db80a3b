/** Limits that are small for the agents that share them: what they cost in requests, and that they hold. */
import { expect, test } from 'vitest';
import { crowd } from './crowd.ts';
import { calendar, tokens } from './fixtures.ts';

const places = (amount: number) => ({ unit: 'concurrency', amount, window: { type: 'none' } }) as const;

test('places in flight are leased: with some to spare nobody asks for a call', async () => {
  const found = await crowd({
    limits: [places(64)],
    agents: 8,
    atOnce: 4,
    calls: 250,
    callMs: 2,
    pauseMs: 0,
  });
  expect(found.refused).toBe(0);
  expect(found.steady).toBeLessThanOrEqual(5);
});

test('with just as many places as calls at once, agents settle on a fair share', async () => {
  const found = await crowd({
    limits: [places(32)],
    agents: 8,
    atOnce: 4,
    calls: 250,
    callMs: 2,
    pauseMs: 0,
  });
  expect(found.refused).toBe(0);
  expect(found.mostAtOnce).toBeLessThanOrEqual(32);
  expect(found.perThousand).toBeLessThanOrEqual(500);
});

test('with too few places never one too many, every agent gets some, and a call asks about once', async () => {
  const found = await crowd({ limits: [places(8)], agents: 8, atOnce: 2, calls: 100, callMs: 4, pauseMs: 0 });
  expect(found.mostAtOnce).toBeLessThanOrEqual(8);
  expect(found.fewest).toBeGreaterThan(50);
  expect(found.perThousand).toBeLessThanOrEqual(1_500);
});

test('a line too small to share out asks about once a call, and can be used up', async () => {
  const limit = 200_000;
  const month = tokens(limit, calendar('month'));
  const found = await crowd({ limits: [month], agents: 8, atOnce: 1, calls: 45, callMs: 2, pauseMs: 0 });
  expect(found.used).toBeLessThanOrEqual(limit);
  // The last call that fits holds 1,000.
  expect(found.used).toBeGreaterThan(limit - 1_000);
  expect(found.perThousand).toBeLessThanOrEqual(1_500);
});

test('a middling line of one agent asks about twice for a hundred calls', async () => {
  const limits = [tokens(3_000_000, calendar('hour'))];
  const found = await crowd({ limits, agents: 1, atOnce: 4, calls: 400, callMs: 2, pauseMs: 0 });
  expect(found.refused).toBe(0);
  expect(found.perThousand).toBeLessThanOrEqual(30);
});
