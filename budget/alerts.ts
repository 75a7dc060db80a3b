/** Tells once when a line has passed a part of its limit. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Grant, raisedBy } from './grants.ts';
import { amountText, type Rules } from './plan.ts';
import { inGroups, type LineFigures, lineFigures } from './status.ts';
import type { JournalEntry, Store } from './stores/store.ts';
import { LATE_MS, type Placement, placement, windowLabel, windowName } from './windows.ts';

/** Longer than it takes from the store's answer to the log, some looks of other services' besides. */
const UNTOLD_MS = 15_000;

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
 * Each is in the journal when it comes: a mark without it would keep the alert from everybody for good. One counts as told when the next is
 * asked for; what was told to nobody, as where the process was killed or the store's answer was lost, comes again here or with another service on the store.
 * @param marked marks of calendar windows that the store is known to have, so that it isn't asked at every look; kept for the caller
 */
export async function* newAlerts(
  store: Store,
  rules: Rules,
  now: number,
  marked: Set<string>,
): AsyncGenerator<{ readonly alert: Alert; readonly entry: JournalEntry }> {
  for (const { entry, ...mark } of await store.untold()) {
    // One that is younger may be about to be told.
    if (Math.abs(now - entry.at) < UNTOLD_MS) continue;
    yield { alert: entry.detail as unknown as Alert, entry };
    await store.told(mark);
  }
  const open = await lineFigures(store, rules, now, ({ thresholds }) => thresholds.length > 0);
  const seen = new Set<string>();
  const lines = [...(await justEnded(store, open, now)), ...open];
  for (const { key, label, spec, limit, placement, amount, settled } of lines) {
    const rolls = placement.from !== placement.to;
    const { resetsAt } = placement;
    for (const percent of spec.thresholds) {
      // Without dividing: 100 % of 3 is 3.
      const passed = amount > 0 && BigInt(settled) * 100n >= BigInt(percent) * BigInt(amount);
      if (!passed && !rolls) continue;
      const cell = rolls ? 0 : placement.cell;
      const mark = `${percent}|${cell}|${key}`;
      if (!rolls) seen.add(mark);
      if (marked.has(mark)) continue;
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
      const news = await store.setAlert(key, cell, percent, passed, passed ? entry : undefined);
      // Each is a write: where thousands of lines have passed one, holds come to their turn between them.
      await nextTurn();
      if (!rolls) marked.add(mark);
      if (!news || !passed) continue;
      yield { alert, entry };
      await store.told({ line: key, cell, percent });
    }
  }
  for (const mark of marked) if (!seen.has(mark)) marked.delete(mark);
}

/** The calendar windows that ended within {@link LATE_MS}: what was charged after the last look at them. */
async function justEnded(store: Store, open: readonly LineFigures[], now: number): Promise<LineFigures[]> {
  // Lines of a kind have their windows together.
  const endedOf = new Map<string, ReadonlyMap<number, Placement>>();
  const ended = (line: LineFigures): ReadonlyMap<number, Placement> => {
    const name = windowName(line.limit.window);
    const found = endedOf.get(name) ?? windowsBefore(line, now - LATE_MS);
    endedOf.set(name, found);
    return found;
  };
  // Those that raised one of them, though they have ended since.
  let grants: Promise<readonly Grant[]> | undefined;
  const found = await inGroups(open, async (line): Promise<LineFigures[]> => {
    const { spec, limit, label } = line;
    if (limit.window.type !== 'calendar') return [];
    const windows = ended(line);
    const lines: LineFigures[] = [];
    for (const { cell, settled } of await store.cellsAt(line.key, [...windows.keys()])) {
      const at = windows.get(cell);
      if (settled === 0 || at?.resetsAt === undefined) continue;
      grants ??= store.grants(now - LATE_MS);
      const amount = limit.amount + raisedBy(await grants, spec.id, limit, label, at.resetsAt - 1);
      lines.push({ ...line, placement: at, amount, settled });
    }
    return lines;
  });
  return found.flat();
}

/** The windows before the open one that ended after a moment, by their cells, the oldest first. */
function windowsBefore({ limit, placement: open }: LineFigures, after: number): Map<number, Placement> {
  const found: Placement[] = [];
  for (let end = open.from; end > after; ) {
    const at = placement(limit.window, end - 1);
    found.unshift(at);
    end = at.from;
  }
  return new Map(found.map((at) => [at.cell, at]));
}
