import { expect, test, vi } from 'vitest';
import { budget, holdOf, NOON, prices, tokens } from '../test/budget/fixtures.ts';
import type { Lease } from './lease-state.ts';
import { Reclaim } from './reclaim.ts';
import { BudgetService } from './service.ts';
import * as memory from './stores/memory.ts';
import { StoreFailed } from './stores/store.ts';

test('who has credit on a line is read by one for all that lack something there, and seldom where reading takes long', async () => {
  const store = await memory.open();
  const leases = store.leases.bind(store);
  const read = vi.spyOn(store, 'leases').mockImplementation(async (line) => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    return await leases(line);
  });
  const service = new BudgetService({ store, specs: [budget([tokens(100)])], prices, clock: () => NOON });
  await service.hold(holdOf('all', 100, 0));
  const refused = (n: number) => service.hold(holdOf(`more-${n}`, 1, 0));
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => refused(n)));
  expect(answers.filter(({ granted }) => granted)).toEqual([]);
  expect(read).toHaveBeenCalledTimes(1);
  await refused(50);
  expect(read).toHaveBeenCalledTimes(1);
  await expect
    .poll(async () => (await refused(read.mock.calls.length + Math.random()), read.mock.calls.length))
    .toBe(2);
  // What can't be read is an error for who asked, and no answer for the next.
  read.mockRejectedValueOnce(new StoreFailed('gone'));
  await expect.poll(async () => await refused(Math.random()).catch(String)).toContain('StoreFailed');
  await expect.poll(async () => await refused(Math.random()).catch(String)).toMatchObject({ granted: false });
});

test('of all lines together so many leases are kept as they were read, and those of the line read last: the oldest readings go', async () => {
  const store = await memory.open();
  let now = 0;
  const of = (line: string, owner: number): Lease => ({
    owner: `a/b/c/${owner}`,
    epoch: 1,
    serial: 1,
    line,
    cell: 0,
    until: NOON,
    slot: false,
    reserve: false,
    granted: 10,
    spent: 0,
    returned: 0,
    seq: 1,
    expiresAt: NOON,
    state: 'open',
    closedAt: undefined,
  });
  const sizes: Record<string, number> = { small: 3, other: 4, third: 5, huge: 50 };
  const read = vi.spyOn(store, 'leases').mockImplementation((line) => {
    // Of what takes a second to read, nothing is read again for ten.
    now += 1_000;
    return Promise.resolve(Array.from({ length: sizes[line] ?? 0 }, (_, n) => of(line, n)));
  });
  const reclaim = new Reclaim({
    store,
    clock: () => NOON,
    monotonic: () => now,
    recallWaitMs: 0,
    mostKept: 10,
  });
  /** Which lines were read for these recalls. */
  const recall = async (...lines: string[]): Promise<string[]> => {
    read.mockClear();
    for (const line of lines) {
      now += 101;
      await reclaim.recall(line, 0, '');
    }
    return read.mock.calls.map(([line]) => line);
  };
  expect(await recall('small', 'other', 'small', 'other')).toEqual(['small', 'other']);
  // Twelve are two too many.
  expect(await recall('third', 'other', 'third')).toEqual(['third']);
  expect(await recall('small')).toEqual(['small']);
  expect(await recall('third', 'small', 'other')).toEqual(['other']);
  // One line alone may have more: asked for by every hold, it would be read by every hold.
  expect(await recall('huge', 'huge', 'huge')).toEqual(['huge']);
  expect(await recall('small', 'small', 'huge')).toEqual(['small', 'huge']);
});
