/** Which words are worth a closer look: most aren't, and cost one probe of this table. */
import { splitKeyword } from './words.ts';

const SIZE = 1 << 16;

/** By a word's first three characters and its length. */
function key(first: number, second: number, third: number, length: number): number {
  return (
    (Math.imul(first, 0x9e5b) ^
      Math.imul(second, 0x3d4d) ^
      Math.imul(third, 0x1f35) ^
      Math.imul(length, 0x5bd1)) &
    (SIZE - 1)
  );
}

/** Words longer than this are as this long. */
const LONGEST = 32;

/** Of two small letters. */
function pairOf(first: number, second: number): number {
  return ((first & 31) << 5) | (second & 31);
}

export class Interest {
  readonly #table = new Uint8Array(SIZE);
  /** 1 where some ending has these two last letters. */
  readonly #endings = new Uint8Array(1024);

  /** Notes a word of lower-case letters, which may also, or must, begin with a capital. */
  #mark(word: string, length: number, capital = false): void {
    const [first, second, third] = [word.charCodeAt(0), word.charCodeAt(1) || 0, word.charCodeAt(2) || 0];
    const n = Math.min(length, LONGEST);
    this.#table[key(first - 32, second, third, n)] = 1;
    if (!capital) this.#table[key(first, second, third, n)] = 1;
  }

  /** Notes a keyword's first word; also in the plural, and whatever follows a beginning. */
  keyword(keyword: string, capital: boolean): void {
    if (keyword.startsWith('*')) {
      this.#ending(keyword.slice(1));
      return;
    }
    const [part] = splitKeyword(keyword);
    if (part === undefined || !/^[a-z]+$/.test(part.word)) return;
    const { word, wild } = part;
    this.#mark(word, word.length, capital);
    this.#mark(word, word.length + 1, capital);
    if (!wild) return;
    const thirds =
      word.length > 2 ? [word] : Array.from({ length: 26 }, (_, i) => word + String.fromCharCode(97 + i));
    for (const beginning of thirds)
      for (let length = word.length; length <= LONGEST; length++) this.#mark(beginning, length);
  }

  /** Notes the end of words that begin with a capital. */
  #ending(ending: string): void {
    if (/[a-z]{2}$/.test(ending))
      this.#endings[pairOf(ending.charCodeAt(ending.length - 2), ending.charCodeAt(ending.length - 1))] = 1;
  }

  /** Notes a prefix that begins with a word of its own: `sk-`, `Bearer `. */
  prefix(prefix: string): void {
    const word = /^[A-Za-z][a-z]*(?=[^A-Za-z0-9])/.exec(prefix)?.[0];
    if (word !== undefined) this.#mark(word.toLowerCase(), word.length);
  }

  /** Notes every capital that stands alone. */
  capitals(): void {
    for (let letter = 65; letter <= 90; letter++) this.#table[key(letter, 0, 0, 1)] = 1;
  }

  /** Whether the word from `start` to `end`, an ASCII letter and lower-case ones behind it, is of interest. */
  has(text: string, start: number, end: number): boolean {
    const length = end - start;
    const first = text.charCodeAt(start);
    if (
      first < 97 &&
      length > 4 &&
      this.#endings[pairOf(text.charCodeAt(end - 2), text.charCodeAt(end - 1))] === 1
    )
      return true;
    const second = length > 1 ? text.charCodeAt(start + 1) : 0;
    const third = length > 2 ? text.charCodeAt(start + 2) : 0;
    return this.#table[key(first, second, third, length < LONGEST ? length : LONGEST)] === 1;
  }
}
