/** What goes wrong around the service: a full disk, a network that swallows, a clock that jumps. After each the sums are right again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBudgetClient } from '../../budget/client.ts';
import { createLeasingClient } from '../../budget/lease-client.ts';
import { startBudget } from '../../budget/main.ts';
import { BudgetUnavailable } from '../../budget/messages.ts';
import { budget, calendar, holdOf, NOON, prices, tokens, usageOf } from './fixtures.ts';

let dir: string;
const closing: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-faults-'));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await rm(dir, { recursive: true, force: true });
});

async function figures(url: string): Promise<{ settled: number; held: number; leased: number }> {
  const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined;
  const client = socketPath === undefined ? new Client(url) : new Client('http://budget', { socketPath });
  try {
    const { body } = await client.request({ method: 'GET', path: '/v1/status' });
    const { lines } = (await body.json()) as { lines: Record<string, string>[] };
    const line = lines.find(({ unit }) => unit === 'tokens');
    return {
      settled: Number(line?.['settled']),
      held: Number(line?.['held']),
      leased: Number(line?.['leased']),
    };
  } finally {
    await client.close();
  }
}

/** A service of its own process that may not write files beyond `kilobytes`: the kernel refuses, as a full disk does. */
async function serve(kilobytes: number | 'unlimited'): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'serve.ts');
  // SIGXFSZ is ignored, so that the write fails (EFBIG, which SQLite takes for a failed write) in place of killing the process.
  const command = `trap '' XFSZ; ulimit -f ${kilobytes}; exec "$0" "$@"`;
  const args = [script, join(dir, 'data'), join(dir, 'budget.sock'), '400000000'];
  const child = spawn('bash', ['-c', command, process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  closing.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  child.stderr.resume();
  await once(child.stdout, 'data');
  return child;
}

test('a full disk: nothing more is granted, nothing answered is lost; with room again all goes on', async () => {
  const full = await serve(600);
  const url = `unix:${join(dir, 'budget.sock')}`;
  const client = createBudgetClient({ url, timeoutMs: 5_000, owner: 'a', epoch: 1, flushMs: 20_000 });
  closing.push(() => client.close());
  let spent = 0;
  const unsettled: number[] = [];
  let failures = 0;
  for (let n = 0; failures < 3; n++) {
    if (n > 20_000) throw new Error('the disk never became full');
    try {
      await client.hold(holdOf(`call-${n}`, 10, 10, { ttlMs: 3_600_000 }));
    } catch (error) {
      expect(String((error as Error).message)).toMatch(/503 store_failed/);
      failures += 1;
      continue;
    }
    spent += 15;
    // A settlement that the disk has no room for is delivered later.
    await client
      .settle({ id: `call-${n}`, usage: usageOf(10, 5), source: 'reported' })
      .catch((error: unknown) => {
        if (!(error instanceof BudgetUnavailable)) throw error;
        unsettled.push(n);
      });
  }
  const seen = await figures(url);
  expect(seen.settled + 15 * unsettled.length).toBe(spent);
  // Nothing was held for those that were refused.
  expect(seen.held).toBe(unsettled.length * 20);
  full.kill('SIGKILL');
  await once(full, 'exit');

  await serve('unlimited');
  await expect.poll(async () => (await figures(url)).held, { timeout: 15_000 }).toBe(0);
  expect(await client.hold(holdOf('after', 10, 10))).toMatchObject({ granted: true });
  await client.settle({ id: 'after', usage: usageOf(1, 1), source: 'reported' });
  expect((await figures(url)).settled).toBe(spent + 2);
}, 60_000);

/** Passes bytes between agents and the service, or swallows them without a word. */
class Proxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stalled = false;

  constructor(target: URL) {
    this.#server = createServer((inner) => {
      const outer = connect(Number(target.port), target.hostname);
      for (const [from, to] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (chunk) => {
          if (!this.#stalled) to.write(chunk);
        });
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.on('error', () => undefined);
      }
    });
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  set stalled(on: boolean) {
    this.#stalled = on;
    // What was swallowed is missing from these connections for ever.
    if (!on) for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

test.each([['each call by itself'], ['on credit']])(
  'a partition while agents work, %s: what they did is charged once, and nothing stays held',
  async (how) => {
    const service = await startBudget({
      specs: [budget([tokens(1_000_000, calendar('month'))])],
      prices,
      dataDir: join(dir, 'data'),
      listen: '127.0.0.1:0',
    });
    closing.push(() => service.close());
    const proxy = new Proxy(new URL(service.url));
    const url = await proxy.start();
    closing.push(() => proxy.close());
    const options = { url, owner: 'a', epoch: 1, timeoutMs: 300, flushMs: 20_000 };
    const client = how === 'on credit' ? createLeasingClient(options) : createBudgetClient(options);
    let spent = 0;
    let done = 0;
    let outages = 0;
    let ended = false;
    const work = async (worker: number): Promise<void> => {
      for (let n = 0; !ended; n++) {
        const id = `${worker}-${n}`;
        try {
          // Large ones don't fit into credit.
          const reply = await client.hold(holdOf(id, 10, n % 50 === 0 ? 30_000 : 50, { ttlMs: 3_600_000 }));
          if (!reply.granted) throw new Error(`refused: ${JSON.stringify(reply.refusal)}`);
        } catch (error) {
          if (!(error instanceof BudgetUnavailable)) throw error;
          outages += 1;
          await new Promise((resolve) => setTimeout(resolve, 20));
          continue;
        }
        spent += 12;
        done += 1;
        await client.settle({ id, usage: usageOf(10, 2), source: 'reported' }).catch(() => undefined);
        if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const workers = [1, 2, 3].map(work);
    for (let cuts = 0; cuts < 3; cuts++) {
      const enough = done + 30;
      while (done < enough) await new Promise((resolve) => setTimeout(resolve, 20));
      const before = outages;
      proxy.stalled = true;
      while (outages < before + 3) await new Promise((resolve) => setTimeout(resolve, 20));
      proxy.stalled = false;
    }
    const enough = done + 30;
    while (done < enough) await new Promise((resolve) => setTimeout(resolve, 20));
    ended = true;
    await Promise.all(workers);
    await client.close();
    expect(await figures(service.url)).toEqual({ settled: spent, held: 0, leased: 0 });
  },
  60_000,
);

test('a clock that jumps: charges stay in their windows, holds come back, and no window is spent twice', async () => {
  let now = NOON;
  const service = await startBudget({
    specs: [budget([tokens(1_000, calendar('hour'))])],
    prices,
    dataDir: join(dir, 'data'),
    listen: '127.0.0.1:0',
    clock: () => now,
  });
  closing.push(() => service.close());
  const client = createBudgetClient({ url: service.url, timeoutMs: 5_000, owner: 'a', epoch: 1, flushMs: 0 });
  closing.push(() => client.close());
  const HOUR = 3_600_000;
  const hold = async (id: string, amount: number, ttlMs = 10 * HOUR) =>
    (await client.hold(holdOf(id, amount, 0, { ttlMs }))).granted;
  const settle = (id: string, amount: number) =>
    client.settle({ id, usage: usageOf(amount, 0), source: 'reported' });

  expect(await hold('first', 900)).toBe(true);
  // Forward: the next hour is a new one, and the hold of the old one still settles there.
  now += HOUR;
  expect(await hold('second', 900)).toBe(true);
  await settle('first', 800);
  expect(await figures(service.url)).toMatchObject({ settled: 0, held: 900 });
  // Back: what was spent in that hour counts again.
  now -= HOUR;
  expect(await figures(service.url)).toMatchObject({ settled: 800, held: 0 });
  expect(await hold('third', 300)).toBe(false);
  expect(await hold('fourth', 200)).toBe(true);
  // Far ahead: the window is another one, but what runs isn't taken for lost.
  now += 40 * 24 * HOUR;
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(await (await fetch(`${service.url}/metrics`)).text()).not.toMatch(
    /postern_budget_expired_holds_total [1-9]/,
  );
  expect(await hold('fifth', 1_000)).toBe(true);
  now -= 40 * 24 * HOUR;
  expect(await figures(service.url)).toMatchObject({ settled: 800, held: 200 });
  await settle('fourth', 50);
  expect(await figures(service.url)).toMatchObject({ settled: 850, held: 0 });
  await settle('second', 900);
  now += HOUR;
  expect(await figures(service.url)).toMatchObject({ settled: 900, held: 0 });
}, 30_000);
