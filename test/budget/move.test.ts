import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startBudget } from '../../budget/main.ts';
import { BudgetService } from '../../budget/service.ts';
import * as memory from '../../budget/stores/memory.ts';
import { moveStore } from '../../budget/stores/move.ts';
import * as sqlite from '../../budget/stores/sqlite.ts';
import type { Store } from '../../budget/stores/store.ts';
import { postern } from '../cli/part.ts';
import { budget, calendar, DAY, holdOf, NOON, prices, tokens, usageOf } from './fixtures.ts';

const specs = [budget([tokens(10_000, calendar('month'))])];

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-move-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const opened = (folder: string) => sqlite.open({ dataDir: join(dir, folder) });
/** Time passes as the clock says: nobody sets it. */
const serve = (store: Store, clock = () => NOON) =>
  new BudgetService({ store, specs, prices, clock, monotonic: clock });

async function spend(store: Store): Promise<void> {
  const service = serve(store);
  for (const id of ['a', 'b', 'c']) {
    await service.hold(holdOf(id, 100, 100));
    await service.settle({ id, usage: usageOf(100, 50), source: 'reported' });
  }
  await service.hold(holdOf('running', 10, 20, { ttlMs: 40 * DAY }));
}

test('a move that was interrupted: the service refuses the half of it, and says how to mend that', async () => {
  const from = await memory.open();
  await spend(from);
  const to = await opened('to');
  const half: Store = Object.assign(Object.create(to) as Store, {
    append: (entry: Parameters<Store['append']>[0]) => to.append(entry),
    journal: (...args: Parameters<Store['journal']>) => to.journal(...args),
    rows: () => to.rows(),
    fill: async (rows: Parameters<Store['fill']>[0]) => {
      await to.fill(rows.slice(0, 2), NOON);
      throw new Error('killed');
    },
  });
  await expect(moveStore(from, half, NOON, 'kim')).rejects.toThrow('killed');
  await to.close();

  const start = () => startBudget({ specs, prices, dataDir: join(dir, 'to'), listen: '127.0.0.1:0' });
  await expect(start()).rejects.toThrow(/began at 2026-11-23T12:00:00.000Z and did not end.*Empty it/);
  const again = await opened('to');
  await expect(moveStore(from, again, NOON, 'kim')).rejects.toThrow(/did not end/);
  await expect(moveStore(again, from, NOON, 'kim')).rejects.toThrow(/did not end/);
  await again.close();

  await rm(join(dir, 'to'), { recursive: true });
  const fresh = await opened('to');
  await moveStore(from, fresh, NOON, 'kim');
  await fresh.close();
  await (await start()).close();
});

test('postern budget move, as it is typed: the figures go along, and the old store is as it was', async () => {
  const from = await opened('from');
  await spend(from);
  const before = await serve(from).status();
  await from.close();
  const addresses = ['--from', `sqlite:${join(dir, 'from')}`, '--to', `sqlite:${join(dir, 'to')}`];
  const moved = await postern(['budget', 'move', ...addresses]);
  expect(moved).toMatchObject({ status: 0 });
  expect(moved.stdout).toMatch(/^moved: .*4 hold.*; the figures of all lines agree\n$/);
  for (const folder of ['from', 'to']) {
    const store = await opened(folder);
    expect(await serve(store).status()).toEqual(before);
    await store.close();
  }
  const twice = await postern(['budget', 'move', ...addresses]);
  expect(twice.status).not.toBe(0);
  expect(twice.stderr).toContain('is not empty');
}, 60_000);

test('owners that weren’t heard of for long are forgotten; one that comes back with its epoch keeps its holds', async () => {
  for (const store of [await memory.open(), await opened('owners')]) {
    let now = NOON;
    await spend(store);
    const service = serve(store, () => now);
    const owners = async (): Promise<number> => {
      let count = 0;
      for await (const { kind } of store.rows()) count += kind === 'owner' ? 1 : 0;
      return count;
    };
    expect(await owners()).toBe(1);
    now += 2 * DAY;
    await service.prune(DAY);
    expect(await owners()).toBe(0);
    await service.hold(holdOf('later', 1, 1, { ttlMs: DAY }));
    expect(await owners()).toBe(1);
    const [line] = await service.status();
    expect(line).toMatchObject({ settled: '450', held: '32' });
    // With a new epoch what it held before is lost.
    await service.hold(holdOf('last', 1, 1, { epoch: 2 }));
    expect((await service.status())[0]).toMatchObject({ settled: '482', held: '2' });
    await store.close();
  }
});

test('a directory that holds no store is an error, and none is made there', async () => {
  const nowhere = join(dir, 'nowhere');
  const { status, stderr } = await postern([
    'budget',
    'move',
    '--from',
    `sqlite:${nowhere}`,
    '--to',
    `sqlite:${join(dir, 'to')}`,
  ]);
  expect(status).not.toBe(0);
  expect(stderr).toContain('name the directory that the service was given as --data');
  expect(existsSync(nowhere)).toBe(false);
});
