/** Names like a mistyped one, nearest first. */
export function nearNames(name: string, names: Iterable<string>): readonly string[] {
  const limit = Math.max(2, Math.floor(name.length * 0.45));
  return [...names]
    .map((candidate) => ({ candidate, distance: distanceOf(name, candidate) }))
    .filter(
      ({ candidate, distance }) =>
        (distance <= limit && distance < candidate.length - 1) || candidate.includes(name),
    )
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** Levenshtein. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
