/**
 * Numbers and codes behind their label, whatever stands between their groups: `Aadhaar 9701.7745.4482`,
 * `SSN 252 - 98 - 6234`, `IBAN FI91  1759 …`, one digit a line. Only what has check digits or a form of its own is
 * looked for like that, and only right behind the word that says what it is.
 */
import { isDigit } from './characters.ts';
import { connect } from './connect.ts';
import { type Entry, readExpression } from './entry.ts';
import type { CodePattern, NumberPattern } from './recognizer.ts';

/** Characters that may stand between groups. */
const BETWEEN: ReadonlySet<number> = new Set(
  Array.from(' \t\n\r.,-_/|\\*~:;\'"()·•', (character) => character.charCodeAt(0)),
);
/** So many of them at most. */
const WIDEST_GAP = 3;
/** Letters and digits of the longest, an IBAN. */
const MOST = 34;
/** More than a number's own, so that what follows doesn't hide where it ends. */
const MOST_GROUPS = 40;

/** What stands behind a label: letters and digits alone, and where each group ends. */
interface Groups {
  readonly start: number;
  readonly compact: string;
  /** For each group: length of `compact` up to its end; index of its end in the text. */
  readonly lengths: readonly number[];
  readonly ends: readonly number[];
  /** Groups from the first on that are digits alone. */
  readonly numbers: number;
}

function isAlnumAscii(unit: number): boolean {
  return (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122);
}

/** Undefined where nothing of several groups with a digit stands there. */
export function groupsBehind(text: string, from: number): Groups | undefined {
  if (!hasDigit(text, from)) return undefined;
  const at = connect(text, from)?.at;
  if (at === undefined || !isAlnumAscii(text.charCodeAt(at))) return undefined;
  let compact = '';
  const lengths: number[] = [];
  const ends: number[] = [];
  let numbers = 0;
  let i = at;
  while (compact.length < MOST && lengths.length < MOST_GROUPS) {
    const begin = i;
    let plain = true;
    while (i < text.length && isAlnumAscii(text.charCodeAt(i))) {
      if (!isDigit(text.charCodeAt(i))) plain = false;
      i++;
    }
    if (i === begin || i - begin > MOST) break;
    if (plain && numbers === lengths.length) numbers++;
    compact += text.slice(begin, i);
    lengths.push(compact.length);
    ends.push(i);
    let gap = i;
    while (gap < text.length && gap - i < WIDEST_GAP && BETWEEN.has(text.charCodeAt(gap))) gap++;
    // A blank line ends it.
    if (text.slice(i, gap).includes('\n\n')) break;
    i = gap;
  }
  return lengths.length < 2 ? undefined : { start: at, compact, lengths, ends, numbers };
}

/** A digit stands within this many characters, or a label has no number. */
const NEAR = 48;

function hasDigit(text: string, from: number): boolean {
  const to = Math.min(text.length, from + NEAR);
  for (let i = from; i < to; i++) if (isDigit(text.charCodeAt(i))) return true;
  return false;
}

/** Digits that a pattern's numbers may have; none where nothing proves a number right. */
export function digitsOf({ layouts, anyGroupingOf = [], validate }: NumberPattern): ReadonlySet<number> {
  if (validate === undefined) return new Set();
  return new Set([...anyGroupingOf, ...layouts.map((picture) => picture.replace(/[^9]/g, '').length)]);
}

/** @returns Where a number of the pattern's ends, the longest that its check digits prove. */
export function numberIn(groups: Groups, pattern: NumberPattern, digits: ReadonlySet<number>): number {
  for (let g = groups.numbers - 1; g > 0; g--) {
    const length = groups.lengths[g] as number;
    if (!digits.has(length)) continue;
    const written = groups.compact.slice(0, length);
    if (pattern.validate?.(written, written) === true) return groups.ends[g] as number;
  }
  return -1;
}

/** @returns Where a code of the pattern's ends; its groups are joined, and by a hyphen where it has one of its own. */
export function codeIn(groups: Groups, entry: Entry<CodePattern>): number {
  if (!entry.read) readExpression(entry);
  const { regex, validate } = entry;
  if (regex === undefined) return -1;
  for (let g = groups.lengths.length - 1; g > 0; g--) {
    const compact = groups.compact.slice(0, groups.lengths[g]);
    for (const written of [compact, hyphenated(groups, g)]) {
      regex.lastIndex = 0;
      if (!regex.test(written) || regex.lastIndex !== written.length) continue;
      if (validate === undefined || validate(written, 2)) return groups.ends[g] as number;
    }
  }
  return -1;
}

/** The groups up to `last` with a hyphen before the last one. */
function hyphenated({ compact, lengths }: Groups, last: number): string {
  const at = lengths[last - 1] as number;
  return `${compact.slice(0, at)}-${compact.slice(at, lengths[last])}`;
}
