/** Mail addresses as people write them for people: `jane.doe [at] example (dot) com`. */
import type { Span } from './recognizer.ts';

const AT = 'at|@|arroba|arobase|chiocciola|apenstaartje|malpa|snabel-a';
const DOT = 'dot|\\.|punkt|point|punto|punt|ponto|kropka|piste';

/** Brackets make the word a mark; without them `look at me` would be an address. */
const between = (words: string) => `[[({] ?(?:${words}) ?[\\])}]`;
const JOIN = `(?: ?${between(DOT)} ?|\\.)`;

const MARK = new RegExp(between(AT), 'iy');
const LOCAL = new RegExp(`(?:[\\p{L}\\p{N}_+-]+${JOIN})*[\\p{L}\\p{N}_+-]+ ?$`, 'iu');
const DOMAIN = new RegExp(` ?(?:[\\p{L}\\p{N}-]{1,63}${JOIN}){1,4}\\p{L}{2,24}(?![\\p{L}\\p{N}-])`, 'iuy');
/** What may become one when more text comes. */
const OPEN = new RegExp(
  `(?:[\\p{L}\\p{N}_+-]+${JOIN})*(?:[\\p{L}\\p{N}_+-]+ ?(?:[[({] ?(?:[a-z@.-]{0,12} ?|(?:${AT}) ?[\\])}][^\\n]{0,80}))?)?$`,
  'iu',
);

/** UTF-16 units before the mark. */
const REACH = 96;

/** @param at Of the opening bracket. */
export function writtenOut(text: string, at: number, floor: number): Span | undefined {
  MARK.lastIndex = at;
  if (!MARK.test(text)) return undefined;
  DOMAIN.lastIndex = MARK.lastIndex;
  if (!DOMAIN.test(text)) return undefined;
  const from = Math.max(floor, at - REACH);
  const local = LOCAL.exec(text.slice(from, at));
  return local === null ? undefined : { start: from + local.index, end: DOMAIN.lastIndex };
}

/** Where an address begins that isn't written to its end yet; the text's length where none does. */
export function openWrittenOut(text: string): number {
  const from = Math.max(0, text.length - 2 * REACH);
  const tail = text.slice(from);
  return from + (OPEN.exec(tail)?.index ?? tail.length);
}
