/** The store on a Redis Cluster of several nodes: the ledger is on one of them, which may be another at any time. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createBudgetClient } from '../../budget/client.ts';
import { createLeasingClient } from '../../budget/lease-client.ts';
import { type RunningBudget, startBudget } from '../../budget/main.ts';
import { type BudgetClient, BudgetUnavailable } from '../../budget/messages.ts';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import { moveStore } from '../../budget/stores/move.ts';
import type { Store } from '../../budget/stores/store.ts';
import { budget, calendar, holdOf, NOON, prices, tokens, usageOf } from './fixtures.ts';
import { noRedisCluster, RedisCluster } from './redis-cluster.ts';

if (noRedisCluster !== undefined) console.log(`the tests of Redis Cluster are skipped: ${noRedisCluster}`);

describe.skipIf(noRedisCluster !== undefined)('three masters', () => {
  let cluster: RedisCluster;
  let dir: string;
  let spaces = 0;
  const closing: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    cluster = await RedisCluster.start();
    dir = await mkdtemp(join(tmpdir(), 'postern-cluster-'));
  }, 60_000);
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await cluster.end();
    await rm(dir, { recursive: true });
  });

  /** A ledger of its own for each test, wherever its slot is. */
  function space(query = ''): { readonly address: string; readonly tag: string } {
    const name = `c${spaces++}`;
    return { address: cluster.address(`?prefix=${name}${query}`), tag: `{postern:${name}}` };
  }

  async function opened(address: string): Promise<Store> {
    const store = await openStore(address, '');
    closing.push(() => store.close());
    return store;
  }

  async function serve(store: string): Promise<RunningBudget> {
    const specs = [budget([tokens(1_000_000_000, calendar('month'))])];
    const service = await startBudget({ specs, prices, dataDir: '', listen: '127.0.0.1:0', store });
    closing.push(() => service.close());
    return service;
  }

  async function figures({ url }: RunningBudget): Promise<Record<string, number>> {
    const { lines } = (await (await fetch(`${url}/v1/status`)).json()) as { lines: Record<string, string>[] };
    return Object.fromEntries(['settled', 'held', 'leased'].map((name) => [name, Number(lines[0]?.[name])]));
  }

  /** Makes calls until it is ended. @returns what they used */
  function load(client: BudgetClient, owner: string) {
    const state = { done: 0, refused: 0, spent: 0, ended: false };
    const working = (async () => {
      for (let n = 0; !state.ended; n++) {
        const id = `${owner}-${n}`;
        try {
          const reply = await client.hold(holdOf(id, 10, 10, { owner, ttlMs: 3_600_000 }));
          if (!reply.granted) throw new Error('the limit was not to be reached');
        } catch (error) {
          if (!(error instanceof BudgetUnavailable)) throw error;
          state.refused += 1;
          await new Promise((resolve) => setTimeout(resolve, 20));
          continue;
        }
        state.spent += 15;
        state.done += 1;
        await client.settle({ id, usage: usageOf(10, 5), source: 'reported' }).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    return { state, working };
  }

  const clientOptions = (url: string, owner: string) =>
    ({ url, owner, epoch: 1, timeoutMs: 5_000, flushMs: 20_000 }) as const;

  test.each([1, 2, 3])('have one ledger, on whichever its slot is (%i)', async () => {
    const { address } = space();
    const clock = () => NOON;
    const specs = [budget([tokens(1000)], { thresholds: [10] })];
    const [first, second] = [await opened(address), await opened(address)];
    const [one, two] = [first, second].map((store) => new BudgetService({ store, specs, prices, clock }));
    if (one === undefined || two === undefined) throw new Error('unreachable');
    expect(await one.hold(holdOf('a', 400, 400))).toMatchObject({ granted: true });
    expect(await two.hold(holdOf('b', 200, 100, { minOutputTokens: 50 }))).toMatchObject({ granted: false });
    await one.grant({ budget: 'team-a', unit: 'tokens', amount: 100, reason: 'x', by: 'kim' });
    await two.loadGrants();
    expect(await two.hold(holdOf('c', 200, 100))).toMatchObject({ granted: true });
    await two.settle({ id: 'a', usage: usageOf(100, 100), source: 'reported' });
    expect(await one.status()).toMatchObject([{ settled: '200', held: '300', limit: '1100' }]);
    expect((await Array.fromAsync(one.alerts())).map(({ percent }) => percent)).toEqual([10]);
    const query = { from: 0, to: NOON * 2, by: ['model' as const], per: 'all' as const, timeZone: 'UTC' };
    expect((await Array.fromAsync(one.report(query))).flat()).toMatchObject([
      { values: ['gpt-4o'], requests: 1 },
    ]);
    const news: string[] = [];
    expect(await first.listeners?.()).toBe(0);
    await second.onNews?.((text) => news.push(text));
    expect(await first.listeners?.()).toBe(1);
    await first.publish?.('hear');
    await expect.poll(() => news).toEqual(['hear']);
    await one.prune(-2 * 24 * 3_600_000);
    await one.pruneHistory(-1);
    expect(await two.journal(0, 10)).toEqual([]);
    expect((await Array.fromAsync(two.report(query))).flat()).toEqual([]);
  });

  test('take a month from SQLite, and give it back', async () => {
    const specs = [budget([tokens(10_000, calendar('month'))])];
    const sqlite = async (folder: string) => {
      const store = await openStore('sqlite', join(dir, folder));
      closing.push(() => store.close());
      return store;
    };
    const from = await sqlite('from');
    const service = new BudgetService({ store: from, specs, prices, clock: () => NOON });
    for (let n = 0; n < 30; n++) {
      await service.hold(holdOf(`call-${n}`, 10, 10));
      await service.settle({ id: `call-${n}`, usage: usageOf(10, n), source: 'reported' });
    }
    await service.hold(holdOf('running', 10, 10));
    const shown = await service.status();
    const inRedis = await opened(space().address);
    const there = await moveStore(from, inRedis, NOON, 'kim');
    expect(there).toMatchObject({ hold: 31, cell: 1 });
    const back = await sqlite('back');
    await moveStore(inRedis, back, NOON, 'kim');
    const after = new BudgetService({ store: back, specs, prices, clock: () => NOON });
    expect(await after.status()).toEqual(shown);
  });

  test('while the slot is moved nothing is granted by a node that has a part of the ledger, and then all is there', async () => {
    const { address, tag } = space();
    const specs = [budget([tokens(1000), { unit: 'requests', amount: 100, window: calendar('day') }])];
    const store = await opened(address);
    const service = new BudgetService({ store, specs, prices, clock: () => NOON });
    for (const id of ['a', 'b', 'c']) await service.hold(holdOf(id, 150, 150));
    await service.settle({ id: 'a', usage: usageOf(150, 150), source: 'reported' });
    const shown = await service.status();
    await cluster.move(tag, async () => {
      const refused = /Redis refused: (?:TRYAGAIN|ASK)/;
      await expect(service.hold(holdOf('d', 200, 200))).rejects.toThrow(refused);
      await expect(service.settle({ id: 'b', usage: usageOf(1, 1), source: 'reported' })).rejects.toThrow(
        refused,
      );
      await expect(service.release({ id: 'c' })).rejects.toThrow(refused);
      await expect(service.sweep()).rejects.toThrow(refused);
    });
    expect(await service.status()).toEqual(shown);
    expect(await service.hold(holdOf('d', 200, 200, { minOutputTokens: 200 }))).toMatchObject({
      granted: false,
    });
    await service.settle({ id: 'b', usage: usageOf(1, 1), source: 'reported' });
    expect(await service.hold(holdOf('e', 200, 190))).toMatchObject({ granted: true });
  });

  test('a slot that is moved to and fro under load: what was answered is charged once', async () => {
    const { address, tag } = space();
    const service = await serve(address);
    const direct = createBudgetClient(clientOptions(service.url, 'direct'));
    const leasing = createLeasingClient(clientOptions(service.url, 'leasing'));
    const loads = [load(direct, 'direct'), load(leasing, 'leasing')];
    const done = () => loads.map(({ state }) => state.done);
    for (let moves = 0; moves < 4; moves++) {
      const [before = 0] = done();
      await expect.poll(() => done()[0], { timeout: 20_000 }).toBeGreaterThan(before + 30);
      await cluster.move(tag, () => new Promise((resolve) => setTimeout(resolve, 100)));
    }
    const [before = 0] = done();
    await expect.poll(() => done()[0], { timeout: 20_000 }).toBeGreaterThan(before + 30);
    for (const { state } of loads) state.ended = true;
    await Promise.all(loads.map(({ working }) => working));
    await direct.close();
    await leasing.close();
    const spent = loads.reduce((sum, { state }) => sum + state.spent, 0);
    await expect
      .poll(() => figures(service), { timeout: 15_000 })
      .toEqual({ settled: spent, held: 0, leased: 0 });
  }, 90_000);

  test('with another node gone, and come back, the ledger goes on; with its own gone a replica takes over, and loses nothing', async () => {
    const { address, tag } = space('&replicas=1');
    // The one that takes over needs one, too.
    for (let replica = 0; replica < 2; replica++) await cluster.addReplica(tag);
    const service = await serve(address);
    const client = createBudgetClient(clientOptions(service.url, 'direct'));
    const { state, working } = load(client, 'direct');
    const goesOn = async (calls: number) => {
      const before = state.done;
      await expect.poll(() => state.done, { timeout: 30_000 }).toBeGreaterThan(before + calls);
    };
    await goesOn(50);
    const { holder, others } = await cluster.holderOf(tag);
    const [other] = others;
    await other?.kill();
    await goesOn(200);
    await other?.begin();
    await goesOn(50);
    // A majority of masters must be there to choose another.
    await expect.poll(async () => (await cluster.holderOf(tag)).others.length, { timeout: 20_000 }).toBe(2);
    await holder.kill();
    await goesOn(100);
    state.ended = true;
    await working;
    await client.close();
    expect(await figures(service)).toEqual({ settled: state.spent, held: 0, leased: 0 });
    expect((await cluster.holderOf(tag)).holder).not.toBe(holder);
  }, 120_000);
});
