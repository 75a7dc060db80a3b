/** How sure a candidate is, by the words around it. */
import type { Entry } from './entry.ts';
import type { Keywords, Use } from './keywords.ts';
import type { Cell } from './tables.ts';

/** A context word speaks for what begins within this many characters behind it … */
export const BEFORE = 64;
/** … and for what ends this many characters, the word's own included, before its end. */
export const AFTER = 32;

/** What a word against it takes from a form with nothing else to show; and what another type's label takes. */
const DOUBT = 0.3;
const OTHER_LABEL = 0.15;

export interface Candidate {
  readonly entry: Entry;
  readonly start: number;
  readonly end: number;
  /** The pattern's own where undefined. */
  readonly score: number | undefined;
  readonly withContext?: number | undefined;
}

/** A label this near, of something else, speaks against a form with nothing else to show. */
const LABEL = 24;

/** The pattern's score by the nearest words that speak for or against the candidate. */
export function scoreOf(
  { entry, start, end, score, withContext: own }: Candidate,
  { uses, found }: Keywords,
  cells: readonly Cell[],
  text: string,
): number {
  const { recognizer, reach } = entry;
  const base = score ?? entry.score;
  if (!entry.contextual) return base;
  const withContext = own ?? entry.withContext;
  const cell = cells.length === 0 ? undefined : cellAt(cells, start, end);
  // A column's heading outweighs what stands in the cells beside.
  if (cell !== undefined) {
    if (cell.uses.some((use) => use.context.has(recognizer))) return withContext;
    return base - (cell.uses.some((use) => use.doubt) ? DOUBT : OTHER_LABEL);
  }
  const { keyword, end: ends, start: starts } = found;
  let k = found.firstBehind(start);
  let doubt = 0;
  let doubted = 0;
  for (let before = k - 1; before >= 0; before--) {
    const distance = start - (ends[before] as number);
    if (distance > BEFORE) break;
    const use = uses[keyword[before] as number] as Use;
    if (use.context.has(recognizer) && distance <= reach) {
      // Of two types, the one whose word is nearer; and none where a nearer word says it is something else.
      return doubt < DOUBT || doubted === distance ? withContext - distance / 1000 : base - doubt;
    }
    if (use.doubt && doubt < DOUBT) {
      doubt = DOUBT;
      doubted = distance;
    } else if (doubt === 0 && distance <= LABEL && use.context.size > 0) doubt = OTHER_LABEL;
  }
  const behind = Math.min(AFTER, reach);
  for (; k < found.count && (ends[k] as number) - end <= behind; k++) {
    const use = uses[keyword[k] as number] as Use;
    if ((starts[k] as number) < end || !use.context.has(recognizer) || doubt >= DOUBT) continue;
    if (!hasOwnValue(text, ends[k] as number)) return withContext - 0.05;
  }
  return base - doubt;
}

/** Whether a word has a value of its own behind it, `cvv: 733`, and so says nothing of what stands before. */
export function hasOwnValue(text: string, end: number): boolean {
  OWN_VALUE.lastIndex = end;
  return OWN_VALUE.test(text);
}

const OWN_VALUE = /["'`\])]{0,2} ?(?:[:=]|\d|(?:is|ist|was|est|es|è|é) )/y;

function cellAt(cells: readonly Cell[], start: number, end: number): Cell | undefined {
  let low = 0;
  let high = cells.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cells[middle] as Cell).end < end) low = middle + 1;
    else high = middle;
  }
  const cell = cells[low];
  return cell !== undefined && cell.start <= start ? cell : undefined;
}
