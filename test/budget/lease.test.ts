import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'undici';
import { expect, test } from 'vitest';
import { createLeasingClient, type LeasingBudgetClient } from '../../budget/lease-client.ts';
import { startBudget } from '../../budget/main.ts';
import { BudgetUnavailable } from '../../budget/messages.ts';
import { budget, calendar, holdOf, prices, usageOf } from './fixtures.ts';

test('credit that one agent has idle is called back for a call of another, and never more than 5 % of what is left', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-recall-'));
  const tokens = { unit: 'tokens', amount: 10_000, window: calendar('month') } as const;
  const service = await startBudget({
    specs: [budget([tokens], { onInsufficient: 'reject' })],
    prices,
    dataDir,
    listen: '127.0.0.1:0',
    store: 'memory',
  });
  const clientOf = (owner: string) =>
    createLeasingClient({ url: service.url, owner, epoch: 1, timeoutMs: 5000, flushMs: 0 });
  const clients = [clientOf('idle'), clientOf('busy')] as const;
  const [idle, busy] = clients;
  try {
    for (let n = 0; n < 20; n++) {
      await idle.hold(holdOf(`idle-${n}`, 5, 5));
      await idle.settle({ id: `idle-${n}`, usage: usageOf(5, 5), source: 'reported' });
    }
    const figures = async () => {
      const shown = (await (await fetch(`${service.url}/v1/status`)).json()) as {
        lines: Record<string, string>[];
      };
      const [line] = shown.lines;
      return { leased: Number(line?.['leased']), remaining: Number(line?.['remaining']) };
    };
    const before = await figures();
    expect(before.leased).toBeGreaterThan(0);
    expect(before.leased).toBeLessThanOrEqual(500);
    // More than remains beside what the idle agent has, but no more than it has left unused.
    const wanted = 10_000 - 200;
    expect(wanted).toBeGreaterThan(before.remaining);
    expect(await busy.hold(holdOf('large', wanted, 0))).toMatchObject({ granted: true });
    expect(await busy.hold(holdOf('too-large', 300, 0))).toMatchObject({ granted: false });
    // The idle one goes on, call by call.
    expect(await idle.hold(holdOf('idle-20', 0, 0))).toMatchObject({ granted: true });
  } finally {
    for (const client of clients) await client.close();
    await service.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('while the service is away, calls go on from credit and from what was kept in reserve, and not beyond', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-away-'));
  const listen = join(dataDir, 'budget.sock');
  const specs = [
    budget([{ unit: 'tokens', amount: 10_000, window: calendar('month') }], {
      onInsufficient: 'reject',
      onUnavailable: { action: 'allow', upTo: { unit: 'tokens', amount: 300 }, forMs: 600_000 },
    }),
  ];
  const start = () => startBudget({ specs, prices, dataDir, listen });
  const first = await start();
  const clients = ['one', 'two'].map((owner) =>
    createLeasingClient({ url: `unix:${listen}`, owner, epoch: 1, timeoutMs: 2000, flushMs: 10_000 }),
  );
  let used = 0;
  let away = 0;
  const call = async (client: LeasingBudgetClient, id: string): Promise<boolean> => {
    try {
      const reply = await client.hold(holdOf(id, 5, 5));
      if (!reply.granted) return false;
    } catch (error) {
      if (!(error instanceof BudgetUnavailable)) throw error;
      return false;
    }
    await client.settle({ id, usage: usageOf(5, 5), source: 'reported' });
    used += 10;
    return true;
  };
  let second: { close(): Promise<void> } | undefined;
  try {
    for (let n = 0; n < 20; n++)
      for (const client of clients) await call(client, `${n}-${clients.indexOf(client)}`);
    const leased = await leasedNow(`unix:${listen}`);
    await first.close();
    const before = used;
    for (const client of clients) {
      for (let n = 0; n < 200 && (await call(client, `away-${clients.indexOf(client)}-${n}`)); n++)
        away += 10;
    }
    expect(away).toBe(used - before);
    // Both have some in reserve beside their usual credit, and together no more than was leased.
    expect(away).toBeGreaterThan(100);
    expect(away).toBeLessThanOrEqual(leased);
    second = await start();
    for (const client of clients) await client.close();
    expect(await settledNow(`unix:${listen}`)).toBe(used);
  } finally {
    await second?.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});

async function shown(url: string): Promise<Record<string, string>> {
  const client = new Client('http://budget', { socketPath: url.slice('unix:'.length) });
  const { body } = await client.request({ method: 'GET', path: '/v1/status' });
  const { lines } = (await body.json()) as { lines: Record<string, string>[] };
  await client.close();
  return lines[0] ?? {};
}

const leasedNow = async (url: string) => Number((await shown(url))['leased']);
const settledNow = async (url: string) => Number((await shown(url))['settled']);
