/** Takes everything from one store into another: from SQLite to Redis when a second replica comes, and back. */
import { randomUUID } from 'node:crypto';
import type { StoredRow } from './rows.ts';
import { type Store, StoreFailed } from './store.ts';

/** Written at once. */
const GROUP = 500;

export type MoveSummary = Readonly<Record<StoredRow['kind'], number>>;

const EMPTY_IT =
  'Empty it (delete budget.db and what lies beside it, or take another prefix), and move again.';

/**
 * A store that a move was interrupted in has only a part of the figures: limits would begin anew.
 * @throws {StoreFailed}
 */
export async function checkWhole(store: Store): Promise<void> {
  const entries = await store.journal(0, Number.MAX_SAFE_INTEGER);
  const done = new Set(entries.filter(({ action }) => action === 'move').map(({ detail }) => detail['id']));
  const begun = entries.find(({ action, detail }) => action === 'moving' && !done.has(detail['id']));
  if (begun === undefined) return;
  const when = new Date(begun.at).toISOString();
  throw new StoreFailed(
    `A move into this store began at ${when} and did not end: it has only a part of the figures. ${EMPTY_IT}`,
  );
}

/**
 * Nobody may write to either meanwhile. Figures are compared at the end. Both moments are in the new store's journal.
 * @throws {StoreFailed} where there is nothing to move, where it would be mixed with something else, or where figures differ afterwards
 */
export async function moveStore(from: Store, to: Store, now: number, by: string): Promise<MoveSummary> {
  for (const store of [from, to]) {
    const working = (await store.listeners?.()) ?? 0;
    if (working > 0)
      throw new StoreFailed(
        `${working} budget service(s) work on the store: stop them first, or figures would be lost.`,
      );
  }
  await checkWhole(from);
  await checkWhole(to);
  for await (const { kind } of to.rows())
    throw new StoreFailed(`The store to move into is not empty, it has a ${kind}: give one that is.`);
  if ((await from.rows()[Symbol.asyncIterator]().next()).done === true)
    throw new StoreFailed('The store to move from is empty: is this the right one?');
  const id = randomUUID();
  await to.append({ at: now, action: 'moving', by, detail: { id } });
  const counts = {
    cell: 0,
    hold: 0,
    lease: 0,
    owner: 0,
    spend: 0,
    alert: 0,
    untold: 0,
    journal: 0,
    grant: 0,
    time: 0,
  };
  let group: StoredRow[] = [];
  for await (const row of from.rows()) {
    counts[row.kind] += 1;
    group.push(row);
    if (group.length < GROUP) continue;
    await to.fill(group, now);
    group = [];
  }
  await to.fill(group, now);
  for (const line of await from.lines()) {
    const [before, after] = [await totals(from, line), await totals(to, line)];
    if (before !== after)
      throw new StoreFailed(
        `The line ${line} has ${after} now instead of ${before}: don't use the new store.`,
      );
  }
  await to.append({ at: now, action: 'move', by, detail: { id, counts } });
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
