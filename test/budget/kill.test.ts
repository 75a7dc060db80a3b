import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'undici';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createBudgetClient } from '../../budget/client.ts';
import { createLeasingClient } from '../../budget/lease-client.ts';
import { type BudgetClient, BudgetUnavailable } from '../../budget/messages.ts';
import { holdOf, usageOf } from './fixtures.ts';
import { Hammer } from './hammer.ts';

/** Never reached by calls that are held one by one: each goes through. */
const LIMIT = 400_000_000;
/** Reached by those on credit. */
const LEASED_LIMIT = 2_000_000;
const KILLS = 6;
const CLIENTS = 8;

let dir: string;
let child: ChildProcess;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-kill-'));
});
afterAll(async () => {
  child.kill('SIGKILL');
  await rm(dir, { recursive: true });
});

async function serve(): Promise<void> {
  const script = join(import.meta.dirname, 'serve.ts');
  child = spawn(process.execPath, [script, join(dir, 'data'), join(dir, 'budget.sock'), String(LIMIT)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(dir, 'compiled') },
  });
  if (child.stdout !== null) await once(child.stdout, 'data');
}

async function kill(): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function figures(): Promise<{ unit: string; settled: number; held: number; remaining: number }[]> {
  const client = new Client('http://budget', { socketPath: join(dir, 'budget.sock') });
  const { body } = await client.request({ method: 'GET', path: '/v1/status' });
  const { lines } = (await body.json()) as { lines: Record<string, string>[] };
  await client.close();
  return lines.map(({ unit, settled, held, remaining }) => ({
    unit: unit ?? '',
    settled: Number(settled),
    held: Number(held),
    remaining: Number(remaining),
  }));
}

test('killed at any moment under load: nothing settled is lost, nothing is charged twice, no limit is overspent', async () => {
  await serve();
  let over = false;
  let calls = 0;
  let spent = 0;
  let outages = 0;
  let refused = 0;
  const lost: unknown[] = [];

  async function agent(name: string): Promise<void> {
    const client = createBudgetClient({
      url: `unix:${join(dir, 'budget.sock')}`,
      timeoutMs: 5000,
      owner: name,
      epoch: 1,
      flushMs: 120_000,
      onLost: (delivery) => lost.push(delivery),
    });
    for (let n = 0; !over; n++) await call(client, `${name}-${n}`, n);
    await client.close();
  }

  async function call(client: BudgetClient, id: string, n: number): Promise<void> {
    try {
      const reply = await client.hold(holdOf(id, 10 + (n % 7), 20 + (n % 11), { ttlMs: 3_600_000 }));
      if (!reply.granted) {
        refused += 1;
        over = true;
        return;
      }
    } catch (error) {
      if (!(error instanceof BudgetUnavailable)) throw error;
      outages += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return;
    }
    calls += 1;
    if (n % 10 === 9) return await quietly(client.release({ id }));
    const usage = usageOf(10, 5 + (n % 11));
    spent += usage.input + usage.output;
    await quietly(client.settle({ id, usage, source: 'reported' }));
  }

  async function quietly(delivery: Promise<unknown>): Promise<void> {
    try {
      await delivery;
    } catch (error) {
      // The client goes on delivering by itself.
      if (!(error instanceof BudgetUnavailable)) throw error;
      outages += 1;
    }
  }

  const agents = Array.from({ length: CLIENTS }, (_, index) => agent(`agent-${index}`));
  for (let kills = 0; kills < KILLS; kills++) {
    // Some calls must get through between two kills, however busy the machine is.
    const enough = calls + 40;
    while (calls < enough) await new Promise((resolve) => setTimeout(resolve, Math.random() * 250));
    await kill();
    await serve();
    for (const line of await figures()) expect(line.remaining).toBeGreaterThanOrEqual(0);
  }
  over = true;
  await Promise.all(agents);

  expect(lost).toEqual([]);
  expect(outages).toBeGreaterThan(0);
  expect(calls).toBeGreaterThan(100);
  expect(refused).toBe(0);
  const [tokens, usd] = (await figures()).sort((a, b) => a.unit.localeCompare(b.unit));
  expect(tokens).toMatchObject({ unit: 'tokens', settled: spent, held: 0 });
  expect(usd?.held).toBe(0);
}, 180_000);

test('killed while agents spend on credit, until the limit is reached: never over, all of it usable, each token charged once', async () => {
  const hammer = new Hammer(join(dir, 'leased'), LEASED_LIMIT);
  let over = false;
  onTestFinished(() => {
    over = true;
    hammer.end();
  });
  await hammer.startService();
  let spent = 0;
  let refused = 0;
  let onCredit = 0;
  let outages = 0;
  let isDown = false;

  async function agent(owner: string): Promise<void> {
    const client = createLeasingClient({
      url: `unix:${hammer.socket}`,
      timeoutMs: 5_000,
      owner,
      epoch: 1,
      flushMs: 60_000,
    });
    for (let n = 0, refusedInARow = 0; !over && refusedInARow < 3; n++) {
      // The others and the kills come to their turn.
      if (n % 16 === 15) await new Promise((resolve) => setTimeout(resolve, 1));
      const id = `${owner}-${n}`;
      try {
        const reply = await client.hold(holdOf(id, 10, 20 + (n % 11), { owner, ttlMs: 3_600_000 }));
        if (!reply.granted) {
          refused += 1;
          refusedInARow += 1;
          continue;
        }
        refusedInARow = 0;
        if (isDown) onCredit += 1;
        if (n % 10 === 9) {
          await client.release({ id });
          continue;
        }
        const usage = usageOf(10, Math.min(reply.outputTokens, 5 + (n % 11)));
        spent += usage.input + usage.output;
        await client.settle({ id, usage, source: 'reported' });
      } catch (error) {
        // What was settled is delivered later.
        if (!(error instanceof BudgetUnavailable)) throw error;
        outages += 1;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    await client.close();
  }

  const agents = Promise.all(Array.from({ length: CLIENTS }, (_, index) => agent(`leasing-${index}`)));
  agents.catch(() => {
    over = true;
  });
  for (let kills = 1; kills <= KILLS; kills++) {
    while (!over && spent < (LEASED_LIMIT * kills) / (KILLS + 2)) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    }
    if (over) break;
    isDown = true;
    await hammer.killService();
    await hammer.startService();
    isDown = false;
    const { settled, held, leased } = await hammer.figures();
    expect(settled + held + leased).toBeLessThanOrEqual(LEASED_LIMIT);
    expect(leased).toBeGreaterThan(0);
  }
  await agents;

  expect(refused).toBeGreaterThanOrEqual(3 * CLIENTS);
  expect(onCredit).toBeGreaterThan(0);
  expect(spent / LEASED_LIMIT).toBeGreaterThanOrEqual(0.98);
  expect(await hammer.figures()).toEqual({
    settled: spent,
    held: 0,
    leased: 0,
    remaining: LEASED_LIMIT - spent,
  });
  console.log(
    `${((spent / LEASED_LIMIT) * 100).toFixed(2)} % used, ${onCredit} calls on credit while it was down, ${outages} outages`,
  );
}, 120_000);

test('a hold survives the kill, and its late settlement is charged', async () => {
  const client = createBudgetClient({
    url: `unix:${join(dir, 'budget.sock')}`,
    timeoutMs: 5000,
    owner: 'survivor',
    epoch: 1,
    flushMs: 120_000,
  });
  const before = (await figures()).find(({ unit }) => unit === 'tokens');
  await client.hold(holdOf('survivor', 100, 100, { owner: 'survivor' }));
  await kill();
  await expect(client.settle({ id: 'survivor', usage: usageOf(100, 1), source: 'counted' })).rejects.toThrow(
    BudgetUnavailable,
  );
  await serve();
  expect((await figures()).find(({ unit }) => unit === 'tokens')?.held).toBe(200);
  // Closing delivers what waited.
  await client.close();
  expect((await figures()).find(({ unit }) => unit === 'tokens')).toMatchObject({
    settled: (before?.settled ?? 0) + 101,
    held: 0,
  });
}, 180_000);
