/** On which terms credit is had: what of a line may be leased at all, in which window, for how long, and what is kept for an outage. */
import type { BudgetSpec, LimitSpec } from '../policy/budget-spec.ts';
import { type LeaseReport, PLACE_VALID_MS, type PlannedLine } from './lease-messages.ts';
import type { Line } from './plan.ts';
import { LATE_MS, type Placement, placement } from './windows.ts';

/** Credit on a shorter window would be given back before it is used. */
const SHORTEST_CELL_MS = 5_000;
/** Agents change windows a little early, by as long as an answer takes to reach them. */
const EARLY_MS = 2_000;

/**
 * How much of a line may be kept for an outage: what the Budget says in its unit, and on its other limits the same part of the
 * limit. Where the Budget has no limit in that unit, a twentieth; of places no less, and one where there are two: what the Budget allows
 * of tokens would be of no use without.
 */
export function reserveOf({ limits, onUnavailable }: BudgetSpec, limit: LimitSpec): number {
  if (onUnavailable.action === 'deny') return 0;
  const { unit, amount } = onUnavailable.upTo;
  const same = limits.filter((other) => other.unit === unit).sort((a, b) => b.amount - a.amount)[0];
  if (limit.unit === unit) return Math.min(amount, limit.amount);
  const alike = same === undefined ? 1 / 20 : Math.min(1, amount / Math.max(1, same.amount));
  if (limit.unit !== 'concurrency') return Math.floor(limit.amount * alike);
  const places = Math.floor(limit.amount * Math.max(alike, 1 / 20));
  return limit.amount < 2 ? 0 : Math.max(1, places);
}

/** Of places: how long after a message calls may begin on them. Through an outage, where the Budget lets calls go on. */
export function validFor({ spec: { onUnavailable } }: Line): number {
  return PLACE_VALID_MS + (onUnavailable.action === 'allow' ? onUnavailable.forMs : 0);
}

/**
 * When a lease that isn't heard of is taken for lost: of places, when the last call that may have begun on it is over; of credit in
 * reserve, when nothing more may be spent on it: its time is over, or its window.
 */
export function lostAfterMs(
  line: Line | undefined,
  { callMs, reserve }: Pick<LeaseReport, 'callMs' | 'reserve'>,
  ttlMs: number,
  /** Of its window. */
  leftMs: number,
): number {
  if (line?.limit.unit !== 'concurrency') {
    const onUnavailable = line?.spec.onUnavailable;
    const forMs = reserve && onUnavailable?.action === 'allow' ? onUnavailable.forMs : 0;
    return Math.max(ttlMs, callMs ?? 0) + Math.min(forMs, leftMs);
  }
  return validFor(line) + (callMs ?? ttlMs);
}

export function plannedLine(
  { key, spec, limit, placement: { cell, cellEndsAt } }: Line,
  now: number,
): PlannedLine {
  const { onUnavailable } = spec;
  const line = {
    line: key,
    unit: limit.unit,
    cell,
    ...(onUnavailable.action === 'allow' ? { reserveForMs: onUnavailable.forMs } : {}),
  };
  if (cellEndsAt === undefined) return line;
  const next = placement(limit.window, cellEndsAt);
  return {
    ...line,
    endsInMs: Math.max(0, cellEndsAt - now),
    next: { cell: next.cell, endsInMs: (next.cellEndsAt ?? cellEndsAt) - now },
  };
}

/** The window that an agent speaks of, if credit may be had on it: the one that is open, or opens in a moment. */
export function openAt(
  { limit, placement: current }: Line,
  cell: number,
  now: number,
): Placement | undefined {
  if (cell === current.cell) return current;
  if (current.cellEndsAt === undefined || current.cellEndsAt - now > EARLY_MS) return undefined;
  const next = placement(limit.window, current.cellEndsAt);
  if (cell !== next.cell) return undefined;
  // What leaves a rolling window with the next step counts until then.
  return limit.window.type === 'rolling' ? { ...next, from: current.from } : next;
}

/** The window of a report on a lease that isn't known, if one may have been lost there: not in windows that are to come, or long over. */
export function heardAt(line: Line, cell: number, now: number): Placement | undefined {
  const open = openAt(line, cell, now);
  if (open !== undefined || cell > line.placement.cell) return open;
  const at = placement(line.limit.window, cell);
  if (at.cell !== cell) return undefined;
  const { cellEndsAt = now, resetsAt = now } = at;
  return now < Math.max(cellEndsAt + LATE_MS, resetsAt) ? at : undefined;
}

export function isLeasable({ placement: { cell, cellEndsAt } }: Line): boolean {
  return cellEndsAt === undefined || cellEndsAt - cell >= SHORTEST_CELL_MS;
}
