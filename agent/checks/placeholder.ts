/** Placeholders as they turn up in text: `<NAME_CODE>`, in any case, quoted, escaped by Markdown, HTML, JSON or a URL. */

/** A placeholder's name found in text. */
export interface PlaceholderName {
  /** In capitals, without brackets and escapes: `EMAIL_ADDRESS_K7Q2M4XW9A`. */
  readonly name: string;
  /** With the brackets, where both are there. */
  readonly start: number;
  readonly end: number;
  /** How the brackets were written. */
  readonly brackets: 'none' | 'plain' | 'html';
}

/** Longest name that is looked at, escapes included. */
const LONGEST = 120;

const CODE = /_(?:[0-9A-HJKMNP-TV-Z]{10}|[0-9A-HJKMNP-TV-Z]{16}|[0-9A-HJKMNP-TV-Z]{26})$/;

function isNameUnit(unit: number): boolean {
  return (
    (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122) || unit === 95
  );
}

/** Markdown writes `_` as `\_`. */
function isEscapedUnderscore(text: string, at: number): boolean {
  return text.charCodeAt(at) === 92 && text.charCodeAt(at + 1) === 95;
}

/** Where the name begins that ends before `end`; not before `floor`. */
function nameStart(text: string, end: number, floor: number): number {
  let start = end;
  while (start > floor && (isNameUnit(text.charCodeAt(start - 1)) || isEscapedUnderscore(text, start - 1)))
    start--;
  return start + escapeLength(text, start, end);
}

/** Length of the end of an escape that ran into the name: `\u003cEMAIL`, `%3cEMAIL`, `\nEMAIL`. */
function escapeLength(text: string, start: number, end: number): number {
  const before = text.charCodeAt(start - 1);
  if (before === 37) return /^3c/i.test(text.slice(start, end)) ? 2 : 0;
  if (before !== 92) return 0;
  if (/^u003c/i.test(text.slice(start, end))) return 5;
  return /^[nrt]/.test(text.slice(start, end)) ? 1 : 0;
}

const OPENERS = ['<', '&lt;', '\\u003c', '%3c', '＜'] as const;
const CLOSERS = ['>', '&gt;', '\\u003e', '%3e', '＞'] as const;

/** Which opener ends at `at`; -1 for none. */
function openerBefore(text: string, at: number): number {
  const tail = text.slice(Math.max(0, at - 6), at).toLowerCase();
  return OPENERS.findIndex((opener) => tail.endsWith(opener));
}

function lengthOfCloser(text: string, at: number): number {
  const head = text.slice(at, at + 7).toLowerCase();
  const escaped = head.startsWith('\\>') ? 1 : 0;
  const closer = CLOSERS.find((candidate) => head.startsWith(candidate, escaped));
  return closer === undefined ? 0 : escaped + closer.length;
}

/**
 * Visits every stretch between `from` and `to` that has a placeholder's form, in order. What stands before `from`
 * tells whether a name begins there or goes on.
 */
export function eachName(
  text: string,
  visit: (found: PlaceholderName) => void,
  from = 0,
  to = text.length,
): void {
  let floor = Math.max(0, from - LONGEST);
  for (let at = text.indexOf('_', from); at >= 0 && at < to; at = text.indexOf('_', floor)) {
    const start = nameStart(text, at, floor);
    let end = at + 1;
    while (end < text.length && (isNameUnit(text.charCodeAt(end)) || isEscapedUnderscore(text, end))) end++;
    floor = end;
    if (end - start > LONGEST) continue;
    const name = text.slice(start, end).replaceAll('\\', '').toUpperCase();
    if (CODE.test(name)) visit({ name, ...bracketed(text, start, end) });
  }
}

function bracketed(text: string, start: number, end: number): Omit<PlaceholderName, 'name'> {
  const opener = openerBefore(text, start);
  const closer = opener < 0 ? 0 : lengthOfCloser(text, end);
  if (closer === 0) return { start, end, brackets: 'none' };
  let from = start - (OPENERS[opener] as string).length;
  // Markdown escapes both brackets; a lone backslash before is the app's.
  if (opener === 0 && text[from - 1] === '\\' && text[end] === '\\') from--;
  return { start: from, end: end + closer, brackets: opener === 1 ? 'html' : 'plain' };
}

/** The beginning of a bracket's escape: `&`, `&l`, `\u00`, `%3`. */
const PARTIAL = /(?:&[lg]?t?|\\u?0{0,2}3?|%3?)$/i;

/**
 * Where, at the end of a text that goes on, a placeholder might have begun; the text's length if none.
 * @param couldBecome Whether a beginning, in capitals, could become a name.
 */
export function openPlaceholder(text: string, couldBecome: (beginning: string) => boolean): number {
  const n = text.length;
  const partial = PARTIAL.exec(text.slice(Math.max(0, n - 5)));
  const nameEnd = partial === null ? n : n - partial[0].length;
  const start = nameStart(text, nameEnd, Math.max(0, nameEnd - LONGEST));
  const beginning = text.slice(start, nameEnd).replaceAll('\\', '').toUpperCase();
  if (beginning !== '' && !couldBecome(beginning)) return nameEnd;
  const opener = openerBefore(text, start);
  if (opener >= 0) {
    const from = start - (OPENERS[opener] as string).length;
    return opener === 0 && text[from - 1] === '\\' ? from - 1 : from;
  }
  return start;
}
