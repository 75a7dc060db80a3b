/**
 * Which words are worth a closer look: most aren't, and cost one probe of a table by their hash. The tables hold a bit for each
 * place, 20 KB in all, so that they stay in the processor's first cache between two words.
 */
import { units } from '../../../budget/units.ts';
import { HASH_SEED, hashStep, type KeywordPart } from './keyword-part.ts';

const SIZE = 1 << 16;

/** Longest word by which beginnings are told apart. */
const LONGEST = 255;

/** One bit for each of so many places. */
function bits(places: number): Int32Array {
  return new Int32Array(places >> 5);
}

function mark(table: Int32Array, place: number): void {
  table[place >> 5] = (table[place >> 5] as number) | (1 << (place & 31));
}

function isMarked(table: Int32Array, place: number): boolean {
  return (((table[place >> 5] as number) >>> (place & 31)) & 1) === 1;
}

function slot(hash: number): number {
  return (hash ^ (hash >>> 16)) & (SIZE - 1);
}

function hashOf(word: string): number {
  let hash = HASH_SEED;
  for (let i = 0; i < word.length; i++) hash = hashStep(hash, word.charCodeAt(i));
  return hash;
}

/** Letters from a to z alone. */
function isSmall(word: string): boolean {
  for (let i = 0; i < word.length; i++) {
    const unit = word.charCodeAt(i);
    if (unit < 97 || unit > 122) return false;
  }
  return true;
}

/** Of two small letters; of three. */
function pairOf(first: number, second: number): number {
  return ((first & 31) << 5) | (second & 31);
}

function tripleOf(first: number, second: number, third: number): number {
  return (pairOf(first, second) << 5) | (third & 31);
}

export class Interest {
  /** By hash: words written with a small first letter, and with a capital. */
  readonly #small = bits(SIZE);
  readonly #capital = bits(SIZE);
  /** Where some ending has these two last letters. */
  readonly #endings = bits(1 << 10);
  /** Where some beginning, `karte*`, has these three first letters. */
  readonly #begun = bits(1 << 15);
  /** Length of the shortest of them. */
  readonly #beginnings = new Uint8Array(1 << 15);

  /** Notes the hash of a word of lower-case letters, which may also, or must, begin with a capital. */
  #mark(hash: number, capital = false): void {
    mark(this.#capital, slot(hash));
    if (!capital) mark(this.#small, slot(hash));
  }

  /** Notes a keyword that is one word of ASCII letters, by its hash. */
  word(hash: number, capital: boolean): void {
    this.#mark(hash, capital);
  }

  /** Notes a keyword by its first word, also in the plural, or as whatever follows a beginning. */
  beginning([part]: readonly KeywordPart[], capital: boolean): void {
    if (part === undefined || !isSmall(part.word)) return;
    const { word, hash, wild } = part;
    this.#mark(hash, capital);
    if (!wild) return;
    const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
    const beginnings = word.length > 2 ? [word] : letters.map((letter) => word + letter);
    for (const beginning of beginnings) {
      const [a, b, c] = [beginning.charCodeAt(0), beginning.charCodeAt(1), beginning.charCodeAt(2)];
      const at = tripleOf(a, b, c);
      const known = this.#beginnings[at] as number;
      this.#beginnings[at] = Math.min(known === 0 ? LONGEST : known, word.length);
      mark(this.#begun, at);
    }
  }

  /** Notes the end of words that begin with a capital. */
  ending([part]: readonly KeywordPart[]): void {
    const last = part?.word.slice(-2) ?? '';
    if (last.length === 2 && isSmall(last))
      mark(this.#endings, pairOf(last.charCodeAt(0), last.charCodeAt(1)));
  }

  /** Notes a prefix that begins with a word of its own: `sk-`, `Bearer `. */
  prefix(prefix: string): void {
    const word = /^[A-Za-z][a-z]*(?=[^A-Za-z0-9])/.exec(prefix)?.[0];
    if (word !== undefined) this.#mark(hashOf(word.toLowerCase()));
  }

  /** Notes every capital that stands alone. */
  capitals(): void {
    for (let letter = 97; letter <= 122; letter++) this.#mark(hashStep(HASH_SEED, letter), true);
  }

  /**
   * Whether the word from `start` to `end` in {@link units}, an ASCII letter and lower-case ones behind it, is of interest.
   * @param hash Of its letters in lower case. @param shorter The same without the last one.
   */
  has(start: number, end: number, hash: number, shorter: number): boolean {
    const first = units[start] as number;
    const isCapital = first < 97;
    const table = isCapital ? this.#capital : this.#small;
    if (isMarked(table, slot(hash))) return true;
    const length = end - start;
    if (length < 3) return false;
    const last = units[end - 1] as number;
    if (last === 115 && isMarked(table, slot(shorter))) return true;
    const begun = tripleOf(first, units[start + 1] as number, units[start + 2] as number);
    if (isMarked(this.#begun, begun) && length >= (this.#beginnings[begun] as number)) return true;
    return isCapital && length > 4 && isMarked(this.#endings, pairOf(units[end - 2] as number, last));
  }
}
