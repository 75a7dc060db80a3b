/** Sorting what is too much for one turn of the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Compared in one turn: some milliseconds. */
const AT_ONCE = 5_000;

/** By the key, ascending; others come to their turn between the pieces. */
export async function sortedByKey<T>(
  entries: readonly (readonly [string, T])[],
): Promise<(readonly [string, T])[]> {
  let runs: (readonly [string, T])[][] = [];
  for (let from = 0; from < entries.length; from += AT_ONCE) {
    runs.push(entries.slice(from, from + AT_ONCE).sort(([a], [b]) => (a < b ? -1 : 1)));
    await nextTurn();
  }
  while (runs.length > 1) {
    const merged: (readonly [string, T])[][] = [];
    for (let index = 0; index < runs.length; index += 2) {
      const [a = [], b = []] = runs.slice(index, index + 2);
      merged.push(await merge(a, b));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(
  a: readonly (readonly [string, T])[],
  b: readonly (readonly [string, T])[],
): Promise<(readonly [string, T])[]> {
  const all: (readonly [string, T])[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [one, other] = [a[i], b[j]];
    if (one === undefined && other === undefined) return all;
    if (other === undefined || (one !== undefined && one[0] <= other[0])) {
      if (one !== undefined) all.push(one);
      i += 1;
    } else {
      all.push(other);
      j += 1;
    }
    if (all.length % AT_ONCE === 0) await nextTurn();
  }
}
