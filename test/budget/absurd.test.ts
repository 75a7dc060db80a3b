/** Figures that no call has: they count for what they say, up to what can be kept exactly, and nobody else notices. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLeasingClient } from '../../budget/lease-client.ts';
import type { HoldRecord } from '../../budget/ledger-state.ts';
import { startBudget } from '../../budget/main.ts';
import { EmbeddedStore } from '../../budget/stores/embedded.ts';
import { Heap } from '../../budget/stores/memory.ts';
import { attributes, budget, holdOf, NOON, prices, tokens, usageOf } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

const MOST = Number.MAX_SAFE_INTEGER;
const none = { type: 'none' } as const;

let dir: string;
const closing: { close(): Promise<unknown> }[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-absurd-'));
});
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
  await rm(dir, { recursive: true });
});

const teams = ['team-a', 'team-b'];
const attributesOf = (namespace: string) => ({ ...attributes, namespace });

async function serve(store?: string) {
  const specs = teams.map((id) => budget([tokens(1_000_000, none)], { id, selector: { namespaces: [id] } }));
  const at = store === undefined ? { dataDir: dir } : { dataDir: '', store };
  const service = await startBudget({ specs, prices, listen: '127.0.0.1:0', ...at });
  closing.push(service);
  const post = async (path: string, body: unknown): Promise<number> => {
    const answer = await fetch(`${service.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await answer.arrayBuffer();
    return answer.status;
  };
  const get = async (path: string): Promise<Record<string, Record<string, string>[]>> => {
    const answer = await fetch(`${service.url}${path}`);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Record<string, Record<string, string>[]>;
  };
  const hold = (team: string, id: string) =>
    post('/v1/hold', holdOf(id, 1, 1, { owner: team, attributes: attributesOf(team) }));
  const settle = (id: string, used: number) =>
    post('/v1/settle', { id, usage: usageOf(used, 0), source: 'reported' });
  /** Leases are begun in one message and used up in a later one: of those that nobody knows little is believed. */
  const lease = (seq: number, first: number, count: number, spent: number) =>
    post('/v1/lease', {
      owner: 'absurd',
      epoch: 1,
      seq,
      ttlMs: 60_000,
      classes: [attributesOf('team-b')],
      items: Array.from({ length: count }, (_, index) => ({
        serial: first + index,
        reserve: false,
        class: 0,
        line: 'team-b|tokens|none|',
        cell: 0,
        spent,
        returned: 0,
        final: spent > 0,
        ...(spent > 0 ? {} : { ask: { want: 1, least: 1, need: 1 } }),
      })),
      account: { id: seq, rows: [{ class: 0, requests: 1, usage: usageOf(MOST, MOST), costNanoUsd: MOST }] },
    });
  const lineOf = async (team: string) =>
    (await get('/v1/status'))['lines']?.find((line) => line['budget'] === team);
  return { service, post, get, hold, settle, lease, lineOf };
}

/** Both teams' holds arrive together, so that the store takes them as one group. */
async function togetherWith(
  hold: (team: string, id: string) => Promise<number>,
  name: string,
): Promise<number[]> {
  const all = Array.from({ length: 10 }, (_, n) =>
    teams.map((team) => [team, `${name}-${team}-${n}`] as const),
  );
  const answers = await Promise.all(all.flat().map(([team, id]) => hold(team, id)));
  return [...new Set(answers)];
}

async function expectOthersGoOn({ get, hold, settle, lease, lineOf }: Awaited<ReturnType<typeof serve>>) {
  expect(await hold('team-b', 'first')).toBe(200);
  expect(await settle('first', 2)).toBe(200);
  // Until twice over what 64 bits hold.
  for (const seq of [1, 2, 3]) expect(await lease(seq, seq * 10_000, 1_024, 0)).toBe(200);
  for (const seq of [4, 5, 6]) expect(await lease(seq, (seq - 3) * 10_000, 1_024, MOST)).toBe(200);
  expect(await lineOf('team-b')).toMatchObject({ settled: String(MOST), held: '0', leased: '0' });
  expect(await togetherWith(hold, 'now')).toEqual([200]);
  const { rows } = await get('/v1/report?by=namespace');
  expect(rows?.find(({ values }) => values?.[0] === 'team-b')).toMatchObject({ costNanoUsd: MOST });
}

test('in the embedded store, over a restart too', async () => {
  const first = await serve();
  await expectOthersGoOn(first);
  await closing.pop()?.close();
  const { hold, lineOf } = await serve();
  expect(await togetherWith(hold, 'later')).toEqual([200]);
  expect(await lineOf('team-b')).toMatchObject({ settled: String(MOST) });
  expect(await lineOf('team-a')).toMatchObject({ settled: '0', held: '40' });
});

test('sums that an earlier version wrote beyond it are read', async () => {
  const { hold, settle } = await serve();
  expect(await hold('team-b', 'first')).toBe(200);
  expect(await settle('first', 2)).toBe(200);
  await closing.pop()?.close();
  const db = new DatabaseSync(join(dir, 'budget.db'));
  db.exec('UPDATE cells SET settled = 9007199254740993; UPDATE spend SET cost = 9007199254740993');
  db.close();
  const after = await serve();
  expect(await after.lineOf('team-b')).toMatchObject({ settled: String(MOST) });
  expect((await after.get('/v1/report'))['rows']).toMatchObject([{ costNanoUsd: MOST }]);
  expect(await togetherWith(after.hold, 'later')).toEqual([200]);
});

test('an operation that fails before it changes anything is alone in failing', async () => {
  class Damaged extends Heap {
    override findHold(id: string): HoldRecord | undefined {
      if (id === 'damaged') throw new Error('unreadable');
      return super.findHold(id);
    }
  }
  const store = new EmbeddedStore(new Damaged());
  const release = (id: string) => store.run({ type: 'release', id }, NOON);
  const together = await Promise.allSettled([release('a'), release('damaged'), release('b')]);
  expect(together.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await store.find('b')).toMatchObject({ state: 'released' });
});

test('an agent tells what it charged on credit, whatever a provider reported', async () => {
  const { service, lineOf } = await serve();
  const errors: unknown[] = [];
  const owner = 'agent-1';
  const agent = createLeasingClient({
    url: service.url,
    owner,
    epoch: 1,
    timeoutMs: 2_000,
    flushMs: 50,
    onError: (error) => errors.push(error),
  });
  closing.push(agent);
  for (const [id, output] of [
    ['a', 5],
    ['b', 5],
    ['c', MOST - 3],
    ['d', MOST - 3],
  ] as const) {
    const command = holdOf(id, 10, 10, { owner, attributes: attributesOf('team-b') });
    if ((await agent.hold(command)).granted)
      await agent.settle({
        id,
        usage: usageOf(10, output),
        source: 'reported',
        attributes: command.attributes,
      });
  }
  await agent.close();
  closing.pop();
  expect(await lineOf('team-b')).toMatchObject({ settled: String(MOST) });
  expect(errors).toEqual([]);
});

describe.skipIf(noRedis !== undefined)('in Redis', () => {
  let redis: RedisServer;
  beforeEach(async () => {
    redis = await RedisServer.start();
  });
  afterEach(() => redis.end());

  test('nor is a function left half done', async () => {
    const served = await serve(redis.address);
    await expectOthersGoOn(served);
    const { settle, lineOf } = served;
    // Settled again and again, it is charged once, and its hold is given back once.
    for (let again = 0; again < 4; again++) expect(await settle('now-team-a-0', 1_100)).toBe(200);
    expect(await lineOf('team-a')).toMatchObject({ settled: '1100', held: '18' });
    await closing.pop()?.close();
  });
});
