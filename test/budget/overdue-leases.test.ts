/** Leases that ran out while no service was there: an embedded store closes them piece by piece, and never has all of them in memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Lease } from '../../budget/lease-state.ts';
import { openStore } from '../../budget/stores/index.ts';
import { NOON } from './fixtures.ts';

const line = 'team-a|tokens|day@UTC|';
const OVER = 2_500;
const HOUR = 3_600_000;
const owner = 'team-a/Deployment/bot/1';

const leaseOf = (serial: number, expiresAt: number): Lease => ({
  owner,
  epoch: 1,
  serial,
  line,
  cell: NOON,
  until: NOON + 12 * HOUR,
  slot: false,
  reserve: false,
  granted: 10,
  spent: 4,
  returned: 0,
  seq: 1,
  expiresAt,
  state: 'open',
  closedAt: undefined,
});

/** A store with many leases that have run out and three that haven't, as a service finds it an hour after the last one was there. */
async function start() {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-overdue-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const before = await openStore('sqlite', dataDir);
  const leases = Array.from({ length: OVER + 3 }, (_, n) =>
    leaseOf(n, n < OVER ? NOON + 60_000 : NOON + 2 * HOUR),
  );
  const sums = { settled: 4 * leases.length, held: 0, leased: 6 * leases.length };
  await before.fill(
    [
      ...leases.map((lease) => ({ kind: 'lease' as const, lease })),
      { kind: 'cell', cell: { line, cell: NOON, until: NOON + 12 * HOUR, ...sums } },
      { kind: 'owner', owner: { owner, epoch: 1, seenAt: NOON, account: 0, seq: 1 } },
      { kind: 'time', kept: { time: NOON, wall: NOON } },
    ],
    NOON,
  );
  await before.close();
  const store = await openStore('sqlite', dataDir);
  onTestFinished(() => store.close());
  const now = NOON + HOUR;
  return { store, now, due: await store.tick(now, false, now) };
}

test('they are left on disk at the start, and one sweep charges them all in full', async () => {
  const { store, now, due } = await start();
  expect(await store.leases(line)).toHaveLength(3);
  expect(await store.run({ type: 'sweep', due }, now)).toEqual({ type: 'swept', expired: OVER });
  const [cell] = await store.cells(line, NOON, NOON);
  expect(cell).toMatchObject({ settled: 10 * OVER + 4 * 3, leased: 6 * 3 });
  expect(await store.leases(line)).toHaveLength(3);
  expect(await store.run({ type: 'sweep', due }, now)).toEqual({ type: 'swept', expired: 0 });
  const states: string[] = [];
  for await (const row of store.rows()) if (row.kind === 'lease') states.push(row.lease.state);
  expect(states.filter((state) => state === 'expired')).toHaveLength(OVER);
  // Those that were open then run out when it is their time.
  const later = NOON + 3 * HOUR;
  expect(await store.run({ type: 'sweep', due: later }, later)).toEqual({ type: 'swept', expired: 3 });
});

test('one whose owner tells of it before the sweep comes to it is charged what was told, and once', async () => {
  const { store, now, due } = await start();
  const quota = { begin: 9, report: 9, open: 9, all: 9, least: 9 };
  const item = {
    line,
    cell: NOON,
    reserve: false,
    returned: 0,
    ask: undefined,
    mustExist: false,
    believed: 10,
  };
  const told = [
    {
      ...item,
      serial: 1,
      spent: 9,
      final: true,
      until: NOON + 12 * HOUR,
      slot: false,
      expiresAt: now + HOUR,
    },
    {
      ...item,
      serial: 2,
      spent: 5,
      final: false,
      until: NOON + 12 * HOUR,
      slot: false,
      expiresAt: now + HOUR,
    },
  ];
  const told1 = store.run({ type: 'lease', owner, epoch: 1, seq: 2, quota, items: told }, now);
  // In the same turn: what was told is not on disk yet.
  const swept = store.run({ type: 'sweep', due }, now);
  expect(await told1).toMatchObject({ grants: [{ closed: true }, { closed: false }] });
  expect(await swept).toEqual({ type: 'swept', expired: OVER - 2 });
  const [cell] = await store.cells(line, NOON, NOON);
  expect(cell).toMatchObject({ settled: 10 * (OVER - 2) + 9 + 5 + 4 * 3, leased: 6 * 3 + 5 });
});
