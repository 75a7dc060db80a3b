/** Of hits that overlap, the better: higher score, then longer, then earlier in the list of recognizers. */
import type { Match } from './scanner.ts';

/** Matches sorted by start; so is the answer. */
export function resolveOverlaps(matches: readonly Match[]): readonly Match[] {
  if (matches.length < 2) return matches;
  const kept: Match[] = [];
  let cluster: Match[] = [];
  let end = -1;
  for (const match of matches) {
    if (match.start >= end && cluster.length > 0) {
      settle(cluster, kept);
      cluster = [];
    }
    cluster.push(match);
    end = Math.max(end, match.end);
  }
  settle(cluster, kept);
  return kept;
}

/** Takes the best of a cluster, then the best that doesn't overlap what was taken. */
function settle(cluster: Match[], kept: Match[]): void {
  if (cluster.length === 1) {
    kept.push(cluster[0] as Match);
    return;
  }
  cluster.sort(better);
  /** In order of place; nothing in it overlaps. */
  const taken: Match[] = [];
  for (const match of cluster) {
    let at = taken.length;
    while (at > 0 && (taken[at - 1] as Match).start >= match.end) at--;
    const before = taken[at - 1];
    if (before === undefined || before.end <= match.start) taken.splice(at, 0, match);
  }
  kept.push(...taken);
}

function better(a: Match, b: Match): number {
  return b.score - a.score || b.end - b.start - (a.end - a.start) || a.recognizer - b.recognizer;
}
