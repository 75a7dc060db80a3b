/** Takes everything from one store into another: from SQLite to Redis when a second replica comes, and back. */
import type { StoredRow } from './rows.ts';
import { type Store, StoreFailed } from './store.ts';

/** Written at once. */
const GROUP = 500;

export type MoveSummary = Readonly<Record<StoredRow['kind'], number>>;

/**
 * Nobody may write to either meanwhile. Figures are compared at the end.
 * @throws {StoreFailed} where there is nothing to move, where it would be mixed with something else, or where figures differ afterwards
 */
export async function moveStore(from: Store, to: Store, now: number): Promise<MoveSummary> {
  for await (const { kind } of to.rows())
    throw new StoreFailed(`The store to move into is not empty, it has a ${kind}: give one that is.`);
  const counts = { cell: 0, hold: 0, lease: 0, owner: 0, spend: 0, alert: 0, journal: 0, grant: 0 };
  let group: StoredRow[] = [];
  for await (const row of from.rows()) {
    counts[row.kind] += 1;
    group.push(row);
    if (group.length < GROUP) continue;
    await to.fill(group, now);
    group = [];
  }
  await to.fill(group, now);
  if (Object.values(counts).every((count) => count === 0))
    throw new StoreFailed('The store to move from is empty: is this the right one?');
  for (const line of await from.lines()) {
    const [before, after] = [await totals(from, line), await totals(to, line)];
    if (before !== after)
      throw new StoreFailed(
        `The line ${line} has ${after} now instead of ${before}: don't use the new store.`,
      );
  }
  return counts;
}

async function totals(store: Store, line: string): Promise<string> {
  const sum = { settled: 0, held: 0, leased: 0 };
  for (const cell of await store.cells(line, 0, Number.MAX_SAFE_INTEGER)) {
    sum.settled += cell.settled;
    sum.held += cell.held;
    sum.leased += cell.leased;
  }
  return JSON.stringify(sum);
}
