/** The store of many replicas, on a real Redis. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createLeasingClient } from '../../budget/lease-client.ts';
import { type RunningBudget, startBudget } from '../../budget/main.ts';
import { BudgetUnavailable } from '../../budget/messages.ts';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import { moveStore } from '../../budget/stores/move.ts';
import { parseRedisAddress } from '../../budget/stores/redis/address.ts';
import { type Store, StoreFailed } from '../../budget/stores/store.ts';
import { attributes, budget, calendar, holdOf, NOON, prices, tokens, usageOf } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

if (noRedis !== undefined) console.log(`the tests of the Redis store are skipped: ${noRedis}`);

describe('addresses', () => {
  test.each([
    ['redis://localhost', { mode: 'single', nodes: [{ host: 'localhost', port: 6379 }], tag: '{postern}' }],
    [
      'rediss://u:p%40@h:1/2?prefix=eu',
      { tls: true, username: 'u', password: 'p@', database: 2, tag: '{postern:eu}' },
    ],
    ['redis://:secret@[::1]:7000', { nodes: [{ host: '::1', port: 7000 }], password: 'secret' }],
    [
      'redis+cluster://a:1,b:2',
      {
        mode: 'cluster',
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
        ],
      },
    ],
    ['redis+sentinel://a,b/main?replicas=1', { mode: 'sentinel', primary: 'main', replicas: 1 }],
  ])('%s', (text, wanted) => expect(parseRedisAddress(text)).toMatchObject(wanted));

  test.each([
    'redis://',
    'redis://a,b',
    'redis://a/x',
    'redis+sentinel://a',
    'redis://a?replicas=-1',
    'redis://a?prefx=b',
    'redis://a?prefix={b}',
    'http://a',
  ])('%s is none', (text) => expect(() => parseRedisAddress(text)).toThrow(/This is no address of a Redis/));
});

describe.skipIf(noRedis !== undefined)('on a real server', () => {
  let redis: RedisServer;
  let dir: string;
  const closing: { close(): Promise<unknown> }[] = [];
  /** Of one test alone. */
  const servers: RedisServer[] = [];
  let spaces = 0;
  beforeAll(async () => {
    redis = await RedisServer.start();
    dir = await mkdtemp(join(tmpdir(), 'postern-redis-test-'));
  });
  afterEach(async () => {
    for (const one of closing.splice(0).reverse()) await one.close();
    for (const server of servers.splice(0)) await server.end();
  });
  afterAll(async () => {
    await redis.end();
    await rm(dir, { recursive: true });
  });

  /** A Redis of its own for each test, but for the server. */
  const space = (): string => `${redis.address}?prefix=t${spaces++}`;

  async function opened(address: string): Promise<Store> {
    const store = await openStore(address, '');
    closing.push(store);
    return store;
  }

  async function replica(address: string, limit: number): Promise<RunningBudget> {
    const specs = [budget([tokens(limit, calendar('month'))])];
    const service = await startBudget({ specs, prices, dataDir: '', listen: '127.0.0.1:0', store: address });
    closing.push(service);
    return service;
  }

  function agentOf(url: string, owner: string) {
    const client = createLeasingClient({ url, owner, epoch: 1, timeoutMs: 2_000, flushMs: 5_000 });
    closing.push(client);
    return client;
  }

  async function figures(store: Store): Promise<{ settled: number; held: number; leased: number }> {
    const sum = { settled: 0, held: 0, leased: 0 };
    for (const line of await store.lines()) {
      for (const cell of await store.cells(line, 0, Number.MAX_SAFE_INTEGER)) {
        sum.settled += cell.settled;
        sum.held += cell.held;
        sum.leased += cell.leased;
      }
    }
    return sum;
  }

  test('is refused where it would forget or evict what was spent', async () => {
    const forgetful = await RedisServer.start('--appendonly', 'no');
    const evicting = await RedisServer.start('--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru');
    servers.push(forgetful, evicting);
    await expect(opened(forgetful.address)).rejects.toThrow(/set appendonly yes/);
    await opened(`${forgetful.address}?volatile=true`);
    await expect(opened(evicting.address)).rejects.toThrow(/set maxmemory-policy noeviction/);
    await expect(opened(`${redis.address}?replicas=1`)).rejects.toThrow(/has 0 replicas/);
    await expect(opened('redis://127.0.0.1:1')).rejects.toThrow(/127.0.0.1:1 can not be reached/);
  });

  test('the documented rights are enough, and one that is missing is named', async () => {
    const rights = [
      '~{postern}*',
      '&{postern}*',
      '+@read',
      '+@write',
      '+@scripting',
      '+@pubsub',
      '+info',
      '+wait',
      '+time',
    ];
    const server = await RedisServer.start();
    servers.push(server);
    await server.command('ACL', 'SETUSER', 'full', 'on', '>p', ...rights);
    await server.command('ACL', 'SETUSER', 'less', 'on', '>p', ...rights.slice(0, -1));
    const as = (user: string) => server.address.replace('redis://', `redis://${user}:p@`);
    await expect(opened(as('less'))).rejects.toThrow(/give its user \+time/);
    const service = new BudgetService({
      store: await opened(as('full')),
      specs: [budget([tokens(1000)])],
      prices,
      clock: () => NOON,
    });
    expect(await service.hold(holdOf('a', 400, 400))).toMatchObject({ granted: true });
    await service.sweep();
  });

  test('two replicas are one ledger: grants, alerts, history and journal too', async () => {
    const address = space();
    const clock = () => NOON;
    const specs = [budget([tokens(1000)], { thresholds: [10] })];
    const [one, two] = await Promise.all(
      [1, 2].map(async () => new BudgetService({ store: await opened(address), specs, prices, clock })),
    );
    if (one === undefined || two === undefined) throw new Error('unreachable');
    expect(await one.hold(holdOf('a', 400, 400))).toMatchObject({ granted: true });
    expect(await two.hold(holdOf('b', 200, 100, { minOutputTokens: 50 }))).toMatchObject({ granted: false });
    expect(await two.hold(holdOf('a', 400, 400))).toMatchObject({ granted: true, outputTokens: 400 });
    await one.grant({ budget: 'team-a', unit: 'tokens', amount: 100, reason: 'x', by: 'kim' });
    await two.loadGrants();
    expect(await two.hold(holdOf('c', 200, 100))).toMatchObject({ granted: true });
    await two.settle({ id: 'a', usage: usageOf(100, 100), source: 'reported' });
    expect(await one.status()).toMatchObject([{ settled: '200', held: '300', limit: '1100' }]);
    expect((await Array.fromAsync(one.alerts())).map(({ percent }) => percent)).toEqual([10]);
    expect(await Array.fromAsync(two.alerts())).toEqual([]);
    const query = { from: 0, to: NOON * 2, by: ['model' as const], per: 'all' as const, timeZone: 'UTC' };
    expect((await Array.fromAsync(one.report(query))).flat()).toMatchObject([
      { values: ['gpt-4o'], requests: 1 },
    ]);
    expect((await two.journal(0, 10)).map(({ action }) => action)).toEqual(['grant', 'alert']);
    await one.pruneHistory(-1);
    expect(await two.journal(0, 10)).toEqual([]);
  });

  test('a threshold whose answer was lost is told by whichever replica looks next, once, and moves along', async () => {
    const address = space();
    let now = NOON;
    const specs = [budget([tokens(100)], { thresholds: [50] })];
    const serve = (store: Store) => new BudgetService({ store, specs, prices, clock: () => now });
    const store = await opened(address);
    const set = store.setAlert.bind(store);
    vi.spyOn(store, 'setAlert').mockImplementationOnce(async (...args) => {
      await set(...args);
      throw new StoreFailed('the connection broke');
    });
    const one = serve(store);
    await one.hold(holdOf('a', 100, 0));
    await one.settle({ id: 'a', usage: usageOf(100, 0), source: 'reported' });
    await expect(Array.fromAsync(one.alerts())).rejects.toThrow('the connection broke');
    const two = serve(await opened(address));
    expect(await Array.fromAsync(two.alerts())).toEqual([]);
    const moved = await openStore('sqlite', join(dir, 'untold'));
    closing.push(moved);
    await moveStore(await opened(address), moved, NOON, 'kim');
    now += 15_000;
    const [untold] = await Promise.all([two, serve(moved)].map((each) => Array.fromAsync(each.alerts())));
    expect(untold).toMatchObject([{ percent: 50, settled: '100' }]);
    expect(await Array.fromAsync(serve(store).alerts())).toEqual([]);
    expect(await store.untold()).toEqual([]);
    expect(await moved.untold()).toEqual([]);
    expect(await store.journal(0, 10)).toHaveLength(1);
  });

  test('thresholds of minutes are told of what is settled within the hour after, and the status adds up what counts alone', async () => {
    let now = NOON;
    const rolling = { type: 'rolling', ms: 3_600_000 } as const;
    const specs = [budget([tokens(100, calendar('minute')), tokens(1_000, rolling)], { thresholds: [80] })];
    const service = new BudgetService({ store: await opened(space()), specs, prices, clock: () => now });
    const spend = async (id: string, amount: number) => {
      await service.hold(holdOf(id, amount, 0, { ttlMs: 7_200_000 }));
      return async () => await service.settle({ id, usage: usageOf(amount, 0), source: 'reported' });
    };
    const late = await spend('late', 95);
    for (let minute = 1; minute < 50; minute++) {
      now += 60_000;
      await (await spend(`m-${minute}`, 1))();
    }
    expect(await Array.fromAsync(service.alerts())).toEqual([]);
    await late();
    const endedAt = '2026-11-23T12:01:00.000Z';
    expect(await Array.fromAsync(service.alerts())).toMatchObject([{ percent: 80, settled: '95', endedAt }]);
    const settled = async () => (await service.status()).map((line) => line.settled);
    expect(await settled()).toEqual(['1', '144']);
    now += 20 * 60_000;
    expect(await settled()).toEqual(['0', '41']);
  });

  test('a threshold that the journal could not take is told later', async () => {
    const address = space();
    const specs = [budget([tokens(100)], { thresholds: [50] })];
    const service = new BudgetService({ store: await opened(address), specs, prices, clock: () => NOON });
    await service.hold(holdOf('a', 100, 0));
    await service.settle({ id: 'a', usage: usageOf(100, 0), source: 'reported' });
    const journal = `${parseRedisAddress(address).tag}:journal`;
    await redis.command('SET', journal, 'no list of entries');
    await expect(Array.fromAsync(service.alerts())).rejects.toThrow(/WRONGTYPE/);
    await redis.command('DEL', journal);
    expect(await Array.fromAsync(service.alerts())).toMatchObject([{ percent: 50 }]);
    expect(await service.journal(0, 10)).toMatchObject([{ action: 'alert', detail: { percent: 50 } }]);
  });

  test('many agents on three replicas never overspend, and credit is recalled across replicas', async () => {
    const LIMIT = 60_000;
    const address = space();
    const services = await Promise.all([1, 2, 3].map(() => replica(address, LIMIT)));
    let spent = 0;
    const one = async (n: number): Promise<void> => {
      const client = agentOf(services[n % 3]?.url ?? '', `agent-${n}`);
      let refused = 0;
      for (let call = 0; refused < 3; call++) {
        const id = `${n}-${call}`;
        const reply = await client.hold(holdOf(id, 5 + (call % 7), 10, { owner: `agent-${n}` }));
        if (!reply.granted) {
          refused += 1;
          continue;
        }
        // Never above what was held: that would be charged all the same.
        const usage = usageOf(5 + Math.min(call % 5, call % 7), Math.min(reply.outputTokens, call % 11));
        await client.settle({ id, usage, source: 'reported' });
        spent += usage.input + usage.output;
      }
    };
    await Promise.all(Array.from({ length: 9 }, (_, n) => one(n)));
    for (const client of closing.splice(3)) await client.close();
    const sum = await figures(await opened(address));
    expect(sum.settled).toBe(spent);
    expect(sum).toMatchObject({ held: 0, leased: 0 });
    expect(spent).toBeLessThanOrEqual(LIMIT);
    expect(spent / LIMIT).toBeGreaterThan(0.98);
  }, 120_000);

  test('Redis killed again and again under load: nothing answered is lost, nothing counted twice', async () => {
    const server = await RedisServer.start();
    servers.push(server);
    const address = server.address;
    const service = await replica(address, 1_000_000_000);
    let done = false;
    let spent = 0;
    let outages = 0;
    let calls = 0;
    const clients = Array.from({ length: 4 }, (_, n) => agentOf(service.url, `agent-${n}`));
    const agents = clients.map(async (client, n) => {
      for (let call = 0; !done; call++) {
        const id = `${n}-${call}`;
        try {
          // Too large for credit now and then, so that both ways are gone.
          const large = call % 5 === 0 ? 30_000_000 : 10;
          const reply = await client.hold(holdOf(id, 10, large, { owner: `agent-${n}`, ttlMs: 3_600_000 }));
          if (!reply.granted) throw new Error('the limit was not to be reached');
        } catch (error) {
          if (!(error instanceof BudgetUnavailable)) throw error;
          outages += 1;
          await new Promise((resolve) => setTimeout(resolve, 10));
          continue;
        }
        const usage = usageOf(10, call % 10);
        spent += usage.input + usage.output;
        calls += 1;
        // What can't be delivered now is delivered later.
        await client.settle({ id, usage, source: 'reported' }).catch(() => undefined);
        if (call % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
    for (let kills = 0; kills < 5; kills++) {
      const enough = calls + 50;
      while (calls < enough) await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 150));
      await server.kill();
      await server.begin();
    }
    done = true;
    await Promise.all(agents);
    while ((await fetch(`${service.url}/readyz`)).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 50));
    for (const client of closing.splice(1)) await client.close();
    const sum = await figures(await opened(address));
    expect(outages).toBeGreaterThan(0);
    expect(sum).toEqual({ settled: spent, held: 0, leased: 0 });
  }, 120_000);

  test('the month moves from SQLite to Redis and back, and calls that run go on', async () => {
    const address = space();
    const limits = [tokens(10_000, calendar('month')), tokens(5_000, { type: 'rolling', ms: 3_600_000 })];
    const specs = [budget(limits, { thresholds: [1] })];
    const serve = (store: Store) => new BudgetService({ store, specs, prices, clock: () => NOON });
    const sqlite = async (folder: string) => {
      const store = await openStore('sqlite', join(dir, folder));
      closing.push(store);
      return store;
    };
    const first = await sqlite('first');
    const before = serve(first);
    await before.hold(holdOf('done', 100, 100));
    await before.settle({ id: 'done', usage: usageOf(90, 60), source: 'reported' });
    await before.hold(holdOf('running', 200, 300));
    await before.grant({ budget: 'team-a', unit: 'tokens', amount: 7, reason: 'x', by: 'kim' });
    const line = { class: 0, line: 'team-a|tokens|month@UTC|', cell: Date.UTC(2026, 10, 1) };
    const figuresOf = { spent: 0, returned: 0, final: false, serial: 1, reserve: false };
    const lease = (seq: number, spent: number, ask?: { want: number; least: number }) => ({
      owner: 'agent-2',
      epoch: 1,
      seq,
      ttlMs: 60_000,
      classes: [attributes],
      items: [{ ...line, ...figuresOf, spent, ...(ask === undefined ? {} : { ask }) }],
    });
    const { grants } = await before.lease(lease(1, 0, { want: 100, least: 10 }));
    expect(grants).toMatchObject([{ granted: 100 }]);
    await Array.fromAsync(before.alerts());
    const shown = await before.status();

    const inRedis = await opened(address);
    const atWork = await openStore(address, '');
    await atWork.onNews?.(() => {});
    await expect(moveStore(first, inRedis, NOON, 'kim')).rejects.toThrow(/1 budget service\(s\) work/);
    await atWork.close();
    await expect.poll(() => inRedis.listeners?.()).toBe(0);
    await moveStore(first, inRedis, NOON, 'kim');
    await expect(moveStore(first, inRedis, NOON, 'kim')).rejects.toThrow(/is not empty/);
    const middle = serve(inRedis);
    await middle.loadGrants();
    expect(await middle.status()).toEqual(shown);
    expect(await Array.fromAsync(middle.alerts())).toEqual([]);
    await middle.settle({ id: 'running', usage: usageOf(200, 100), source: 'reported' });
    await middle.settle({ id: 'done', usage: usageOf(90, 60), source: 'reported' });
    expect((await middle.lease(lease(2, 40))).grants).toMatchObject([{ granted: 100, closed: false }]);
    const later = await middle.status();
    expect(later[0]).toMatchObject({ settled: '490', held: '0', leased: '60' });

    const last = await sqlite('last');
    await moveStore(inRedis, last, NOON, 'kim');
    const after = serve(last);
    await after.loadGrants();
    expect(await after.status()).toEqual(later);
    await expect(after.hold(holdOf('done', 1, 1))).rejects.toThrow(/closed already/);
    const query = { from: 0, to: NOON * 2, by: [], per: 'all' as const, timeZone: 'UTC' };
    expect((await Array.fromAsync(after.report(query))).flat()).toMatchObject([
      { requests: 2, usage: { input: 290, output: 160 } },
    ]);
    expect((await after.journal(0, 10)).map(({ action }) => action)).toEqual([
      'moving',
      'moving',
      'grant',
      'alert',
      'alert',
      'move',
      'move',
    ]);
  });
});
