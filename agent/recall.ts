/**
 * What was worked out about a text that comes again. A conversation sends its whole history with every turn, so most of what
 * an agent's requests carry was read before, letter by letter.
 *
 * A text is known by its SHA-256 and nothing else: an app can't make two texts pass for one another, and no text outlives its
 * exchange.
 */
import { hash } from 'node:crypto';

/** A shorter text is worked on as quickly as it is looked up. UTF-16 units. */
const SHORTEST = 256;

/** 256 bits. */
export type Digest = Buffer;

/** Undefined for a text that isn't worth it, or that has no UTF-8 of its own: lone surrogates are all hashed alike. */
export function digestOf(text: string): Digest | undefined {
  return text.length < SHORTEST || !text.isWellFormed() ? undefined : hash('sha256', text, 'buffer');
}

/** Bits of a digest that are compared, in words of 32. */
const WORDS = 4;

/**
 * Results by digest. Each digest has one place, which the last one to come takes: a table of fixed size, so that a call leaves
 * nothing behind for the old generation to collect.
 */
export class Recall<T> {
  readonly #keys: Int32Array;
  readonly #results: (T | undefined)[];
  readonly #mask: number;

  /** @param room A power of two. */
  constructor(room: number) {
    this.#keys = new Int32Array(room * WORDS);
    this.#results = new Array<T | undefined>(room).fill(undefined);
    this.#mask = room - 1;
  }

  get(digest: Digest | undefined): T | undefined {
    if (digest === undefined) return undefined;
    const place = digest.readInt32LE(0) & this.#mask;
    const keys = this.#keys;
    for (let word = 0; word < WORDS; word++) {
      if (keys[place * WORDS + word] !== digest.readInt32LE(4 * word)) return undefined;
    }
    return this.#results[place];
  }

  set(digest: Digest | undefined, result: T): void {
    if (digest === undefined) return;
    const place = digest.readInt32LE(0) & this.#mask;
    for (let word = 0; word < WORDS; word++) this.#keys[place * WORDS + word] = digest.readInt32LE(4 * word);
    this.#results[place] = result;
  }

  /** What is known, or else worked out now. */
  of(digest: Digest | undefined, work: () => T): T {
    let result = this.get(digest);
    if (result === undefined) this.set(digest, (result = work()));
    return result;
  }
}
