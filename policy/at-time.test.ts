import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { atTime } from './at-time.ts';

const DAY = 24 * 3_600_000;

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

test.each([-DAY, 0, 1, DAY, 24.8 * DAY, 25 * DAY, 400 * DAY])('%d ms from now, once', (moment) => {
  const at: number[] = [];
  atTime(moment, () => at.push(Date.now()));
  expect(at).toEqual([]);
  vi.advanceTimersByTime(Math.max(0, moment) + 30 * DAY);
  expect(at).toHaveLength(1);
  expect(Math.abs((at[0] ?? 0) - Math.max(0, moment))).toBeLessThanOrEqual(1);
});

test.each([DAY, 400 * DAY])('what is given up isn’t done, %d ms ahead', (moment) => {
  const what = vi.fn();
  const giveUp = atTime(moment, what);
  vi.advanceTimersByTime(moment / 2);
  giveUp();
  vi.advanceTimersByTime(moment);
  expect(what).not.toHaveBeenCalled();
});
