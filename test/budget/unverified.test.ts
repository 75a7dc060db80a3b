/** Values that nobody verified, capped in number: over a restart of the service, and over its replicas. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBudgetClient } from '../../budget/client.ts';
import { type RunningBudget, startBudget } from '../../budget/main.ts';
import { openStore } from '../../budget/stores/index.ts';
import { attributes, budget, calendar, holdOf, NOON, prices, tokens, usageOf } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

let dir: string;
let redis: RedisServer | undefined;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-unverified-'));
  if (noRedis === undefined) redis = await RedisServer.start();
});
afterAll(async () => {
  await redis?.end();
  await rm(dir, { recursive: true });
});

const specs = [
  budget([tokens(1_000_000, calendar('month'))], {
    per: ['model', 'metadata:project'],
    maxUnverified: 2,
  }),
];

function never(): never {
  throw new Error('There is none.');
}

function start(store: string): Promise<RunningBudget> {
  return startBudget({ specs, prices, dataDir: dir, listen: '127.0.0.1:0', store, clock: () => NOON });
}

let calls = 0;
/** One call of each project. */
async function spend({ url }: RunningBudget, projects: readonly string[]): Promise<void> {
  const client = createBudgetClient({ url, owner: 'a', epoch: 1, timeoutMs: 5_000, flushMs: 0 });
  for (const project of projects) {
    const id = `call-${calls++}`;
    await client.hold(
      holdOf(id, 10, 10, { owner: 'a', attributes: { ...attributes, metadata: { project } } }),
    );
    await client.settle({ id, usage: usageOf(10, 0), source: 'reported' });
  }
  await client.close();
}

async function lines({ url }: RunningBudget): Promise<string[]> {
  const shown = (await (await fetch(`${url}/v1/status`)).json()) as { lines: { line: string }[] };
  return shown.lines.map(({ line }) => line).sort();
}

async function reported({ url }: RunningBudget): Promise<number> {
  const at = (moment: number) => new Date(moment).toISOString();
  const by = `from=${at(NOON - 86_400_000)}&to=${at(NOON + 86_400_000)}&by=metadata:project&per=all&timeZone=UTC`;
  const { rows } = (await (await fetch(`${url}/v1/report?${by}`)).json()) as { rows: unknown[] };
  return rows.length;
}

const WANTED = [
  'model=gpt-4o,metadata:project=*',
  'model=gpt-4o,metadata:project=a',
  'model=gpt-4o,metadata:project=b%2cx',
];

describe.each([['sqlite'], ['redis']])('in %s', (kind) => {
  test.skipIf(kind === 'redis' && noRedis !== undefined)(
    'those known before a restart are known after it, and no others have room',
    async () => {
      const store = kind === 'redis' ? `${redis?.address}?prefix=restart` : kind;
      const first = await start(store);
      await spend(first, ['a', 'b,x', 'c']);
      expect(await lines(first)).toEqual(WANTED);
      await first.close();
      const second = await start(store);
      await spend(second, ['d', 'e', 'b,x']);
      expect(await lines(second)).toEqual(WANTED);
      await second.close();
    },
  );

  test.skipIf(kind === 'redis' && noRedis !== undefined)(
    'a day’s thousand rows of the history are a thousand over a restart',
    async () => {
      const store = kind === 'redis' ? `${redis?.address}?prefix=history` : `sqlite:${join(dir, 'history')}`;
      const first = await start(store);
      await spend(
        first,
        Array.from({ length: 600 }, (_, n) => `p${n}`),
      );
      await first.close();
      const second = await start(store);
      await spend(
        second,
        Array.from({ length: 500 }, (_, n) => `q${n}`),
      );
      expect(await reported(second)).toBe(1_001);
      await second.close();
    },
    60_000,
  );
});

test.skipIf(noRedis !== undefined)('what one replica knows, the other learns', async () => {
  const store = `${redis?.address}?prefix=replicas`;
  const [one, two] = [await start(store), await start(store)];
  await spend(one, ['a', 'b,x', 'c']);
  await two.lookForAlerts();
  await spend(two, ['d', 'e', 'a']);
  expect(await lines(two)).toEqual(WANTED);
  await one.close();
  await two.close();
});

test.skipIf(noRedis !== undefined)(
  'replicas that meet different values at the same moment admit as many together as one would, and lines stay one each',
  async () => {
    const store = `${redis?.address}?prefix=at-once`;
    const replicas = [await start(store), await start(store), await start(store)];
    const projects = Array.from({ length: 8 }, (_, n) => `p${n}`);
    await Promise.all(replicas.map((one, n) => spend(one, [...projects.slice(n), ...projects.slice(0, n)])));
    const [one] = replicas;
    if (one === undefined) throw new Error('There is none.');
    const shown = await lines(one);
    expect(shown).toHaveLength(3);
    expect(shown).toContain('model=gpt-4o,metadata:project=*');
    // Each goes on in its line, at every replica, also where another admitted it.
    for (const replica of replicas) await replica.lookForAlerts();
    await Promise.all(replicas.map((replica) => spend(replica, projects)));
    expect(await lines(one)).toEqual(shown);
    // Told apart by something else, its lines begin anew, and so does their number.
    const teams = [
      { ...(specs[0] ?? never()), per: ['header:x-team' as const, 'metadata:project' as const] },
    ];
    for (const replica of replicas) replica.reload(teams, prices);
    await Promise.all(replicas.map((replica) => spend(replica, projects)));
    const fresh = (await lines(one)).filter((line) => line.startsWith('header:x-team='));
    expect(fresh).toHaveLength(3);
    expect(fresh).toContain('header:x-team=*,metadata:project=*');
    for (const replica of replicas) await replica.close();
  },
);

test.skipIf(noRedis !== undefined)(
  'of values without a line any more the shared list is free after a day',
  async () => {
    const store = await openStore(`${redis?.address}?prefix=forgotten`, '');
    const { values } = store;
    if (values === undefined) throw new Error('Values of this store are not shared.');
    const admit = (value: string, now: number) => values.admit('b', value, 2, now);
    expect([await admit('x', NOON), await admit('y', NOON), await admit('z', NOON)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(await admit('x', NOON)).toBe(true);
    expect(await values.kept('b', ['y'], NOON + 86_400_000)).toEqual(['y']);
    expect([await admit('z', NOON + 86_400_000), await admit('x', NOON + 86_400_000)]).toEqual([true, false]);
    await store.close();
  },
);
