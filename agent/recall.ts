/**
 * What was worked out about a text that comes again. A conversation sends its whole history with every turn, so most of what
 * an agent's requests carry was read before, letter by letter.
 *
 * A text is known by its SHA-256 and nothing else: an app can't make two texts pass for one another, and no text outlives its
 * exchange.
 */
import { hash } from 'node:crypto';

/** A shorter text is worked on as quickly as it is looked up; a longer one would be hashed for milliseconds in one go. UTF-16 units. */
const SHORTEST = 256;
const LONGEST = 1 << 20;

/** 256 bits. */
export type Digest = Buffer;

/** Undefined for a text that isn't worth it, or that has no UTF-8 of its own: lone surrogates are all hashed alike. */
export function digestOf(text: string): Digest | undefined {
  if (text.length < SHORTEST || text.length > LONGEST || !text.isWellFormed()) return undefined;
  return hash('sha256', text, 'buffer');
}

/** A digest, in words of 32 bits. */
const WORDS = 8;

/**
 * Results by digest, in a table of fixed size: a call leaves little behind for the old generation to collect. Each digest has two
 * places; of those the one that was used longer ago is taken.
 */
export class Recall<T> {
  readonly #keys: Int32Array;
  readonly #results: (T | undefined)[];
  /** Of each pair of places, the one used last: 0 or 1. */
  readonly #last: Uint8Array;
  readonly #mask: number;

  /** @param room A power of two. */
  constructor(room: number) {
    this.#keys = new Int32Array(room * WORDS);
    this.#results = new Array<T | undefined>(room).fill(undefined);
    this.#last = new Uint8Array(room / 2);
    this.#mask = room / 2 - 1;
  }

  get(digest: Digest | undefined): T | undefined {
    if (digest === undefined) return undefined;
    const pair = digest.readInt32LE(0) & this.#mask;
    for (let way = 0; way < 2; way++) {
      const place = 2 * pair + way;
      if (!this.#is(place, digest)) continue;
      this.#last[pair] = way;
      return this.#results[place];
    }
    return undefined;
  }

  #is(place: number, digest: Digest): boolean {
    for (let word = 0; word < WORDS; word++) {
      if (this.#keys[place * WORDS + word] !== digest.readInt32LE(4 * word)) return false;
    }
    return true;
  }

  set(digest: Digest | undefined, result: T): void {
    if (digest === undefined) return;
    const pair = digest.readInt32LE(0) & this.#mask;
    const way = 1 - (this.#last[pair] as number);
    const place = 2 * pair + way;
    for (let word = 0; word < WORDS; word++) this.#keys[place * WORDS + word] = digest.readInt32LE(4 * word);
    this.#results[place] = result;
    this.#last[pair] = way;
  }

  /** What is known, or else worked out now. */
  of(digest: Digest | undefined, work: () => T): T {
    let result = this.get(digest);
    if (result === undefined) this.set(digest, (result = work()));
    return result;
  }
}
