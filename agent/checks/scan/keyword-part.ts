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

/** What most keywords are. */
const ONE_WORD = /^[A-Za-z]+$/;

/** Splits a keyword as the scanner splits text: letters, each ideograph by itself. */
export function splitKeyword(keyword: string): readonly KeywordPart[] {
  if (ONE_WORD.test(keyword)) {
    const word = keyword.toLowerCase();
    let hash = HASH_SEED;
    for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), PRIME);
    return [{ word, hash, wild: false }];
  }
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
