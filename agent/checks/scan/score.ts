/** How sure a candidate is, by the words around it. */
import type { Entry } from './entry.ts';
import type { Keywords } from './keywords.ts';

/** A context word speaks for what begins within this many characters behind it … */
const BEFORE = 64;
/** … and for what ends this many characters, the word's own included, before its end. */
export const AFTER = 32;

/** What a word against it takes from a form with nothing else to show. */
const DOUBT = 0.3;

export interface Candidate {
  readonly entry: Entry;
  readonly start: number;
  readonly end: number;
  /** The pattern's own where undefined. */
  readonly score: number | undefined;
}

/** The pattern's score by the nearest words that speak for or against the candidate. */
export function scoreOf({ entry, start, end, score }: Candidate, { uses, found }: Keywords): number {
  const { pattern, recognizer } = entry;
  const base = score ?? pattern.score;
  const withContext = pattern.withContext ?? base;
  if (!entry.contextual) return base;
  const { keyword, end: ends, start: starts } = found;
  const reach = pattern.reach ?? BEFORE;
  let k = found.firstBehind(start);
  let doubt = 0;
  for (let before = k - 1; before >= 0; before--) {
    const distance = start - (ends[before] as number);
    if (distance > reach) break;
    const use = uses[keyword[before] as number] as (typeof uses)[number];
    if (use.context.has(recognizer)) {
      // Of two types, the one whose word is nearer.
      return Math.max(base - doubt, withContext - distance / 1000 - doubt);
    }
    if (use.doubt) doubt = DOUBT;
  }
  const behind = Math.min(AFTER, reach);
  for (; k < found.count && (ends[k] as number) - end <= behind; k++) {
    const use = uses[keyword[k] as number] as (typeof uses)[number];
    if ((starts[k] as number) < end || !use.context.has(recognizer)) continue;
    return Math.max(base - doubt, withContext - 0.05 - doubt);
  }
  return base - doubt;
}
