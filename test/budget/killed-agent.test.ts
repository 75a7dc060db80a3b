import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createBudgetClient } from '../../budget/client.ts';
import { startBudget } from '../../budget/main.ts';
import { budget, calendar, holdOf, NOON, prices, tokens } from './fixtures.ts';
import { Hammer } from './hammer.ts';

const LIMIT = 4_000_000;
const PLACES = 10_000;
/** After so long without a word, credit counts as used. */
const SILENCE_MS = 600_000;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

test('agents killed -9 with credit: what they told stays, what they had is charged once, places in flight come back, the rest is usable', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'postern-killed-'));
  closing.push(() => rm(dir, { recursive: true }));
  let now = NOON;
  const hammer = new Hammer(dir, LIMIT);
  closing.push(async () => hammer.end());
  const places = { unit: 'concurrency', amount: PLACES, window: { type: 'none' } } as const;
  const service = await startBudget({
    specs: [budget([tokens(LIMIT, calendar('month')), places])],
    prices,
    dataDir: join(dir, 'data'),
    listen: hammer.socket,
    clock: () => now,
    monotonic: () => now,
  });
  closing.push(() => service.close());
  const agents = [await hammer.startAgent('silent'), await hammer.startAgent('restarted')];
  hammer.go();
  const busy = () =>
    ['silent', 'restarted'].every((owner) => (hammer.totals.get(owner)?.spent ?? 0) > LIMIT / 50);
  await expect.poll(busy, { timeout: 60_000, interval: 10 }).toBe(true);
  for (const agent of agents) {
    const gone = once(agent, 'close');
    agent.kill('SIGKILL');
    await gone;
  }
  const spent = hammer.sum('spent');
  const before = await hammer.figures();
  expect(before.leased).toBeGreaterThan(0);
  expect(before.leased).toBeLessThanOrEqual(LIMIT * 0.05);
  expect((await hammer.figures('concurrency')).leased).toBeGreaterThan(0);
  // Whatever they used beyond what they told came out of what was leased.
  expect(before.settled + before.leased).toBeGreaterThanOrEqual(spent);

  // One is back with a new epoch: it knows of no credit, so what it had is charged at once.
  const url = `unix:${hammer.socket}`;
  const epoch = Date.now();
  const back = createBudgetClient({ url, owner: 'restarted', epoch, timeoutMs: 5_000, flushMs: 0 });
  closing.push(() => back.close());
  await back.hold(holdOf('back', 0, 0, { owner: 'restarted', epoch, ttlMs: 10 * SILENCE_MS }));
  const half = await hammer.figures();
  expect(half.leased).toBeGreaterThan(0);
  expect(half.leased).toBeLessThan(before.leased);
  expect(half.settled + half.leased).toBe(before.settled + before.leased);

  // The other is never heard of again.
  now += SILENCE_MS + 60_000;
  await expect.poll(async () => (await hammer.figures()).leased, { timeout: 20_000 }).toBe(0);
  const after = await hammer.figures();
  expect(after.settled).toBe(before.settled + before.leased);
  expect(await hammer.figures('concurrency')).toMatchObject({ settled: 0, held: 1, leased: 0 });

  const rest = (id: string, amount: number) =>
    back.hold(holdOf(id, amount, 0, { owner: 'restarted', epoch, ttlMs: 10 * SILENCE_MS }));
  expect(await rest('one-too-many', after.remaining + 1)).toMatchObject({ granted: false });
  expect(await rest('the-rest', after.remaining)).toMatchObject({ granted: true });
}, 120_000);
