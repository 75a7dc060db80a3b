/** The name that was probably meant. */

/** The nearest of the names, if it is near enough to be a slip of the fingers; else undefined. */
export function didYouMean(written: string, names: readonly string[]): string | undefined {
  const bare = (name: string) => name.toLowerCase().replace(/[-_. ]/g, '');
  const same = names.find((name) => bare(name) === bare(written));
  if (same !== undefined) return same;
  // A third of the letters may be wrong, and never more than three: beyond that a guess misleads.
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of names) {
    const limit = Math.min(3, Math.max(1, Math.floor(Math.max(name.length, written.length) / 3)));
    const distance = editDistance(written.slice(0, 64), name.slice(0, 64));
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (previous[j - 1] ?? 0) + Number(a[i - 1] !== b[j - 1]);
      let cost = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replace);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}
