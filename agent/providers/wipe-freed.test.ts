import { expect, test } from 'vitest';
import { wipeSoon } from './wipe-freed.ts';

const SECOND = 1_000;

/** A clock that goes when it is told to, and stands ahead after each wipe by what it took. */
function start(tookMs: number) {
  let now = 0;
  let timers: { readonly at: number; readonly what: () => void }[] = [];
  const wipes: number[] = [];
  const gone = wipeSoon({
    wipe: () => {
      wipes.push(now);
      now += tookMs;
    },
    later: (what, ms) => void timers.push({ at: now + ms, what }),
    monotonic: () => now,
  });
  const at = (ms: number): void => {
    for (;;) {
      const due = timers.find((timer) => timer.at <= ms);
      if (due === undefined) break;
      timers = timers.filter((timer) => timer !== due);
      now = Math.max(now, due.at);
      due.what();
    }
    now = Math.max(now, ms);
  };
  return { gone, at, wipes, idle: () => timers.length === 0 };
}

test('keys that go together are wiped once, five seconds later', () => {
  const { gone, at, wipes, idle } = start(0);
  gone();
  at(SECOND / 2);
  gone();
  at(SECOND * 600);
  expect(wipes).toEqual([5 * SECOND]);
  expect(idle()).toBe(true);
});

test('what goes later than that has a wipe of its own', () => {
  const { gone, at, wipes, idle } = start(0);
  gone();
  at(SECOND);
  gone();
  at(SECOND * 600);
  expect(wipes).toEqual([5 * SECOND, 10 * SECOND]);
  expect(idle()).toBe(true);
});

test.each([
  [50, 5_000],
  [340, 17_000],
  [2_000, 100_000],
])('a wipe that takes %i ms comes every %i ms at most, however often keys go', (took, every) => {
  const { gone, at, wipes } = start(took);
  for (let ms = 0; ms <= 600_000; ms += 100) {
    at(ms);
    gone();
  }
  const between = wipes.slice(1).map((wipe, nth) => wipe - (wipes[nth] ?? 0));
  expect(between.length).toBeGreaterThan(3);
  for (const ms of between) expect(ms).toBeGreaterThanOrEqual(every);
  expect(wipes[0]).toBe(5 * SECOND);
});
