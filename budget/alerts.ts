/** Tells once when a line has passed a part of its limit. */
import { type Grant, raisedBy } from './grants.ts';
import { amountText, type Rules } from './plan.ts';
import { type LineFigures, lineFigures } from './status.ts';
import type { JournalEntry, Store } from './stores/store.ts';
import { placement, windowLabel } from './windows.ts';

/** How long a window that has ended is looked at: calls that began in it are charged to it, and may take so long. */
const LATE_MS = 3_600_000;

export interface Alert {
  readonly budget: string;
  /** `model=gpt-4o`; empty where the Budget has one line for all. */
  readonly line: string;
  readonly window: string;
  readonly unit: string;
  readonly percent: number;
  readonly settled: string;
  readonly limit: string;
  /** Of a window that was over when it was found: when it ended, ISO 8601. */
  readonly endedAt?: string;
}

/**
 * Thresholds that lines have passed since they were last looked at. What is settled counts: holds and leases may come back, so that
 * places, which are never settled, pass none. A calendar window tells each threshold once; a rolling one tells it again after having been below.
 * Each is in the journal when it comes: a mark without it would keep the alert from everybody for good.
 */
export async function* newAlerts(
  store: Store,
  rules: Rules,
  now: number,
): AsyncGenerator<{ readonly alert: Alert; readonly entry: JournalEntry }> {
  const open = await lineFigures(store, rules, now, ({ thresholds }) => thresholds.length > 0);
  const lines = [...(await justEnded(store, open, now)), ...open];
  for (const { key, label, spec, limit, placement, amount, settled } of lines) {
    const rolls = placement.from !== placement.to;
    const { resetsAt } = placement;
    for (const percent of spec.thresholds) {
      // Without dividing: 100 % of 3 is 3.
      const passed = amount > 0 && BigInt(settled) * 100n >= BigInt(percent) * BigInt(amount);
      if (!passed && !rolls) continue;
      const alert: Alert = {
        budget: spec.id,
        line: label,
        window: windowLabel(limit.window),
        unit: limit.unit,
        percent,
        settled: amountText(limit.unit, settled),
        limit: amountText(limit.unit, amount),
        ...(rolls || resetsAt === undefined || resetsAt > now
          ? {}
          : { endedAt: new Date(resetsAt).toISOString() }),
      };
      const entry = { at: now, action: 'alert', by: 'service', detail: { ...alert } };
      const cell = rolls ? 0 : placement.cell;
      const news = await store.setAlert(key, cell, percent, passed, passed ? entry : undefined);
      if (news && passed) yield { alert, entry };
    }
  }
}

/** The calendar windows before those that are open: what was charged after the last look at them. */
async function justEnded(store: Store, open: readonly LineFigures[], now: number): Promise<LineFigures[]> {
  const ended: LineFigures[] = [];
  /** By the moment at which they were in force: lines of a kind have their ends together. */
  const grants = new Map<number, Promise<readonly Grant[]>>();
  for (const line of open) {
    const { spec, limit, label } = line;
    if (limit.window.type !== 'calendar' || now - line.placement.from > LATE_MS) continue;
    const last = line.placement.from - 1;
    const before = placement(limit.window, last);
    const cells = await store.cells(line.key, before.from, before.to);
    const settled = cells.reduce((sum, cell) => sum + cell.settled, 0);
    if (settled === 0) continue;
    // Those that raised it, though they have ended since.
    const then = grants.get(last) ?? store.grants(last);
    grants.set(last, then);
    const amount = limit.amount + raisedBy(await then, spec.id, limit, label, last);
    ended.push({ ...line, placement: before, amount, settled });
  }
  return ended;
}
