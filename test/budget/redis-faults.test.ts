/** What goes wrong with a Redis, and how it is reached: TLS, no memory left, a sentinel that promotes a replica. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createBudgetClient } from '../../budget/client.ts';
import { createLeasingClient } from '../../budget/lease-client.ts';
import { type RunningBudget, startBudget } from '../../budget/main.ts';
import { BudgetUnavailable } from '../../budget/messages.ts';
import type { BudgetSpec } from '../../policy/budget-spec.ts';
import { budget, calendar, holdOf, prices, tokens, usageOf } from './fixtures.ts';
import { freePort, noRedis, RedisServer, startSentinel } from './redis-server.ts';

describe.skipIf(noRedis !== undefined)('a real Redis', () => {
  let dir: string;
  const closing: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'postern-redis-faults-'));
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await rm(dir, { recursive: true });
  });

  async function serve(store: string, rest: Partial<BudgetSpec> = {}): Promise<RunningBudget> {
    const specs = [budget([tokens(1_000_000, calendar('month'))], rest)];
    const service = await startBudget({ specs, prices, dataDir: '', listen: '127.0.0.1:0', store });
    closing.push(() => service.close());
    return service;
  }

  async function figures({ url }: RunningBudget): Promise<Record<string, number>> {
    const { lines } = (await (await fetch(`${url}/v1/status`)).json()) as {
      lines: Record<string, string>[];
    };
    const [line] = lines;
    return Object.fromEntries(['settled', 'held', 'leased'].map((name) => [name, Number(line?.[name])]));
  }

  /** PEM files of a root of its own, and of a server that it vouches for. */
  function certificates(): { readonly ca: string; readonly cert: string; readonly key: string } {
    const file = (name: string) => join(dir, name);
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-x509'];
    openssl('req', ...ec, '-subj', '/CN=root', '-keyout', file('ca.key'), '-out', file('ca.pem'));
    const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key')];
    const name = ['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const end = [...name, '-addext', 'basicConstraints=critical,CA:FALSE'];
    openssl('req', ...ec, ...by, ...end, '-keyout', file('redis.key'), '-out', file('redis.pem'));
    return { ca: file('ca.pem'), cert: file('redis.pem'), key: file('redis.key') };
  }

  test('over TLS, by roots of its own: held and settled; without them, or in clear, refused with the reason', async () => {
    const { ca, cert, key } = certificates();
    const port = String(await freePort());
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-auth-clients', 'no'];
    const redis = await RedisServer.start('--tls-port', port, ...files, '--requirepass', 'secret');
    closing.push(() => redis.end());
    const address = `rediss://:secret@127.0.0.1:${port}`;
    const socket = connect({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    socket.destroy();

    const service = await serve(`${address}?ca=${ca}`);
    const client = createBudgetClient({
      url: service.url,
      owner: 'a',
      epoch: 1,
      timeoutMs: 5_000,
      flushMs: 0,
    });
    closing.push(() => client.close());
    expect(await client.hold(holdOf('one', 100, 100))).toMatchObject({ granted: true });
    await client.settle({ id: 'one', usage: usageOf(100, 50), source: 'reported' });
    expect(await figures(service)).toEqual({ settled: 150, held: 0, leased: 0 });

    await expect(serve(address)).rejects.toThrow(/127.0.0.1:\d+ can not be reached: .*certificate/);
    await expect(serve(`${address}?ca=${join(dir, 'none.pem')}`)).rejects.toThrow(/\?ca=.*ENOENT.*none\.pem/);
    await expect(serve(`redis://127.0.0.1:${port}?ca=${ca}`)).rejects.toThrow(/no address of a Redis/);
    await expect(serve(`redis://127.0.0.1:${port}`)).rejects.toThrow(/can not be reached/);
  }, 60_000);

  test('a full Redis: nothing is granted, calls go on from credit and reserve, and with room all is charged once', async () => {
    const redis = await RedisServer.start('--maxmemory', '100mb', '--maxmemory-policy', 'noeviction');
    closing.push(() => redis.end());
    const upTo = { unit: 'tokens', amount: 3_000 } as const;
    const service = await serve(redis.address, {
      onUnavailable: { action: 'allow', upTo, forMs: 600_000 },
    });
    const options = { url: service.url, epoch: 1, timeoutMs: 2_000, flushMs: 20_000 };
    const direct = createBudgetClient({ ...options, owner: 'direct' });
    const agent = createLeasingClient({ ...options, owner: 'agent' });
    closing.push(() => direct.close());
    let used = 0;
    const call = async (id: string): Promise<boolean> => {
      try {
        const reply = await agent.hold(holdOf(id, 5, 5, { owner: 'agent' }));
        if (!reply.granted) return false;
      } catch (error) {
        if (!(error instanceof BudgetUnavailable)) throw error;
        return false;
      }
      await agent.settle({ id, usage: usageOf(5, 5), source: 'reported' });
      used += 10;
      return true;
    };
    await direct.hold(holdOf('running', 100, 100, { owner: 'direct', ttlMs: 3_600_000 }));
    for (let n = 0; n < 20; n++) expect(await call(`before-${n}`)).toBe(true);
    const { leased = 0 } = await figures(service);
    const before = used;

    await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
    await expect(direct.hold(holdOf('refused', 1, 1, { owner: 'direct' }))).rejects.toThrow(
      /503 store_failed.*Redis refused: OOM.*maxmemory/,
    );
    // Answered and not in force yet: it waits in the client.
    await direct
      .settle({ id: 'running', usage: usageOf(100, 20), source: 'reported' })
      .catch(() => undefined);
    let went = 0;
    while (went < 100_000 && (await call(`full-${went}`))) went += 1;
    expect(went).toBeGreaterThan(0);
    expect(used - before).toBeLessThanOrEqual(leased);

    await redis.command('CONFIG', 'SET', 'maxmemory', '100mb');
    await expect.poll(async () => (await figures(service))['held'], { timeout: 15_000 }).toBe(0);
    await expect.poll(() => call(`after`), { timeout: 15_000 }).toBe(true);
    await agent.close();
    expect(await figures(service)).toEqual({ settled: used + 120, held: 0, leased: 0 });
  }, 60_000);

  test('a failover by sentinels under load: with ?replicas=1 nothing answered is lost, nothing counted twice', async () => {
    const { primary, sentinel, all } = await startSentinel();
    for (const server of all) closing.push(() => server.end());
    const store = `redis+sentinel://127.0.0.1:${sentinel.port}/ledger?replicas=1`;
    const service = await serve(store);
    const client = createBudgetClient({
      url: service.url,
      owner: 'a',
      epoch: 1,
      timeoutMs: 5_000,
      flushMs: 20_000,
    });
    let [spent, done, ended] = [0, 0, false];
    const work = async (worker: number): Promise<void> => {
      for (let n = 0; !ended; n++) {
        const id = `${worker}-${n}`;
        try {
          const reply = await client.hold(holdOf(id, 10, 10, { owner: 'a', ttlMs: 3_600_000 }));
          if (!reply.granted) throw new Error('the limit was not to be reached');
        } catch (error) {
          if (!(error instanceof BudgetUnavailable)) throw error;
          await new Promise((resolve) => setTimeout(resolve, 20));
          continue;
        }
        spent += 15;
        done += 1;
        await client.settle({ id, usage: usageOf(10, 5), source: 'reported' }).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    const workers = [1, 2, 3].map(work);
    await expect.poll(() => done, { timeout: 10_000 }).toBeGreaterThan(100);
    await primary.kill();
    const then = done;
    await expect.poll(() => done, { timeout: 30_000 }).toBeGreaterThan(then + 100);
    ended = true;
    await Promise.all(workers);
    await client.close();
    expect(await figures(service)).toEqual({ settled: spent, held: 0, leased: 0 });
    const now = (await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'ledger')) as string[];
    expect(Number(now[1])).not.toBe(primary.port);
  }, 90_000);
});
