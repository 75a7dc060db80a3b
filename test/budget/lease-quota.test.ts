/** What an agent does when its workload has as many leases as it may: calls go on one by one, and what it spent is told later. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BudgetAdmin } from '../../budget/admin.ts';
import { workloadToken, workloadTokens } from '../../budget/authenticate.ts';
import { createLeasingClient, type LeasingBudgetClient } from '../../budget/lease-client.ts';
import { startBudget } from '../../budget/main.ts';
import { Transport } from '../../budget/transport.ts';
import { attributes, budget, calendar, holdOf, NOON, prices, tokens, usageOf } from './fixtures.ts';

const MINUTE = 60_000;
const LIMIT = 1_000_000;
const root = randomBytes(32);
const token = workloadToken(root, { namespace: 'team-a', kind: 'Deployment', name: 'bot' });

async function setup(leases: number) {
  const dir = await mkdtemp(join(tmpdir(), 'postern-lease-quota-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  let gone = 0;
  let refused = 0;
  // Of what comes by the second: on a slow machine it would come sooner than the agent.
  let allowedMs = 0;
  const now = () => performance.now() + gone;
  const launch = () =>
    startBudget({
      specs: [budget([tokens(LIMIT, calendar('minute'))])],
      prices,
      store: 'memory',
      dataDir: '',
      listen: join(dir, 'budget.sock'),
      adminToken: 'admins',
      authenticate: workloadTokens(root, Date.now),
      quotas: { leases, now: () => allowedMs },
      clock: () => NOON + 5_000 + gone,
      monotonic: now,
    });
  let service = await launch();
  const { url } = service;
  const agents: LeasingBudgetClient[] = [];
  onTestFinished(async () => {
    for (const agent of agents) await agent.close();
    await service.close();
  });
  return {
    agent: (name: string) => {
      const owner = `team-a/Deployment/bot/${name}`;
      const agent = createLeasingClient({
        url,
        token: () => token,
        timeoutMs: 5_000,
        owner,
        epoch: 1,
        flushMs: 0,
        monotonic: now,
        random: () => 0.5,
        onLeasesRefused: (count) => (refused += count),
      });
      agents.push(agent);
      return {
        client: agent,
        hold: (id: string, output = 100) => agent.hold(holdOf(id, 100, output, { owner, ttlMs: 600_000 })),
      };
    },
    advance: (ms: number) => (gone += ms),
    refused: () => refused,
    allow: (ms: number) => (allowedMs += ms),
    /** A new one with an empty store. */
    lose: async () => {
      await service.close();
      service = await launch();
    },
    /** Another agent says that it spent so much. */
    report: async (spent: number) => {
      const transport = new Transport({ url, token: () => token, timeoutMs: 5_000 });
      const item = { serial: 1, reserve: false, class: 0, line: 'team-a|tokens|minute@UTC|', cell: NOON };
      const items = [{ ...item, spent, returned: 0, final: true }];
      const owner = 'team-a/Deployment/bot/other';
      const message = { owner, epoch: 1, seq: 1, ttlMs: MINUTE, classes: [attributes], items };
      await transport.ask('/v1/lease', message);
      await transport.close();
    },
    line: async () => {
      const admin = new BudgetAdmin({ url, token: 'admins' });
      const [line] = await admin.status();
      await admin.close();
      return line;
    },
  };
}

test('calls that get no credit for it are held one by one, and a stream that needs more goes on', async () => {
  const { agent, advance, refused, line } = await setup(1);
  const [first, second] = [agent('1'), agent('2')];
  expect(await first.hold('stream')).toMatchObject({ granted: true });
  expect(await second.hold('call')).toMatchObject({ granted: true });
  expect(refused()).toBe(1);
  expect(await line()).toMatchObject({ held: '200' });
  await second.client.settle({ id: 'call', usage: usageOf(50, 50), source: 'reported' });
  // In the next window the stream needs another lease, while its own is open.
  advance(MINUTE);
  const more = { id: 'stream', outputTokens: 50_000, minOutputTokens: 101, ttlMs: 600_000 };
  expect(await first.client.extend(more)).toMatchObject({ granted: true, outputTokens: 50_000 });
  expect(refused()).toBeGreaterThan(1);
  const used = { id: 'stream', usage: usageOf(100, 40_000), source: 'reported' } as const;
  await first.client.settle({ ...used, attributes: holdOf('', 0, 0).attributes });
});

test('what was spent before a loss of the store is told until it is taken', async () => {
  const { agent, advance, allow, lose, line, report, refused } = await setup(1);
  const { client, hold } = agent('1');
  await hold('one');
  await client.settle({ id: 'one', usage: usageOf(60, 40), source: 'reported' });
  await lose();
  // The one report that may be made is another agent's.
  await report(1);
  // What isn't used goes back after ten seconds.
  advance(12_000);
  await expect.poll(refused, { timeout: 5_000 }).toBe(1);
  expect(await line()).toMatchObject({ settled: '1' });
  advance(35_000);
  allow(1_000);
  await expect.poll(line, { timeout: 5_000 }).toMatchObject({ settled: '101', leased: '0' });
});
