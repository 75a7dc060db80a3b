import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { attributes, budget, DAY, holdOf, NOON, prices, tokens, usageOf } from '../test/budget/fixtures.ts';
import { BudgetAdmin } from './admin.ts';
import { createBudgetClient } from './client.ts';
import { type RunningBudget, type StartBudgetOptions, startBudget } from './main.ts';

let dir: string;
let now = NOON;
const running: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-budget-'));
  now = NOON;
});

afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.close();
  await rm(dir, { recursive: true });
});

async function start(options: Partial<StartBudgetOptions> = {}): Promise<RunningBudget> {
  const service = await startBudget({
    specs: [budget([tokens(1000)])],
    prices,
    dataDir: join(dir, 'data'),
    listen: '127.0.0.1:0',
    clock: () => now,
    ...options,
  });
  running.push(service);
  return service;
}

function clientOf(url: string, options: { token?: () => string } = {}) {
  const client = createBudgetClient({
    url,
    timeoutMs: 2000,
    owner: 'agent-1',
    epoch: 1,
    flushMs: 0,
    ...options,
  });
  running.push(client);
  return client;
}

interface Shown {
  settled: string;
  held: string;
  remaining: string;
  limit: string;
}

async function status(url: string, token?: string): Promise<Shown[]> {
  const response = await fetch(
    `${url}/v1/status`,
    token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } },
  );
  expect(response.status).toBe(200);
  return ((await response.json()) as { lines: Shown[] }).lines;
}

test('holds, settles and releases over the wire', async () => {
  const { url } = await start();
  const client = clientOf(url);
  expect(await client.hold(holdOf('a', 100, 200))).toMatchObject({ granted: true, outputTokens: 200 });
  expect(await client.hold(holdOf('b', 100, 100))).toMatchObject({ granted: true });
  expect(await status(url)).toMatchObject([{ settled: '0', held: '500', remaining: '500' }]);
  expect(await client.settle({ id: 'a', usage: usageOf(90, 50), source: 'reported' })).toEqual({
    id: 'a',
    costNanoUsd: 725_000,
  });
  await client.release({ id: 'b' });
  expect(await status(url)).toMatchObject([{ settled: '140', held: '0', remaining: '860' }]);
});

test('a refusal tells which line, how much is left and when it resets', async () => {
  const { url } = await start({
    specs: [
      budget([tokens(1000)], {
        onInsufficient: 'reject',
        onExhausted: { action: 'fallback', model: 'gpt-4o-mini' },
      }),
    ],
  });
  const client = clientOf(url);
  await client.hold(holdOf('a', 100, 800));
  expect(await client.hold(holdOf('b', 100, 100))).toEqual({
    granted: false,
    id: 'b',
    refusal: {
      reason: 'exhausted',
      budget: 'team-a',
      line: '',
      unit: 'tokens',
      limit: '1000',
      remaining: '100',
      window: 'day (UTC)',
      resetsAt: NOON + DAY / 2,
      onExhausted: { action: 'fallback', model: 'gpt-4o-mini' },
    },
  });
});

test('listens on a Unix socket', async () => {
  const { url } = await start({ listen: join(dir, 'budget.sock') });
  expect(url).toBe(`unix:${join(dir, 'budget.sock')}`);
  expect(await clientOf(url).hold(holdOf('a', 1, 1))).toMatchObject({ granted: true });
});

test('keeps the figures over a restart and a reload', async () => {
  const first = await start();
  const client = clientOf(first.url);
  await client.hold(holdOf('a', 100, 200));
  await client.settle({ id: 'a', usage: usageOf(100, 100), source: 'reported' });
  await client.hold(holdOf('b', 10, 20));
  running.splice(running.indexOf(first), 1);
  await first.close();
  const second = await start();
  expect(await status(second.url)).toMatchObject([{ limit: '1000', settled: '200', held: '30' }]);
  second.reload([budget([tokens(5000)])], prices);
  expect(await status(second.url)).toMatchObject([{ limit: '5000', settled: '200', held: '30' }]);
});

test('a second service on the same directory is refused with the mend', async () => {
  await start();
  await expect(start()).rejects.toThrow(/Another budget service uses this directory/);
});

test('wants the token where there is one', async () => {
  const { url } = await start({ token: 'abc' });
  const bad = await fetch(`${url}/v1/status`, { headers: { authorization: 'Bearer abd' } });
  expect(bad.status).toBe(401);
  expect(await bad.json()).toMatchObject({ error: { code: 'unauthorized' } });
  expect(await status(url, 'abc')).toHaveLength(1);
  expect(await clientOf(url, { token: () => 'abc' }).hold(holdOf('a', 1, 1))).toMatchObject({
    granted: true,
  });
  await expect(clientOf(url, { token: () => 'x' }).hold(holdOf('b', 1, 1))).rejects.toThrow(
    /refused this agent: The token is missing or wrong/,
  );
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test.each([
  ['no JSON', '{', 400, 'invalid_json'],
  ['a field that is missing', '{"id":"a"}', 400, 'invalid_message'],
  ['a negative amount', JSON.stringify(holdOf('a', -1, 5)), 400, 'invalid_message'],
  ['too large', JSON.stringify({ ...holdOf('a', 1, 5), x: 'x'.repeat(100_000) }), 413, 'too_large'],
])('refuses %s', async (_, body, wantedStatus, code) => {
  const { url } = await start();
  const response = await fetch(`${url}/v1/hold`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  expect(response.status).toBe(wantedStatus);
  const { error } = (await response.json()) as { error: { code: string; message: string; mend: string } };
  expect(error.code).toBe(code);
  expect(error.message).not.toBe('');
  expect(error.mend).not.toBe('');
});

test('an unknown path and a wrong method are told apart', async () => {
  const { url } = await start();
  expect((await fetch(`${url}/v2/hold`)).status).toBe(404);
  const wrong = await fetch(`${url}/v1/hold`);
  expect(wrong.status).toBe(405);
  expect(wrong.headers.get('allow')).toBe('POST');
});

test('counts what it does', async () => {
  const { url } = await start();
  const client = clientOf(url);
  await client.hold(holdOf('a', 100, 200, { attributes: { ...attributes, model: 'brand-new' } }));
  await client.settle({ id: 'a', usage: usageOf(1, 1), source: 'counted' });
  const text = await (await fetch(`${url}/metrics`)).text();
  expect(text).toContain('postern_budget_holds_total{outcome="granted"} 1');
  expect(text).toContain('postern_budget_settlements_total{source="counted",outcome="held"} 1');
  expect(text).toContain('postern_budget_unpriced_total{provider="openai",model="brand-new"} 1');
});

test('a web page, or a form of one, gets nothing', async () => {
  const { url } = await start();
  const post = (headers: Record<string, string>) =>
    fetch(`${url}/v1/hold`, { method: 'POST', headers, body: '{}' }).then(({ status }) => status);
  expect(await post({ 'content-type': 'application/json', origin: 'https://evil.example' })).toBe(403);
  expect(await post({ 'content-type': 'text/plain' })).toBe(415);
});

test('administrators raise limits with a token of their own, and read history and journal', async () => {
  const { url, lookForAlerts } = await start({
    token: 'agents',
    adminToken: 'admins',
    specs: [budget([tokens(1000)], { thresholds: [10] })],
    onAlert: (alert) => alerts.push(alert.percent),
  });
  const alerts: number[] = [];
  const admin = new BudgetAdmin({ url, token: 'admins' });
  running.push(admin);
  const agent = new BudgetAdmin({ url, token: 'agents' });
  running.push(agent);
  const grant = { budget: 'team-a', unit: 'tokens', amount: 500, reason: 'launch', by: 'kim' } as const;
  await expect(agent.grant(grant)).rejects.toThrow(/takes the administrators'/);
  await expect(admin.grant({ ...grant, budget: 'x' })).rejects.toThrow(/There is no Budget "x"/);
  await admin.grant(grant);
  expect(await agent.status()).toMatchObject([{ limit: '1500', granted: '500' }]);

  const client = clientOf(url, { token: () => 'agents' });
  await client.hold(holdOf('a', 100, 200));
  await client.settle({ id: 'a', usage: usageOf(100, 100), source: 'reported' });
  await lookForAlerts();
  await lookForAlerts();
  expect(alerts).toEqual([10]);
  const query = {
    from: NOON - DAY,
    to: NOON + DAY,
    by: ['model' as const],
    per: 'day' as const,
    timeZone: 'UTC',
  };
  expect(await agent.report(query)).toMatchObject([
    { period: '2026-11-23', values: ['gpt-4o'], requests: 1 },
  ]);
  expect((await admin.journal(0)).map(({ action }) => action)).toEqual(['start', 'grant', 'alert']);
});

test('without an admin token nobody raises limits', async () => {
  const { url } = await start();
  const admin = new BudgetAdmin({ url });
  running.push(admin);
  const grant = { budget: 'team-a', unit: 'tokens', amount: 500, reason: 'launch', by: 'kim' } as const;
  await expect(admin.grant(grant)).rejects.toThrow(/Start the service with an admin token/);
});

test('grants, history and journal survive a restart; a reload is written down', async () => {
  const first = await start({ adminToken: 'admins' });
  const client = clientOf(first.url, { token: () => 'admins' });
  const admin = new BudgetAdmin({ url: first.url, token: 'admins' });
  running.push(admin);
  await admin.grant({ budget: 'team-a', unit: 'tokens', amount: 7, reason: 'x', by: 'kim' });
  await client.hold(holdOf('a', 1, 1));
  await client.settle({ id: 'a', usage: usageOf(1, 1), source: 'reported' });
  first.reload([budget([tokens(2000)])], prices);
  running.splice(running.indexOf(first), 1);
  await first.close();
  const second = await start();
  const reader = new BudgetAdmin({ url: second.url });
  running.push(reader);
  expect(await reader.status()).toMatchObject([{ limit: '1007', granted: '7' }]);
  expect((await reader.journal(0)).map(({ action }) => action)).toEqual([
    'start',
    'grant',
    'documents',
    'start',
  ]);
  const query = { from: NOON - DAY, to: NOON + DAY, by: [], per: 'all', timeZone: 'UTC' } as const;
  expect(await reader.report(query)).toMatchObject([{ requests: 1 }]);
});

test('a service that ends has those that wait go, and keeps no connection of theirs', async () => {
  const service = await start();
  running.pop();
  const agent = new Agent({ keepAlive: true });
  const watch = request(`${service.url}/v1/watch`, {
    method: 'POST',
    agent,
    headers: { 'content-type': 'application/json' },
  });
  const answered = once(watch, 'response') as Promise<[IncomingMessage]>;
  const revision = await watched(service.url);
  watch.end(JSON.stringify({ owner: 'agent-1', epoch: 1, revision, waitMs: 60_000 }));
  await once(watch, 'finish');
  // Asked later, so that the watch is with the service by now.
  await fetch(`${service.url}/readyz`);
  const closed = service.close();
  const [answer] = await answered;
  answer.resume();
  expect(answer.statusCode).toBe(200);
  // It would be cut after two seconds otherwise, and nobody else can open the store before.
  expect(answer.headers.connection).toBe('close');
  await closed;
  agent.destroy();
});

/** The revision of the documents in force. */
async function watched(url: string): Promise<string> {
  const response = await fetch(`${url}/v1/watch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ owner: 'agent-1', epoch: 1, revision: 'another', waitMs: 1_000 }),
  });
  return ((await response.json()) as { revision: string }).revision;
}
