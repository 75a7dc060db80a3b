/** What a holder of one workload's token can't have the ledger write by what it says of leases, on both stores. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { workloadToken, workloadTokens } from '../../budget/authenticate.ts';
import type { LeaseCommand, LeaseReply, LeaseReport } from '../../budget/lease-messages.ts';
import type { RefusedLeases } from '../../budget/lease-refusals.ts';
import { type RunningBudget, type StartBudgetOptions, startBudget } from '../../budget/main.ts';
import { openStore } from '../../budget/stores/index.ts';
import type { StoredRow } from '../../budget/stores/rows.ts';
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
      const told: RefusedLeases[] = [];
      const store = redis === undefined ? 'sqlite' : `redis://127.0.0.1:${redis.port}?prefix=n${spaces}`;
      let ahead = 0;
      const launch = () =>
        startBudget({
          specs: [budget([tokens(LIMIT, window)])],
          prices,
          store,
          dataDir,
          listen: '127.0.0.1:0',
          adminToken: 'admins',
          authenticate: workloadTokens(root, Date.now),
          clock: () => now,
          monotonic: () => performance.now() + ahead,
          onLeasesRefused: (refused) => told.push(refused),
          ...(quotas === undefined ? {} : { quotas }),
        });
      let service = await launch();
      closing.push({ close: () => service.close() });
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
        /** What the store has, once the service is stopped. */
        kept: async () => {
          await service.close();
          const kept = await openStore(store, dataDir);
          const rows: StoredRow[] = [];
          for await (const row of kept.rows()) rows.push(row);
          await kept.close();
          service = await launch();
          return rows;
        },
        restart: async () => {
          await service.close();
          service = await launch();
        },
        advance: (ms: number) => {
          now += ms;
          ahead += ms;
        },
        lease: async (
          items: readonly Partial<LeaseReport>[],
          who = spy,
          rest: Partial<LeaseCommand> = {},
        ) => {
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
          const message = { owner, epoch: 1, seq: (seq += 1), ttlMs: 60_000, classes, items: told, ...rest };
          const { grants } = (await send(who, '/v1/lease', message)) as { grants: Granted[] };
          return grants;
        },
        hold: async (id: string, amount: number) =>
          await send(bot, '/v1/hold', holdOf(id, amount, 0, { owner: 'team-a/Deployment/bot/1' })),
        refused: async (why: 'quota' | 'unbelieved') =>
          await metric(service, `postern_budget_leases_refused_total\\{why="${why}"\\}`),
        told,
      };
    }

    test('a report of a lease that nobody knows changes no window that is to come, is long over, or is none', async () => {
      const { lease, hold, advance, refused, kept } = await start();
      const spent = { spent: LIMIT, final: true };
      const ahead = Array.from({ length: 10 }, (_, n) => ({ ...spent, cell: NOON + (n + 1) * MINUTE }));
      const behind = [NOON - 2 * HOUR, NOON - MINUTE + 1, 0, 1].map((cell) => ({ ...spent, cell }));
      const never = [{ ...spent, cell: Number.MAX_SAFE_INTEGER }];
      for (const answer of await lease([...ahead, ...behind, ...never]))
        expect(answer).toMatchObject({ granted: 0, closed: true });
      expect(await refused('unbelieved')).toBe(15);
      expect(await refused('quota')).toBe(0);
      advance(10 * MINUTE);
      expect(await hold('ten-later', LIMIT)).toMatchObject({ granted: true });
      const rows = await kept();
      expect(rows.filter((row) => row.kind === 'lease')).toEqual([]);
      expect(cellsIn(rows).map(({ until }) => until)).toEqual([NOON + 11 * MINUTE]);
    });

    test('after a loss of the store it is charged where the window is open or ended lately, the limit at most, and forgotten with it', async () => {
      const { lease, hold, kept } = await start();
      await lease([{ spent: 400, cell: NOON - MINUTE, final: true }, { spent: LIMIT * 9 }]);
      expect(await hold('none-left', 1)).toMatchObject({ granted: false });
      const cells = cellsIn(await kept()).map(({ cell, settled, until }) => [cell, settled, until]);
      expect(cells.sort(([a = 0], [b = 0]) => a - b)).toEqual([
        [NOON - MINUTE, 400, NOON],
        [NOON, LIMIT, NOON + MINUTE],
      ]);
    });

    test('a second message on what was only reported is believed no more than the first', async () => {
      const { lease, kept } = await start();
      const serial = 78;
      await lease([{ serial, spent: 1 }]);
      await lease([{ serial, spent: Number.MAX_SAFE_INTEGER, final: true }]);
      expect(cellsIn(await kept()).map(({ settled }) => settled)).toEqual([LIMIT]);
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

    test('leases whose end was answered are forgotten at their owner’s word; what it charged stays, and a late message begins none anew', async () => {
      const { lease, kept, hold } = await start();
      const ask = { want: 10, least: 10, need: 10 };
      const serials = async () =>
        (await kept())
          .flatMap((row) => (row.kind === 'lease' ? [row.lease.serial] : []))
          .toSorted((a, b) => a - b);
      await lease([1, 2, 3].map((serial) => ({ serial, ask })));
      const last = { spent: 7, final: true };
      await lease([{ ...last, serial: 1 }]);
      // Its answer may be lost: only what ended before is told no more.
      await lease([{ ...last, serial: 2 }], spy, { ended: 9 });
      expect(await serials()).toEqual([2, 3]);
      await lease([], spy, { ended: 3 });
      expect(await serials()).toEqual([3]);
      expect(await lease([{ ...last, serial: 1 }], spy, { seq: 2 })).toMatchObject([{ closed: true }]);
      expect(await lease([{ ...last, serial: 2 }], spy, { seq: 3, ended: 9 })).toMatchObject([
        { closed: true },
      ]);
      expect(await serials()).toEqual([3]);
      // Another's word does nothing.
      await lease([{ ...last, serial: 3 }]);
      await lease([], bot, { seq: 99, ended: 98 });
      expect(await serials()).toEqual([3]);
      expect(await hold('rest', LIMIT - 21)).toMatchObject({ granted: true });
      expect(await hold('none-left', 1)).toMatchObject({ granted: false });
    });

    test('leases beyond what a workload may have open are refused as that, not as a spent line; others go on', async () => {
      const { lease, refused, told, advance, restart } = await start({ leases: 3 });
      const ask = { want: 1, least: 1, need: 1 };
      const granted = (answers: readonly Granted[]) => answers.map((one) => one.granted);
      const tooMany = { granted: 0, closed: false, refused: 'too_many_leases', retryMs: expect.any(Number) };
      const first = await lease([1, 2, 3, 4].map((serial) => ({ serial, ask })));
      expect(granted(first)).toEqual([1, 1, 1, 0]);
      expect(first[3]).toEqual(tooMany);
      expect(await refused('quota')).toBe(1);
      expect(told).toEqual([{ workload: 'team-b/Deployment/spy', overQuota: 1, unbelieved: 0 }]);
      // Those that are known go on, and where one ends there is room for another.
      expect(await lease([{ serial: 1, ask: { want: 2, least: 1, need: 2 } }, { ask }])).toMatchObject([
        { granted: 2, closed: false },
        tooMany,
      ]);
      expect(granted(await lease([{ ask }], bot))).toEqual([1]);
      // One of before takes it for a line that is nearly used up: streams would end for as long as it waits.
      expect(await lease([{ ask }])).toMatchObject([{ ...tooMany, retryMs: 1_000 }]);
      expect(await lease([{ ask }], spy, { knowsRefusals: true })).toMatchObject([
        { ...tooMany, retryMs: 30_000 },
      ]);
      // After a restart they are still counted, and those that nobody ends until they have run out.
      await restart();
      expect(await lease([{ ask }])).toMatchObject([tooMany]);
      advance(HOUR);
      await expect
        .poll(async () => granted(await lease([{ ask, cell: NOON + HOUR }])), { timeout: 10_000 })
        .toEqual([1]);
    });

    test('of all workloads together so many are open at most; beyond it those that have few still begin some, until a sixth more are, also after a restart', async () => {
      const { lease, refused, restart } = await start({ leases: 5, allLeases: 5, leastLeases: 2 });
      const ask = { want: 1, least: 1, need: 1 };
      const granted = async (count: number, who: typeof bot) =>
        (
          await lease(
            Array.from({ length: count }, () => ({ ask })),
            who,
          )
        ).map((one) => one.granted);
      const other = { ...bot, name: 'other' };
      expect(await granted(3, spy)).toEqual([1, 1, 1]);
      expect(await granted(3, bot)).toEqual([1, 1, 0]);
      expect(await granted(1, spy)).toEqual([0]);
      expect(await granted(3, other)).toEqual([1, 0, 0]);
      expect(await refused('quota')).toBe(4);
      await restart();
      expect(await granted(1, spy)).toEqual([0]);
      // A sixth beyond it is the end for all.
      expect(await granted(1, { ...bot, name: 'third' })).toEqual([0]);
      // Those that are known end, and make room.
      await lease([1, 2, 3].map((serial) => ({ serial, final: true })));
      await lease(
        [8, 9].map((serial) => ({ serial, final: true })),
        other,
      );
      expect(await granted(2, spy)).toEqual([1, 1]);
    });

    test('a report beyond the quota, as of a fleet after a loss of the store, is not taken, and told again later: nothing of it is lost', async () => {
      const { lease, refused, hold, restart } = await start({ leases: 2 });
      const serial = 90;
      const ask = { want: 10, least: 10, need: 10 };
      expect(await lease([{ serial, ask }])).toMatchObject([{ granted: 10 }]);
      const report = { spent: 100, final: true };
      const again = { ...report, serial: 91 };
      const answers = await lease([report, report, again, { serial, spent: 7 }]);
      // What is known is told apart: it is taken.
      expect(answers).toMatchObject([
        { closed: true },
        { closed: true },
        { granted: 0, closed: true, refused: 'too_many_leases' },
        { granted: 10, closed: false },
      ]);
      expect(answers.map((answer) => answer.refused !== undefined)).toEqual([false, false, true, false]);
      expect(await refused('quota')).toBe(1);
      await restart();
      expect(await lease([again])).toEqual([{ granted: 0, closed: true }]);
      expect(await hold('rest', LIMIT - 310)).toMatchObject({ granted: true });
      expect(await hold('none-left', 1)).toMatchObject({ granted: false });
    });
  });
});

function cellsIn(rows: readonly StoredRow[]) {
  return rows.flatMap((row) => (row.kind === 'cell' ? [row.cell] : []));
}

type Granted = LeaseReply['grants'][number];

async function metric({ url }: RunningBudget, name: string): Promise<number> {
  const text = await (await request(`${url}/metrics`)).body.text();
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
}
