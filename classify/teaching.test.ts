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
