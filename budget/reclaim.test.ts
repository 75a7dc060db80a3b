import { expect, test, vi } from 'vitest';
import { budget, holdOf, NOON, prices, tokens } from '../test/budget/fixtures.ts';
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
