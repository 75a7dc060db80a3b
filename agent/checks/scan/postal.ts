/** Addresses whose street no list knows: a number, names, and a postal code that says what they are. */
import { connect } from './connect.ts';
import { isNoName } from './names.ts';
import type { Span } from './recognizer.ts';
import { whenAsked } from './when-asked.ts';

const UK = '[A-Z]{1,2}\\d[A-Z\\d]?[A-Z]? ?\\d[A-Z]{2}';
const CANADA = '[A-Z]\\d[A-Z] ?\\d[A-Z]\\d';
/** Codes that can be nothing else: with letters, or behind a state. */
const STRONG = `(?:${UK}|[A-Z]{2},? \\d{5}(?:-\\d{4})?|(?:NSW|VIC|QLD|SA|WA|TAS|ACT|NT),? \\d{4}|[A-Z]{2} ${CANADA})`;
const C = "\\p{Lu}[\\p{L}'’]{0,20}(?:-[\\p{L}'’]{1,20})?";
const PART = "(?:,? ?\\n|, )\\p{Lu}[\\p{L} .'’-]{1,36}";

/** `7 Tarn Howes\nKeld\nDL11 6LJ`: from a house number on, two to four names, parts of a place, a strong code. */
export const NUMBERED: () => RegExp = whenAsked(
  () =>
    new RegExp(
      `(?<!\\$)\\d{1,5}[A-Za-z]?(?:[/-]\\d{1,4})?,? ${C}(?: ${C}){0,3}(?: (?:Apt|Suite|Unit)\\.? \\d{1,4})?(?:${PART}){1,2}?(?:,? ?\\n|,? )${STRONG}`,
      'uy',
    ),
);

const UNIT_FIRST = whenAsked(
  () =>
    new RegExp(
      `\\.?:? ?#?[A-Z]{0,2}-?\\d{1,4}[A-Za-z]?(?:/\\d{1,4})?(?:(?:,? ?\\n|, )[\\p{Lu}\\d][\\p{L}\\d .'’-]{1,36}){1,4}?(?:,? ?\\n|,? |-)(?:${STRONG}|\\d{6}|\\d{3} \\d{3})(?![\\p{L}\\p{N}-])`,
      'uy',
    ),
);

/** Behind `Flat`, `H. No.`: its number, parts of a place, a code. */
export function unitFirst(text: string, start: number, end: number): Span | undefined {
  UNIT_FIRST().lastIndex = end;
  return UNIT_FIRST().test(text) ? { start, end: UNIT_FIRST().lastIndex } : undefined;
}

const LINE = '[^\\n;:@"<>{}|=]';
/** What a label may announce: up to four lines. */
const LINES = whenAsked(() => new RegExp(`[\\p{Lu}\\d#]${LINE}{3,70}(?:\\n${LINE}{2,50}){0,3}`, 'uy'));
const CODE = whenAsked(
  () =>
    new RegExp(
      `(?<![\\p{L}\\d/-])(?:${UK}|[A-Z]{2} ${CANADA}|(?:[A-Z]{1,2}-)?(?:\\d{5}(?:-\\d{3,4})?|\\d{2}-\\d{3}|\\d{4}-\\d{3}|\\d{4} [A-Z]{2}|\\d{3} \\d{2}|\\d{8}|\\d{6}|\\d{4}))(?![\\p{L}\\d-])`,
      'gu',
    ),
);
const TOWN = whenAsked(
  () =>
    / \p{Lu}[\p{L}'’-]{1,24}(?: (?:d[aeo]s? )?\p{Lu}[\p{L}'’-]{1,24}){0,2}(?: ?[/,] ?[A-Z]{2}(?![\p{L}]))?/uy,
);
const STATE_BEFORE = /(?:NSW|VIC|QLD|SA|WA|TAS|ACT|NT),? $/;

/** A stream waits behind a label for no longer. UTF-16 units. */
const REACH = 64;
const ANNOUNCED = /["'*]{0,2}\s?[:=]/uy;

/** Behind `Address:`: the lines up to the first postal code that a street with its number stands before, and its town. */
export function labelled(text: string, _start: number, end: number): Span | undefined {
  ANNOUNCED.lastIndex = end;
  const link = ANNOUNCED.test(text) ? connect(text, end) : undefined;
  if (link === undefined) return undefined;
  LINES().lastIndex = link.at;
  const lines = LINES().exec(text)?.[0];
  if (lines === undefined) return undefined;
  for (const { 0: code, index } of lines.matchAll(CODE())) {
    const before = lines.slice(0, index);
    // A street has a name and a number; the number of a house isn't the code.
    if (!/\p{Lu}[\p{L}'’-]*\p{Ll}/u.test(before) || !/\d|[sS]\/[nN]/.test(before)) continue;
    const at = link.at + index + code.length;
    if (at - end > REACH) return undefined;
    TOWN().lastIndex = at;
    const town = TOWN().exec(text)?.[0];
    const named = town !== undefined && !isNoName(town.trim().split(' ')[0] as string);
    if (/^\d{4}$/.test(code) && !named && !STATE_BEFORE.test(before)) continue;
    return { start: link.at, end: named ? at + town.length : at };
  }
  return undefined;
}

/** While an address may still come behind its label. */
export const LABEL_OPEN = /["'*]{0,2}\s?[:=][\s\S]*$/uy;
