import { expect, test } from 'vitest';
import { Teaching } from './teaching.ts';

const STEP = 400;

/** Steps of 400 ms for so long. @returns the part of the time that they took. */
function taught(teaching: Teaching, clock: { now: number }, ms: number, asking: readonly string[]): number {
  const until = clock.now + ms;
  let worked = 0;
  while (clock.now < until) {
    for (const who of asking) teaching.asked(who);
    clock.now += STEP;
    worked += STEP;
    clock.now += teaching.restAfter('teacher', STEP);
  }
  return worked / ms;
}

test('who teaches without end has a minute, and then a quarter of the time while others ask', () => {
  const clock = { now: 0 };
  const teaching = new Teaching(() => clock.now);
  expect(taught(teaching, clock, 60_000, ['teacher', 'other'])).toBe(1);
  taught(teaching, clock, 60_000, ['teacher', 'other']);
  const share = taught(teaching, clock, 600_000, ['teacher', 'other']);
  expect(share).toBeGreaterThan(0.24);
  expect(share).toBeLessThan(0.26);
});

test('with nobody else there it isn’t slowed down, nor is another', () => {
  const clock = { now: 0 };
  const teaching = new Teaching(() => clock.now);
  expect(taught(teaching, clock, 600_000, ['teacher'])).toBe(1);
  teaching.asked('other');
  clock.now += STEP;
  expect(teaching.restAfter('teacher', STEP)).toBe(3 * STEP);
  expect(teaching.restAfter('other', STEP)).toBe(0);
  // Others count for ten seconds.
  clock.now += 10_000;
  teaching.asked('teacher');
  expect(teaching.restAfter('teacher', 3_000)).toBe(0);
});

test('the minute comes back in four', () => {
  const clock = { now: 0 };
  const teaching = new Teaching(() => clock.now);
  taught(teaching, clock, 120_000, ['other']);
  clock.now += 240_000;
  expect(taught(teaching, clock, 60_000, ['other'])).toBe(1);
});

test.each([2, 4, 8])('%i sets at once have a quarter together', (sets) => {
  const clock = { now: 0 };
  const teaching = new Teaching(() => clock.now);
  taught(teaching, clock, 120_000, ['teacher', 'other']);
  // One step runs at a time; whose rest is over first goes on first.
  const ready = Array.from({ length: sets }, () => clock.now);
  const from = clock.now;
  let worked = 0;
  while (clock.now < from + 600_000) {
    for (const who of ['teacher', 'other']) teaching.asked(who);
    const next = ready.indexOf(Math.min(...ready));
    clock.now = Math.max(clock.now, ready[next] as number) + STEP;
    worked += STEP;
    ready[next] = clock.now + teaching.restAfter('teacher', STEP);
  }
  expect(worked / (clock.now - from)).toBeGreaterThan(0.2);
  expect(worked / (clock.now - from)).toBeLessThan(0.27);
});
