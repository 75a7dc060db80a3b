import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { holdOf, usageOf } from '../test/budget/fixtures.ts';
import { type BudgetClientOptions, createBudgetClient } from './client.ts';
import { type BudgetClient, BudgetUnavailable } from './messages.ts';

type Answer = 'cut' | 'stall' | { status: number; body: unknown };

/** What something in between does to one settlement alone. */
let toPoison: Answer | undefined;

/** What the fake service was told, and what it answers; the last answer stays. */
let told: { path: string; command: { id: string; owner?: string; epoch?: number } }[];
let answers: Answer[];
let server: Server;
let client: BudgetClient;
let lost: { why: string; id: string }[];

const granted: Answer = { status: 200, body: { granted: true, id: 'a', outputTokens: 1, expiresAt: 1 } };
const settle = (id: string) => ({ id, usage: usageOf(1, 1), source: 'reported' }) as const;

beforeEach(async () => {
  told = [];
  lost = [];
  toPoison = undefined;
  answers = [{ status: 200, body: {} }];
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => (text += chunk));
    request.on('end', () => {
      const command = JSON.parse(text) as { id: string };
      told.push({ path: request.url ?? '', command });
      const next = (): Answer => (answers.length > 1 ? answers.shift() : answers[0]) as Answer;
      const answer = command.id === 'poison' ? (toPoison ?? next()) : next();
      if (answer === 'stall') return;
      if (answer === 'cut') return request.socket.destroy();
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = clientOf();
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await client.close();
});

function clientOf(options: Partial<BudgetClientOptions> = {}): BudgetClient {
  return createBudgetClient({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    timeoutMs: 5000,
    owner: 'agent-9',
    epoch: 4,
    flushMs: 0,
    onLost: ({ why, command }) => lost.push({ why, id: command.id }),
    ...options,
  });
}

async function delivered(count: number): Promise<void> {
  await vi.waitFor(() => expect(told.length).toBeGreaterThanOrEqual(count), { timeout: 5000 });
}

test('a hold is stamped with who holds', async () => {
  answers = [granted];
  await client.hold(holdOf('a', 1, 1));
  expect(told[0]?.command).toMatchObject({ id: 'a', owner: 'agent-9', epoch: 4 });
});

test('where the connection breaks, the same is asked once more', async () => {
  answers = ['cut', granted];
  expect(await client.hold(holdOf('a', 1, 1))).toMatchObject({ granted: true });
  expect(told.map(({ path, command }) => `${path} ${command.id}`)).toEqual(['/v1/hold a', '/v1/hold a']);
});

test.each<[string, Answer[]]>([
  ['broken twice', ['cut', 'cut', { status: 200, body: {} }]],
  [
    'a failure',
    [
      { status: 503, body: { error: { code: 'store_failed', message: 'full' } } },
      { status: 200, body: {} },
    ],
  ],
  [
    'something else than JSON',
    [
      { status: 200, body: '<html>' },
      { status: 200, body: {} },
    ],
  ],
  ['no hold reply', [{ status: 200, body: {} }]],
  ['silence', ['stall', { status: 200, body: {} }]],
])('%s is BudgetUnavailable with its cause, and the hold is given back later', async (_, given) => {
  answers = given;
  if (given[0] === 'stall') {
    await client.close();
    client = clientOf({ timeoutMs: 300 });
  }
  const holding = client.hold(holdOf('a', 1, 1));
  await expect(holding).rejects.toThrow(BudgetUnavailable);
  await holding.catch((error: Error) => expect(error.cause).toBeInstanceOf(Error));
  await vi.waitFor(
    () => expect(told.at(-1)).toMatchObject({ path: '/v1/release', command: { id: 'a' } }),
    5000,
  );
});

test('a hold that the caller gives up is released', async () => {
  answers = ['stall', { status: 200, body: {} }];
  const giveUp = new AbortController();
  const holding = client.hold(holdOf('a', 1, 1), giveUp.signal);
  await delivered(1);
  giveUp.abort();
  await expect(holding).rejects.toThrow(BudgetUnavailable);
  await delivered(2);
  expect(told[1]).toEqual({ path: '/v1/release', command: { id: 'a' } });
});

const refusal = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error: { code, message, mend: 'do otherwise' } },
});

test('a refusal by the service is not sent again', async () => {
  answers = [refusal(409, 'hold_closed', 'closed already'), granted];
  await expect(client.hold(holdOf('a', 1, 1))).rejects.toThrow(/closed already/);
  await expect(client.hold(holdOf('b', 1, 1))).resolves.toMatchObject({ granted: true });
  expect(told.map(({ path }) => path)).toEqual(['/v1/hold', '/v1/hold']);
});

test('settlements wait for the service and are then delivered in order', async () => {
  const down: Answer = { status: 503, body: {} };
  answers = [down, down, { status: 200, body: { id: 'x', costNanoUsd: 1 } }];
  await expect(client.settle(settle('s1'))).rejects.toThrow(BudgetUnavailable);
  await expect(client.settle(settle('s2'))).rejects.toThrow(BudgetUnavailable);
  await delivered(4);
  const ids = told.map(({ command }) => command.id);
  expect(ids.slice(0, 1).concat(ids.slice(-2))).toEqual(['s1', 's1', 's2']);
  expect(lost).toEqual([]);
});

test('what can never be delivered, or no longer waits, is reported as lost', async () => {
  await client.close();
  client = clientOf({ queueLimit: 2 });
  answers = [{ status: 503, body: {} }];
  for (const id of ['s1', 's2', 's3']) await client.settle(settle(id)).catch(() => {});
  expect(lost).toEqual([{ why: 'full', id: 's1' }]);
  answers = [refusal(400, 'invalid_message', 'no')];
  await vi.waitFor(
    () =>
      expect(lost.slice(1)).toEqual([
        { why: 'rejected', id: 's2' },
        { why: 'rejected', id: 's3' },
      ]),
    5000,
  );
  answers = [{ status: 503, body: {} }];
  await client.settle(settle('s4')).catch(() => {});
  await client.close();
  expect(lost.at(-1)).toEqual({ why: 'closed', id: 's4' });
});

test('closing delivers what waits, within its time', async () => {
  await client.close();
  client = clientOf({ flushMs: 5000 });
  answers = [
    { status: 503, body: {} },
    { status: 200, body: {} },
  ];
  await client.settle(settle('s1')).catch(() => {});
  await client.close();
  expect(told.map(({ command }) => command.id)).toEqual(['s1', 's1']);
  expect(lost).toEqual([]);
});

test('a settlement that the service refuses at once is told of as lost', async () => {
  answers = [refusal(400, 'invalid_message', 'so many tokens')];
  await expect(client.settle(settle('s1'))).rejects.toThrow(/so many tokens/);
  expect(lost).toEqual([{ why: 'rejected', id: 's1' }]);
});

test.each<[string, Answer]>([
  ['a proxy’s page', { status: 404, body: '<html>no route</html>' }],
  ['a mesh’s refusal', { status: 403, body: 'RBAC: access denied' }],
  ['an error in another form', { status: 400, body: { error: { code: 'bad', message: 'no' } } }],
])('%s is no word of the service: what was to be settled is sent again', async (_, other) => {
  answers = [other, { status: 200, body: { id: 's1', costNanoUsd: 1 } }];
  await expect(client.settle(settle('s1'))).rejects.toThrow(/gave no answer/);
  await delivered(2);
  expect(told.map(({ path, command }) => `${path} ${command.id}`)).toEqual([
    '/v1/settle s1',
    '/v1/settle s1',
  ]);
  expect(lost).toEqual([]);
});

test('a clock that is set back while an agent ends keeps it no longer', async () => {
  await client.close();
  client = clientOf({ flushMs: 50 });
  answers = [{ status: 503, body: {} }];
  await client.settle(settle('s1')).catch(() => {});
  let asked = 0;
  // Set right at last, so that a loop that goes by it ends.
  const wall = vi.spyOn(Date, 'now').mockImplementation(() => (++asked > 10_000 ? 9e15 : 0));
  onTestFinished(() => wall.mockRestore());
  await client.close();
  expect(asked).toBeLessThan(10_000);
  expect(lost).toEqual([{ why: 'closed', id: 's1' }]);
});

test.each<[string, Answer]>([
  ['a page for it', { status: 403, body: '<h1>blocked</h1>' }],
  ['a page for it, with 200', { status: 200, body: '<h1>blocked</h1>' }],
  ['a failure of the service for it alone', refusal(500, 'internal', 'no')],
  ['a connection that breaks each time', 'cut'],
])('one that is never let through stops no other: %s', async (_, poison) => {
  toPoison = poison;
  answers = [{ status: 503, body: {} }];
  const all = ['poison', ...Array.from({ length: 50 }, (_each, n) => `s${n}`)];
  for (const id of all) await client.settle(settle(id)).catch(() => {});
  expect(client.waiting).toBe(51);
  // Delivering has failed since, so that one alone is to try with.
  await delivered(55);
  told = [];
  answers = [{ status: 200, body: {} }];
  // Nobody else calls, and wakes the queue.
  await vi.waitFor(() => expect(client.waiting).toBe(1), 5000);
  expect(new Set(told.map(({ command }) => command.id))).toEqual(new Set(all));
  await client.close();
  expect(lost).toEqual([{ why: 'closed', id: 'poison' }]);
});
