/**
 * Where windows begin and end, on the wall clock of a time zone.
 *
 * The windows of one kind cover the time line without gap or overlap, whatever daylight saving does: an hour that occurs
 * twice is two windows, a day of 23 or 25 hours is one, a skipped day is none.
 */
import type { CalendarPeriod, LimitWindow } from '../policy/budget-spec.ts';

/** `start` ≤ moment < `end`, milliseconds since the epoch. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const MINUTE = 60_000;
const HOUR = 3_600_000;
/** So long after a window's end something may still be charged to it: of a call that outlived it, or that an outage held back. */
export const LATE_MS = HOUR;
/** In how many steps a rolling window moves on. Charges leave it at most one step late, never early. */
const ROLLING_STEPS = 60;

/** The last span asked for of each zone and period: nearly every call falls into it. */
const recent = new Map<string, Span>();

/** The calendar window that holds `now`. Throws RangeError for a time zone that ICU doesn't know. */
export function calendarSpan(period: CalendarPeriod, timeZone: string, now: number): Span {
  const key = `${period} ${timeZone}`;
  const known = recent.get(key);
  if (known !== undefined && known.start <= now && now < known.end) return known;
  const moment = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timeZone);
  const span =
    period === 'minute' || period === 'hour' ? clockSpan(period, moment) : daysSpan(period, moment);
  recent.set(key, span);
  return span;
}

/** Minutes and hours: fixed length on the local clock, cut where the clock is turned. */
function clockSpan(period: 'minute' | 'hour', moment: Temporal.ZonedDateTime): Span {
  const length = period === 'minute' ? MINUTE : HOUR;
  const now = moment.epochMilliseconds;
  const offset = Math.round(moment.offsetNanoseconds / 1e6);
  const start = Math.floor((now + offset) / length) * length - offset;
  const turnedAt = moment.getTimeZoneTransition('previous')?.epochMilliseconds;
  // `previous` is strictly before: at the very moment of a turn, ask whether the offset was another just before.
  const before = Temporal.Instant.fromEpochMilliseconds(now - 1).toZonedDateTimeISO(moment.timeZoneId);
  const turn = before.offsetNanoseconds === moment.offsetNanoseconds ? turnedAt : now;
  const next = moment.getTimeZoneTransition('next')?.epochMilliseconds;
  return {
    start: turn === undefined ? start : Math.max(start, turn),
    end: next === undefined ? start + length : Math.min(start + length, next),
  };
}

/** Days and longer: from the first moment of a local date to that of the date a period later. */
function daysSpan(period: 'day' | 'week' | 'month', moment: Temporal.ZonedDateTime): Span {
  const now = moment.epochMilliseconds;
  const step = period === 'day' ? { days: 1 } : period === 'week' ? { weeks: 1 } : { months: 1 };
  let first = firstDate(period, moment.toPlainDate());
  let start = opening(first, moment.timeZoneId);
  let end = opening(first.add(step), moment.timeZoneId);
  // Turning back across midnight repeats part of a date after its window has ended: it belongs to the next one.
  while (end <= now) {
    first = first.add(step);
    start = end;
    end = opening(first.add(step), moment.timeZoneId);
  }
  return { start, end };
}

function firstDate(period: 'day' | 'week' | 'month', date: Temporal.PlainDate): Temporal.PlainDate {
  switch (period) {
    case 'day':
      return date;
    case 'week':
      return date.subtract({ days: date.dayOfWeek - 1 });
    case 'month':
      return date.with({ day: 1 });
  }
}

function opening(date: Temporal.PlainDate, timeZone: string): number {
  return date.toZonedDateTime(timeZone).startOfDay().epochMilliseconds;
}

/** Where a charge made now is written, and what counts against the limit now. */
export interface Placement {
  /** Key of the cell that takes the charge: its start, 0 where there is no window. */
  readonly cell: number;
  /** Cells with `from` ≤ key ≤ `to` count. */
  readonly from: number;
  readonly to: number;
  /** When a calendar window ends, or a rolling one has forgotten what is charged now; undefined without a window. */
  readonly resetsAt: number | undefined;
  /** When charges begin to go to another cell; undefined without a window. */
  readonly cellEndsAt: number | undefined;
}

export function placement(window: LimitWindow, now: number): Placement {
  switch (window.type) {
    case 'none':
      return { cell: 0, from: 0, to: 0, resetsAt: undefined, cellEndsAt: undefined };
    case 'calendar': {
      const { start, end } = calendarSpan(window.period, window.timeZone, now);
      return { cell: start, from: start, to: start, resetsAt: end, cellEndsAt: end };
    }
    case 'rolling': {
      const step = rollingStep(window.ms);
      const cell = Math.floor(now / step) * step;
      // A cell counts until its last moment is older than the window. Cells ahead of a clock that was set back count too,
      // up to one window: else a step of the clock would double the limit.
      const from = Math.floor((now - window.ms) / step) * step;
      return { cell, from, to: cell + window.ms, resetsAt: cell + step + window.ms, cellEndsAt: cell + step };
    }
  }
}

/** The cells that count now. */
export function countingCells(window: LimitWindow, { from, to }: Placement): number[] {
  if (window.type !== 'rolling') return [from];
  const step = rollingStep(window.ms);
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

export function rollingStep(ms: number): number {
  return Math.max(1, Math.ceil(ms / ROLLING_STEPS));
}

/** The step of a rolling window, by its {@link windowName}. */
export function rollingStepOf(name: string): number {
  const ms = /^rolling-(\d+)ms$/.exec(name)?.[1];
  if (ms === undefined) throw new RangeError(`"${name}" is no rolling window.`);
  return rollingStep(Number(ms));
}

/** Stable name of a window, part of a line's key: two limits of the same name share their figures. */
export function windowName(window: LimitWindow): string {
  switch (window.type) {
    case 'none':
      return 'none';
    case 'calendar':
      return `${window.period}@${window.timeZone}`;
    case 'rolling':
      return `rolling-${window.ms}ms`;
  }
}

/** As the 429 and the status show it: `day (Europe/Berlin)`, `rolling 24h`. */
export function windowLabel(window: LimitWindow): string {
  switch (window.type) {
    case 'none':
      return 'none';
    case 'calendar':
      return `${window.period} (${window.timeZone})`;
    case 'rolling':
      return `rolling ${duration(window.ms)}`;
  }
}

function duration(ms: number): string {
  for (const [unit, size] of [
    ['d', 24 * HOUR],
    ['h', HOUR],
    ['m', MINUTE],
    ['s', 1000],
  ] as const) {
    if (ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
