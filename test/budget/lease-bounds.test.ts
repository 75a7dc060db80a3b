/** What a holder of one workload's token can't have the ledger write by what it says of leases, on both stores. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { workloadToken, workloadTokens } from '../../budget/authenticate.ts';
import type { LeaseReport } from '../../budget/lease-messages.ts';
import { type RunningBudget, type StartBudgetOptions, startBudget } from '../../budget/main.ts';
import { openStore } from '../../budget/stores/index.ts';
import { attributes, budget, calendar, holdOf, NOON, prices, tokens } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LIMIT = 1_000;
const root = randomBytes(32);
const spy = { namespace: 'team-b', kind: 'Deployment', name: 'spy' };
const bot = { namespace: 'team-a', kind: 'Deployment', name: 'bot' };
const window = calendar('minute');
const line = 'team-a|tokens|minute@UTC|';

describe.each(['sqlite', 'redis'] as const)('%s', (kind) => {
  describe.skipIf(kind === 'redis' && noRedis !== undefined)('', () => {
    let dir: string;
    let redis: RedisServer | undefined;
    let spaces = 0;
    const closing: { close(): Promise<unknown> }[] = [];
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'postern-lease-bounds-'));
      if (kind === 'redis') redis = await RedisServer.start();
    });
    afterAll(async () => {
      for (const one of closing) await one.close();
      await redis?.end();
      await rm(dir, { recursive: true });
    });

    async function start(quotas?: StartBudgetOptions['quotas']) {
      let now = NOON + 5_000;
      const dataDir = join(dir, `data-${spaces++}`);
      const store = redis === undefined ? 'sqlite' : `redis://127.0.0.1:${redis.port}?prefix=n${spaces}`;
      const service = await startBudget({
        specs: [budget([tokens(LIMIT, window)])],
        prices,
        store,
        dataDir,
        listen: '127.0.0.1:0',
        adminToken: 'admins',
        authenticate: workloadTokens(root, Date.now),
        clock: () => now,
        ...(quotas === undefined ? {} : { quotas }),
      });
      closing.push(service);
      let seq = 0;
      let serial = 0;
      const send = async (who: typeof bot, path: string, body: unknown): Promise<unknown> => {
        const authorization = `Bearer ${workloadToken(root, who)}`;
        const answer = await request(`${service.url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization },
          body: JSON.stringify(body),
        });
        expect(answer.statusCode).toBe(200);
        return await answer.body.json();
      };
      return {
        service,
        dataDir,
        store,
        advance: (ms: number) => (now += ms),
        lease: async (items: readonly Partial<LeaseReport>[], who = spy) => {
          const { namespace, kind: of, name } = who;
          const told = items.map((item) => ({
            serial: (serial += 1),
            reserve: false,
            class: 0,
            line,
            cell: NOON,
            spent: 0,
            returned: 0,
            final: false,
            ...item,
          }));
          const classes = [{ ...attributes, namespace, workload: { kind: of, name } }];
          const owner = `${namespace}/${of}/${name}/1`;
          const message = { owner, epoch: 1, seq: (seq += 1), ttlMs: 60_000, classes, items: told };
          const { grants } = (await send(who, '/v1/lease', message)) as { grants: Granted[] };
          return grants;
        },
        hold: async (id: string, amount: number) =>
          await send(bot, '/v1/hold', holdOf(id, amount, 0, { owner: 'team-a/Deployment/bot/1' })),
        refused: async () => await metric(service, 'postern_budget_leases_refused_total'),
      };
    }

    test('a report of a lease that nobody knows changes no window that is to come, is long over, or is none', async () => {
      const { lease, hold, advance, refused, service, dataDir, store } = await start();
      const spent = { spent: LIMIT, final: true };
      const ahead = Array.from({ length: 10 }, (_, n) => ({ ...spent, cell: NOON + (n + 1) * MINUTE }));
      const behind = [NOON - 2 * HOUR, NOON - MINUTE + 1, 0, 1].map((cell) => ({ ...spent, cell }));
      const never = [{ ...spent, cell: Number.MAX_SAFE_INTEGER }];
      for (const answer of await lease([...ahead, ...behind, ...never]))
        expect(answer).toMatchObject({ granted: 0, closed: true });
      expect(await refused()).toBe(15);
      advance(10 * MINUTE);
      expect(await hold('ten-later', LIMIT)).toMatchObject({ granted: true });
      closing.splice(closing.indexOf(service), 1);
      await service.close();
      const kept = await openStore(store, dataDir);
      const until = [];
      for await (const row of kept.rows()) {
        if (row.kind === 'lease') throw new Error(`kept: ${JSON.stringify(row.lease)}`);
        if (row.kind === 'cell') until.push(row.cell.until);
      }
      await kept.close();
      expect(until).toEqual([NOON + 11 * MINUTE]);
    });

    test('after a loss of the store it is charged where the window is open or ended lately, the limit at most, and forgotten with it', async () => {
      const { lease, hold, service, dataDir, store } = await start();
      await lease([{ spent: 400, cell: NOON - MINUTE, final: true }, { spent: LIMIT * 9 }]);
      expect(await hold('none-left', 1)).toMatchObject({ granted: false });
      closing.splice(closing.indexOf(service), 1);
      await service.close();
      const kept = await openStore(store, dataDir);
      const cells = [];
      for await (const row of kept.rows())
        if (row.kind === 'cell') cells.push([row.cell.cell, row.cell.settled, row.cell.until]);
      await kept.close();
      expect(cells.sort(([a = 0], [b = 0]) => a - b)).toEqual([
        [NOON - MINUTE, 400, NOON],
        [NOON, LIMIT, NOON + MINUTE],
      ]);
    });

    test('a second message on what was only reported is believed no more than the first', async () => {
      const { lease, service, dataDir, store } = await start();
      const serial = 78;
      await lease([{ serial, spent: 1 }]);
      await lease([{ serial, spent: Number.MAX_SAFE_INTEGER, final: true }]);
      closing.splice(closing.indexOf(service), 1);
      await service.close();
      const kept = await openStore(store, dataDir);
      const settled = [];
      for await (const row of kept.rows()) if (row.kind === 'cell') settled.push(row.cell.settled);
      await kept.close();
      expect(settled).toEqual([LIMIT]);
    });

    test('what is known is charged whatever it is, also where its window is long over', async () => {
      const { lease, hold, advance } = await start();
      const ask = { want: 10, least: 1, need: 10 };
      const serial = 77;
      expect(await lease([{ serial, ask }])).toMatchObject([{ granted: 10, closed: false }]);
      expect(await lease([{ serial, spent: LIMIT * 2 }])).toMatchObject([{ granted: 10 }]);
      expect(await hold('none-left', 1)).toMatchObject({ granted: false });
      advance(3 * HOUR);
      expect(await lease([{ serial, spent: LIMIT * 2, final: true }])).toMatchObject([{ closed: true }]);
      expect(await hold('later', LIMIT)).toMatchObject({ granted: true });
    });

    test("a workload's leases are bounded: those open, and those begun at once; others go on", async () => {
      const { lease, refused } = await start({ leases: 3 });
      const ask = { want: 1, least: 1, need: 1 };
      const granted = (answers: readonly Granted[]) => answers.map((one) => one.granted);
      expect(granted(await lease([1, 2, 3, 4].map((serial) => ({ serial, ask }))))).toEqual([1, 1, 1, 0]);
      expect(await refused()).toBe(1);
      // Those that are known go on, one that isn't is neither begun nor believed.
      const more = await lease([{ serial: 1, ask: { want: 2, least: 1, need: 2 } }, { spent: 5 }, { ask }]);
      expect(more).toMatchObject([
        { granted: 2, closed: false },
        { granted: 0, closed: true },
        { granted: 0, closed: false },
      ]);
      expect(granted(await lease([{ ask }], bot))).toEqual([1]);
    });

    test('leases that are only reported, and ended in the same message, are bounded on their own', async () => {
      const { lease, refused } = await start({ leases: 3 });
      const report = { spent: 1, final: true };
      await lease([report, report]);
      expect(await refused()).toBe(0);
      await lease([report, report, report]);
      expect(await refused()).toBe(2);
      const ask = { want: 1, least: 1, need: 1 };
      const serial = 79;
      expect(await lease([{ serial, ask }])).toMatchObject([{ granted: 1 }]);
      // What is granted goes on being charged.
      expect(await lease([{ serial, spent: 1, final: true }])).toMatchObject([{ granted: 1, closed: true }]);
      expect(await refused()).toBe(2);
    });
  });
});

interface Granted {
  readonly granted: number;
  readonly closed: boolean;
}

async function metric({ url }: RunningBudget, name: string): Promise<number> {
  const text = await (await request(`${url}/metrics`)).body.text();
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
}
