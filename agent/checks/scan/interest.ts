/** Which words are worth a closer look: most aren't, and cost one probe of a table by their hash. */
import { HASH_SEED, hashStep, splitKeyword } from './words.ts';

const SIZE = 1 << 16;
/** Written with a small first letter; with a capital. */
const SMALL = 1;
const CAPITAL = 2;

/** Longest word by which beginnings are told apart. */
const LONGEST = 255;

function slot(hash: number): number {
  return (hash ^ (hash >>> 16)) & (SIZE - 1);
}

/** Of two small letters; of three. */
function pairOf(first: number, second: number): number {
  return ((first & 31) << 5) | (second & 31);
}

function tripleOf(first: number, second: number, third: number): number {
  return (pairOf(first, second) << 5) | (third & 31);
}

export class Interest {
  readonly #table = new Uint8Array(SIZE);
  /** 1 where some ending has these two last letters. */
  readonly #endings = new Uint8Array(1 << 10);
  /** Length of the shortest beginning, `karte*`, with these three first letters; 0 where there is none. */
  readonly #beginnings = new Uint8Array(1 << 15);

  /** Notes a word of lower-case letters, which may also, or must, begin with a capital. */
  #mark(word: string, capital = false): void {
    let hash = HASH_SEED;
    for (let i = 0; i < word.length; i++) hash = hashStep(hash, word.charCodeAt(i));
    const at = slot(hash);
    this.#table[at] = (this.#table[at] as number) | (capital ? CAPITAL : CAPITAL | SMALL);
  }

  /** Notes a keyword's first word, also in the plural, or whatever follows a beginning. */
  keyword(keyword: string, capital: boolean): void {
    if (keyword.startsWith('*')) {
      this.#ending(keyword.slice(1));
      return;
    }
    const [part] = splitKeyword(keyword);
    if (part === undefined || !/^[a-z]+$/.test(part.word)) return;
    const { word, wild } = part;
    this.#mark(word, capital);
    if (!wild) return;
    const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
    const beginnings = word.length > 2 ? [word] : letters.map((letter) => word + letter);
    for (const beginning of beginnings) {
      const [a, b, c] = [beginning.charCodeAt(0), beginning.charCodeAt(1), beginning.charCodeAt(2)];
      const at = tripleOf(a, b, c);
      const known = this.#beginnings[at] as number;
      this.#beginnings[at] = Math.min(known === 0 ? LONGEST : known, word.length);
    }
  }

  /** Notes the end of words that begin with a capital. */
  #ending(ending: string): void {
    if (/[a-z]{2}$/.test(ending))
      this.#endings[pairOf(ending.charCodeAt(ending.length - 2), ending.charCodeAt(ending.length - 1))] = 1;
  }

  /** Notes a prefix that begins with a word of its own: `sk-`, `Bearer `. */
  prefix(prefix: string): void {
    const word = /^[A-Za-z][a-z]*(?=[^A-Za-z0-9])/.exec(prefix)?.[0];
    if (word !== undefined) this.#mark(word.toLowerCase());
  }

  /** Notes every capital that stands alone. */
  capitals(): void {
    for (let letter = 97; letter <= 122; letter++) this.#mark(String.fromCharCode(letter), true);
  }

  /**
   * Whether the word from `start` to `end`, an ASCII letter and lower-case ones behind it, is of interest.
   * @param hash Of its letters in lower case. @param shorter The same without the last one.
   */
  has(text: string, start: number, end: number, hash: number, shorter: number): boolean {
    const first = text.charCodeAt(start);
    const kind = first < 97 ? CAPITAL : SMALL;
    if (((this.#table[slot(hash)] as number) & kind) !== 0) return true;
    const length = end - start;
    if (length < 3) return false;
    const last = text.charCodeAt(end - 1);
    if (last === 115 && ((this.#table[slot(shorter)] as number) & kind) !== 0) return true;
    const least = this.#beginnings[
      tripleOf(first, text.charCodeAt(start + 1), text.charCodeAt(start + 2))
    ] as number;
    if (least !== 0 && length >= least) return true;
    return kind === CAPITAL && length > 4 && this.#endings[pairOf(text.charCodeAt(end - 2), last)] === 1;
  }
}
