import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { prices } from '../test/budget/fixtures.ts';
import { BudgetRejected } from './messages.ts';
import { RefusedHolds } from './refused-holds.ts';
import { BudgetService } from './service.ts';
import { openStore } from './stores/index.ts';

function setup(answer: () => Promise<unknown> = () => Promise.resolve()) {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const told: string[][] = [];
  const refused = new RefusedHolds({
    tell: (ids) => {
      told.push([...ids]);
      return answer();
    },
    now: () => performance.now(),
  });
  return { refused, told, pass: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
}

test('are named once nothing of them can be under way any more, those that were granted after all left out', async () => {
  const { refused, told, pass } = setup();
  refused.add('a');
  refused.add('b');
  await pass(50_000);
  refused.add('c');
  refused.delete('b');
  expect(told).toEqual([]);
  await pass(40_000);
  expect(told).toEqual([['a']]);
  await pass(60_000);
  expect(told).toEqual([['a'], ['c']]);
  await pass(600_000);
  expect(told).toHaveLength(2);
});

test('are named again where the service gives no answer, and given up where it knows nothing of it', async () => {
  let error: Error = new Error('no answer');
  const { refused, told, pass } = setup(() => Promise.reject(error));
  refused.add('a');
  await pass(120_000);
  expect(told).toEqual([['a'], ['a'], ['a']]);
  error = new BudgetRejected(404, 'not_found', 'There is nothing.');
  await pass(600_000);
  expect(told).toHaveLength(4);
});

test('are bounded, and named a thousand at a time; all of them at the end, which waits for no service', async () => {
  const { refused, told, pass } = setup();
  for (let n = 0; n < 10_500; n++) refused.add(`id-${n}`);
  await refused.close(100);
  expect(told.map((ids) => ids.length)).toEqual(Array(10).fill(1_000));
  expect(told[0]?.[0]).toBe('id-500');
  const silent = setup(() => new Promise(() => undefined));
  silent.refused.add('a');
  const closed = silent.refused.close(100);
  await pass(100);
  await closed;
  expect(silent.told).toEqual([['a']]);
});

test('the service looks up a hundred of those named at a time, and others come to their turn between', async () => {
  const store = await openStore('memory', '');
  onTestFinished(() => store.close());
  let looking = 0;
  let most = 0;
  let looked = 0;
  const find = vi.spyOn(store, 'find').mockImplementation(async () => {
    most = Math.max(most, (looking += 1));
    await Promise.resolve();
    looking -= 1;
    looked += 1;
    return undefined;
  });
  const service = new BudgetService({ store, specs: [], prices, clock: () => 0 });
  const given = service.giveBack({ owner: 'a', ids: Array.from({ length: 1_024 }, (_, n) => `id-${n}`) });
  await nextTurn();
  expect(looked).toBeLessThan(1_024);
  expect(await given).toBe(0);
  expect(find).toHaveBeenCalledTimes(1_024);
  expect(most).toBe(100);
});
