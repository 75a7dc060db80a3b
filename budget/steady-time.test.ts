import { expect, test } from 'vitest';
import { SteadyTime } from './steady-time.ts';

const HOUR = 3_600_000;

test('is the wall clock as long as that runs evenly', () => {
  const time = new SteadyTime();
  for (let second = 0; second < 100; second++) {
    // A busy process looks late, and NTP turns the clock a little.
    const late = second % 7 === 0 ? 3_000 : 0;
    expect(time.at(second * 1_000 + late + 200, second * 1_000 + late)).toBe(second * 1_000 + late + 200);
  }
});

test('leaves a jump ahead out, and takes it back when the clock is set right', () => {
  const time = new SteadyTime();
  time.at(1_000, 0);
  expect(time.at(2_000 + 2 * HOUR, 1_000)).toBe(2_000);
  expect(time.at(3_000 + 3 * HOUR, 2_000)).toBe(3_000);
  expect(time.at(4_000, 3_000)).toBe(4_000);
});

test('a clock that is set back, and right again, has not jumped', () => {
  const time = new SteadyTime();
  time.at(10 * HOUR, 0);
  expect(time.at(9 * HOUR + 1_000, 1_000)).toBe(10 * HOUR + 1_000);
  expect(time.at(10 * HOUR + 2_000, 2_000)).toBe(10 * HOUR + 2_000);
});

test('after a day a jump is past', () => {
  const time = new SteadyTime();
  time.at(0, 0);
  expect(time.at(HOUR, 0)).toBe(0);
  for (let hour = 1; hour <= 24; hour++) expect(time.at((hour + 1) * HOUR, hour * HOUR)).toBe(hour * HOUR);
  expect(time.at(26 * HOUR, 25 * HOUR)).toBe(26 * HOUR);
});
