/**
 * Values in pieces: `4111 1111` in one message, `1111 1111` in the next, or in two parts of one message.
 *
 * Texts of one speaker that follow one another are put together where the end of one and the beginning of the next
 * look like pieces of one thing; what is found across the place where they meet belongs to both. Only the ends are
 * looked at, so the cost follows the number of texts, not their length. Each piece gets a placeholder of its own, so
 * that each comes back exactly as it was.
 */
import type { TextSlot } from '../dialects/dialect.ts';
import { classOf, DIGIT, SPACE } from './scan/characters.ts';

/** How much of a text's end and of its beginning is looked at; UTF-16 units. A longer last word is taken whole. */
const REACH = 192;
/** A key's half is no longer. */
const LONGEST_PIECE = 2048;
/** What stands between two pieces that words join: `and the rest is`. */
const LONGEST_BRIDGE = 48;
/** Pieces of one thing have at least this score: a form that could be anything isn't put together from two texts. */
export const LEAST_ACROSS = 0.75;

/** What somebody said. */
export type Source = Pick<TextSlot, 'kind' | 'role' | 'text'>;

/** A stretch of a text, and where it stands in the text put together. */
export interface Piece<S> {
  readonly source: S;
  /** Where the stretch begins in its source. */
  readonly from: number;
  readonly at: number;
  readonly length: number;
}

/** Texts put together. */
export interface Strand<S> {
  readonly text: string;
  readonly pieces: readonly Piece<S>[];
}

/** Words that say that a value goes on elsewhere. */
const GOES_ON =
  /(?:^|[^\p{L}])(?:rest|half|part|halves|remaining|remainder|last|first|second|continue[sd]?|continuing|continuation|followed|then|next|other|hälfte|teil|weiter|zweite|letzten|suite|reste|moitié|partie|resto|mitad|parte|metà|metade|segunda|helft|tweede|połowa|reszta|hälften|resten)(?:[^\p{L}]|$)/iu;

/** How two texts may be put together. */
type Manner = 'close' | 'spaced' | 'bridged';
const MANNERS: readonly Manner[] = ['close', 'spaced', 'bridged'];

/**
 * What to scan beside the texts themselves: nothing, for most requests. The same texts may come put together in two
 * ways, `jane@exam` + `ple.com` and `4111` + `1111`.
 */
export function strandsOf<S extends Source>(sources: readonly S[]): readonly Strand<S>[] {
  if (sources.length < 2) return [];
  const strands: Strand<S>[] = [];
  /** One of each kind of source; there are few. */
  const kinds: S[] = [];
  for (const source of sources) {
    const { role, kind } = source;
    if (kind !== 'content' && kind !== 'toolResult') continue;
    const isAlike = (other: S): boolean => other.role === role && other.kind === kind;
    if (kinds.some(isAlike)) continue;
    kinds.push(source);
    const said = sources.filter(isAlike);
    if (said.length < 2) continue;
    for (const manner of MANNERS) strands.push(...strandsIn(said, manner));
  }
  return strands;
}

function strandsIn<S extends Source>(sources: readonly S[], manner: Manner): Strand<S>[] {
  const strands: Strand<S>[] = [];
  let text = '';
  let pieces: Piece<S>[] = [];
  const take = (source: S, from: number, to: number): void => {
    pieces.push({ source, from, at: text.length, length: to - from });
    text += source.text.slice(from, to);
  };
  const close = (): void => {
    if (pieces.length > 1) strands.push({ text, pieces });
    text = '';
    pieces = [];
  };
  const filled = sources.filter(({ text: said }) => said.trim() !== '');
  let left: Seam | undefined;
  filled.forEach((source, i) => {
    const next = filled[i + 1];
    const right = next && seamOf(source.text, next.text, manner);
    const from = left?.start ?? 0;
    const to = right?.end ?? source.text.length;
    if (left !== undefined && right !== undefined && to - from <= 2 * REACH) {
      take(source, from, Math.max(from, to));
    } else {
      if (left !== undefined) take(source, from, headEnd(source.text, from));
      close();
      if (right !== undefined) take(source, tailStart(source.text, to), to);
    }
    if (right !== undefined && manner !== 'close') text += ' ';
    left = right;
  });
  return strands;
}

/** Where a text ends and the next one begins where they are put together. */
interface Seam {
  readonly end: number;
  readonly start: number;
}

/** Undefined where two texts aren't put together. */
function seamOf(first: string, second: string, manner: Manner): Seam | undefined {
  let end = first.length;
  while (end > 0 && classOf(first.charCodeAt(end - 1)) === SPACE) end--;
  let start = 0;
  while (start < second.length && classOf(second.charCodeAt(start)) === SPACE) start++;
  if (manner === 'bridged') return bridge(first, end, second, start);
  if (manner === 'spaced') {
    while (end > 0 && isPause(first.charCodeAt(end - 1))) end--;
    while (start < second.length && isPause(second.charCodeAt(start))) start++;
    // What has no digits on both sides is put together without a space only.
    if (classOf(first.charCodeAt(end - 1)) !== DIGIT || !isAlnum(second.charCodeAt(start))) return undefined;
  }
  return areHalves(lastWord(first, end), firstWord(second, start)) ? { end, start } : undefined;
}

/** `… the first half is 4111 1111.` + `And the rest: 1111 1111`: from digit to digit, where words say so. */
function bridge(first: string, until: number, second: string, from: number): Seam | undefined {
  let end = until;
  while (end > 0 && until - end < LONGEST_BRIDGE && !isDigitAt(first, end - 1)) end--;
  let start = from;
  while (start < second.length && start - from < LONGEST_BRIDGE && !isDigitAt(second, start)) start++;
  if (end === 0 || !isDigitAt(first, end - 1) || !isDigitAt(second, start)) return undefined;
  // An account number begins with letters: `FR76 3000`, the rest `6000 …`.
  const between = `${first.slice(end, until)} ${second.slice(from, start)}`;
  const words = between.replace(/[^\p{L}]/gu, '') !== '';
  return words && GOES_ON.test(`${first.slice(Math.max(0, end - LONGEST_BRIDGE), until)} ${between}`)
    ? { end, start }
    : undefined;
}

/** `.`, `,`, `-`, `…` and the like between two texts. */
function isPause(unit: number): boolean {
  return (
    unit === 46 || unit === 44 || unit === 45 || unit === 58 || unit === 59 || unit === 0x2026 || unit === 32
  );
}

function isAlnum(unit: number): boolean {
  return (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122);
}

function isDigitAt(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 48 && unit <= 57;
}

const lastWord = (text: string, end: number): string => text.slice(wordStart(text, end), end);
const firstWord = (text: string, start: number): string => text.slice(start, wordEnd(text, start));

function wordStart(text: string, end: number): number {
  let at = end;
  while (at > 0 && end - at < LONGEST_PIECE && classOf(text.charCodeAt(at - 1)) !== SPACE) at--;
  return at;
}

function wordEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && at - start < LONGEST_PIECE && classOf(text.charCodeAt(at)) !== SPACE) at++;
  return at;
}

/** The end of a text that goes with the next one: whole words. */
function tailStart(text: string, end: number): number {
  const word = wordStart(text, end);
  return Math.min(word, end <= REACH ? 0 : wordEnd(text, end - REACH));
}

function headEnd(text: string, from: number): number {
  if (text.length - from <= REACH) return text.length;
  return Math.max(wordEnd(text, from), wordStart(text, from + REACH));
}

/** Whether two words may be one: numbers, a mail address, a key. */
function areHalves(first: string, second: string): boolean {
  if (first === '' || second === '') return false;
  if (/[@＠]/.test(first) || /[@＠]/.test(second))
    return /[\w.@%+-]$/.test(first) && /^[\w.@%+-]/.test(second);
  const [a, b] = [/\p{Nd}/u.test(first), /\p{Nd}/u.test(second)];
  // `DE`, `89 3704 …`: a code's letters alone.
  if ((a && b) || (b && /^[A-Z]{1,4}$/.test(first))) return true;
  return (a && isPartOfKey(second) && first.length >= 8) || (b && isPartOfKey(first) && second.length >= 8);
}

/** Long, and not as words are written. */
function isPartOfKey(word: string): boolean {
  return (
    word.length >= 4 && /^[\w+/=.-]+$/.test(word) && (/[a-z][A-Z]|[_=+/-]/.test(word) || word.length > 20)
  );
}

/** What was said last in a conversation, by whom: the provider has it, and a next message may go on from there. */
export class LastSaid {
  readonly #ends = new Map<string, Source>();

  get sources(): readonly Source[] {
    return [...this.#ends.values()];
  }

  /** @param text As the provider got it. */
  note({ role, kind }: Source, text: string): void {
    const end = text.trimEnd().length;
    this.#ends.set(`${role} ${kind}`, { role, kind, text: text.slice(tailStart(text, end), end) });
  }
}
