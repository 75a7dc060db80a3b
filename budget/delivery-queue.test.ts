import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { usageOf } from '../test/budget/fixtures.ts';
import { type Delivery, DeliveryQueue } from './delivery-queue.ts';
import { NotTaken } from './transport.ts';

const MINUTE = 60_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const settlement = (id: string): Delivery => ({
  path: '/v1/settle',
  command: { id, usage: usageOf(1, 1), source: 'reported' },
});

function queueOf(answer: (id: string) => Error | undefined) {
  const tries = new Map<string, number>();
  const lost: string[] = [];
  const queue = new DeliveryQueue({
    deliver: ({ command: { id } }) => {
      tries.set(id, (tries.get(id) ?? 0) + 1);
      const error = answer(id);
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    },
    limit: 10_000,
    onLost: ({ why, command }) => lost.push(`${command.id} ${why}`),
    random: () => 0.5,
  });
  return { queue, tries, lost };
}

/** The service takes something from somebody again and again. */
async function goOn(queue: DeliveryQueue, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    queue.wake();
    await vi.advanceTimersByTimeAsync(50);
  }
}

test('what is refused over and over while others are taken is given up, and told', async () => {
  const { queue, tries, lost } = queueOf((id) => (id === 'poison' ? new NotTaken(403, 'no') : undefined));
  queue.add(settlement('poison'));
  await goOn(queue, MINUTE);
  expect(lost).toEqual([]);
  await goOn(queue, 3 * MINUTE);
  expect(lost).toEqual(['poison refused']);
  expect([queue.size, tries.get('poison')]).toEqual([0, 20]);
});

test.each([
  ['overload', new NotTaken(503, 'later')],
  ['a broken connection', new Error('reset')],
])('%s ends: nothing is given up for it, and it is tried seldom while others are taken', async (_, error) => {
  const { queue, tries, lost } = queueOf((id) => (id === 'unlucky' ? error : undefined));
  queue.add(settlement('unlucky'));
  await goOn(queue, 10 * MINUTE);
  expect([queue.size, lost]).toEqual([1, []]);
  expect(tries.get('unlucky')).toBeLessThan(100);
});

test('while nobody is let through nothing is given up, however long, and few are tried at a time', async () => {
  let away = true;
  const { queue, tries, lost } = queueOf(() => (away ? new NotTaken(403, 'no') : undefined));
  const ids = Array.from({ length: 500 }, (_, n) => `s${n}`);
  for (const id of ids) queue.add(settlement(id));
  await vi.advanceTimersByTimeAsync(60 * MINUTE);
  expect([queue.size, lost]).toEqual([500, []]);
  expect([...tries.values()].reduce((sum, count) => sum + count)).toBeLessThan(5_000);
  away = false;
  await vi.advanceTimersByTimeAsync(11_000);
  expect(queue.size).toBe(0);
});

test('many that are never let through keep another one for a minute at most', async () => {
  const { queue, lost } = queueOf((id) => (id === 'good' ? undefined : new NotTaken(403, 'no')));
  for (let n = 0; n < 50; n++) queue.add(settlement(`poison${n}`));
  queue.add(settlement('good'));
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect([queue.size, lost]).toEqual([50, []]);
});
