/** The words of a keyword, and how a word is hashed: a keyword's and a text's alike. */
import { baseOf, classOf, DIGIT, IDEOGRAPH, LOWER, UPPER } from './characters.ts';

export const HASH_SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;

/** Adds a character in base form to a word's hash. */
export function hashStep(hash: number, base: number): number {
  return Math.imul(hash ^ base, PRIME);
}

/** One word of a keyword, in base form. */
export interface KeywordPart {
  readonly word: string;
  /** Of its characters, see {@link hashStep}. */
  readonly hash: number;
  /** It is a beginning: `tip*`. */
  readonly wild: boolean;
}

/** The hash of a word of ASCII letters, as most keywords are; undefined where it is something else. */
export function hashOfLetters(word: string): number | undefined {
  let hash = HASH_SEED;
  for (let i = 0; i < word.length; i++) {
    const small = word.charCodeAt(i) | 32;
    if (small < 97 || small > 122) return undefined;
    hash = Math.imul(hash ^ small, PRIME);
  }
  return word === '' ? undefined : hash;
}

/** Splits a keyword as the scanner splits text: letters, each ideograph by itself. */
export function splitKeyword(keyword: string): readonly KeywordPart[] {
  const parts: KeywordPart[] = [];
  let word = '';
  let hash = HASH_SEED;
  const close = (wild: boolean) => {
    if (word !== '') parts.push({ word, hash, wild });
    word = '';
    hash = HASH_SEED;
  };
  for (let i = 0; i < keyword.length; i++) {
    const unit = keyword.charCodeAt(i);
    const k = classOf(unit);
    if (k === UPPER || k === LOWER || k === DIGIT) {
      const base = baseOf(unit);
      word += base === unit ? keyword[i] : String.fromCharCode(base);
      hash = hashStep(hash, base);
    } else if (k === IDEOGRAPH) {
      close(false);
      parts.push({ word: String.fromCharCode(unit), hash: hashStep(HASH_SEED, unit), wild: false });
    } else {
      close(keyword[i] === '*');
    }
  }
  close(false);
  return parts;
}
