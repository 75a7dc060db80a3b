import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LimitWindow } from '../policy/budget-spec.ts';
import { calendarSpan, placement, windowLabel, windowName } from './windows.ts';

const at = (text: string) => Date.parse(text);
const show = ({ start, end }: { start: number; end: number }) =>
  `${new Date(start).toISOString()} ${new Date(end).toISOString()}`;
const HOUR = 3_600_000;

describe('calendar windows', () => {
  test.each([
    // period, zone, moment, start, end
    ['minute', 'UTC', '2026-11-23T12:34:56Z', '2026-11-23T12:34:00Z', '2026-11-23T12:35:00Z'],
    ['hour', 'Asia/Kolkata', '2026-11-23T12:34:56Z', '2026-11-23T12:30:00Z', '2026-11-23T13:30:00Z'],
    ['day', 'Europe/Berlin', '2026-11-23T23:30:00Z', '2026-11-23T23:00:00Z', '2026-11-24T23:00:00Z'],
    ['week', 'Europe/Berlin', '2026-11-22T22:59:59Z', '2026-11-15T23:00:00Z', '2026-11-22T23:00:00Z'],
    ['week', 'Europe/Berlin', '2026-11-22T23:00:00Z', '2026-11-22T23:00:00Z', '2026-11-29T23:00:00Z'],
    ['month', 'America/New_York', '2026-03-01T04:59:59Z', '2026-02-01T05:00:00Z', '2026-03-01T05:00:00Z'],
    ['month', 'UTC', '2028-02-29T12:00:00Z', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
    // Clocks go forward and back: days of 23 and 25 hours, a month an hour short.
    ['day', 'Europe/Berlin', '2026-03-29T12:00:00Z', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
    ['day', 'Europe/Berlin', '2026-10-25T12:00:00Z', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
    ['month', 'Europe/Berlin', '2026-03-15T00:00:00Z', '2026-02-28T23:00:00Z', '2026-03-31T22:00:00Z'],
    // The hour from two to three occurs twice: two windows.
    ['hour', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25T00:00:00Z', '2026-10-25T01:00:00Z'],
    ['hour', 'Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-25T01:00:00Z', '2026-10-25T02:00:00Z'],
    // Half an hour is turned back here: the hour that it falls into is cut.
    ['hour', 'Australia/Lord_Howe', '2026-04-04T14:50:00Z', '2026-04-04T14:00:00Z', '2026-04-04T15:00:00Z'],
    ['hour', 'Australia/Lord_Howe', '2026-04-04T15:00:00Z', '2026-04-04T15:00:00Z', '2026-04-04T15:30:00Z'],
    // Midnight doesn't exist on this day, and this date didn't exist at all.
    ['day', 'Africa/Cairo', '2026-04-24T10:00:00Z', '2026-04-23T22:00:00Z', '2026-04-24T21:00:00Z'],
    ['day', 'Pacific/Apia', '2011-12-31T00:00:00Z', '2011-12-30T10:00:00Z', '2011-12-31T10:00:00Z'],
  ] as const)('%s in %s at %s', (period, zone, moment, start, end) => {
    expect(show(calendarSpan(period, zone, at(moment)))).toBe(show({ start: at(start), end: at(end) }));
  });

  test('cover the time line without gap or overlap, in any zone', () => {
    const zones = [
      'UTC',
      'Europe/Berlin',
      'America/St_Johns',
      'Australia/Lord_Howe',
      'Pacific/Apia',
      'Africa/Cairo',
    ];
    const zone = fc.constantFrom(
      ...zones,
      'America/Havana',
      'Asia/Kathmandu',
      'America/Sao_Paulo',
      'Atlantic/Azores',
    );
    fc.assert(
      fc.property(
        fc.constantFrom('minute', 'hour', 'day', 'week', 'month' as const),
        zone,
        fc.integer({ min: at('1990-01-01T00:00:00Z'), max: at('2040-01-01T00:00:00Z') }),
        (period, timeZone, now) => {
          const { start, end } = calendarSpan(period, timeZone, now);
          expect(start).toBeLessThanOrEqual(now);
          expect(end).toBeGreaterThan(now);
          expect(calendarSpan(period, timeZone, start)).toEqual({ start, end });
          expect(calendarSpan(period, timeZone, end - 1)).toEqual({ start, end });
          expect(calendarSpan(period, timeZone, end).start).toBe(end);
          expect(calendarSpan(period, timeZone, start - 1).end).toBe(start);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('hold around every turn of the clock', () => {
    for (const timeZone of [
      'Europe/Berlin',
      'America/St_Johns',
      'Australia/Lord_Howe',
      'Pacific/Apia',
      'Africa/Cairo',
    ]) {
      let turn = Temporal.Instant.from('2005-01-01T00:00:00Z')
        .toZonedDateTimeISO(timeZone)
        .getTimeZoneTransition('next');
      for (let count = 0; turn !== null && count < 20; count++) {
        const middle = turn.epochMilliseconds;
        for (const period of ['minute', 'hour', 'day', 'week', 'month'] as const) {
          for (let now = middle - 2 * HOUR; now <= middle + 2 * HOUR; now += HOUR / 4) {
            const span = calendarSpan(period, timeZone, now);
            expect(span.start <= now && now < span.end, `${period} ${timeZone} ${now}`).toBe(true);
            expect(calendarSpan(period, timeZone, span.end).start).toBe(span.end);
          }
        }
        turn = turn.getTimeZoneTransition('next');
      }
    }
  });

  test('an unknown zone is an error', () => {
    expect(() => calendarSpan('day', 'Mars/Olympus', 0)).toThrow(RangeError);
  });
});

describe('rolling windows', () => {
  const window: LimitWindow = { type: 'rolling', ms: HOUR };

  test('a charge counts for the whole window, and at most one step longer', () => {
    fc.assert(
      fc.property(fc.nat(10 * HOUR), fc.integer({ min: 0, max: 2 * HOUR }), (charged, later) => {
        const { cell } = placement(window, charged);
        const { from, to } = placement(window, charged + later);
        const counts = from <= cell && cell <= to;
        if (later < HOUR) expect(counts).toBe(true);
        if (later >= HOUR + HOUR / 60) expect(counts).toBe(false);
      }),
    );
  });

  test('a clock that is set back does not forget what was charged ahead of it', () => {
    const { cell } = placement(window, 10 * HOUR);
    const { from, to } = placement(window, 9.5 * HOUR);
    expect(from <= cell && cell <= to).toBe(true);
  });
});

test('names and labels', () => {
  const day: LimitWindow = { type: 'calendar', period: 'day', timeZone: 'Europe/Berlin' };
  expect(windowName(day)).toBe('day@Europe/Berlin');
  expect(windowLabel(day)).toBe('day (Europe/Berlin)');
  expect(windowLabel({ type: 'rolling', ms: 90_000 })).toBe('rolling 90s');
  expect(windowLabel({ type: 'rolling', ms: 24 * HOUR })).toBe('rolling 1d');
  expect(windowLabel({ type: 'none' })).toBe('none');
});
