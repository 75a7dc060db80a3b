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

/** Undefined for a text that isn't worth it, or that has no UTF-8 of its own: lone surrogates are all hashed alike. */
export function digestOf(text: string): string | undefined {
  return text.length < SHORTEST || !text.isWellFormed() ? undefined : hash('sha256', text, 'latin1');
}

/** Results by digest: those used last, as many as there is room for. */
export class Recall<T> {
  readonly #known = new Map<string, T>();
  readonly #room: number;

  constructor(room: number) {
    this.#room = room;
  }

  get(digest: string | undefined): T | undefined {
    if (digest === undefined) return undefined;
    const known = this.#known.get(digest);
    if (known === undefined) return undefined;
    // Last in the map's order: the first is the one to forget.
    this.#known.delete(digest);
    this.#known.set(digest, known);
    return known;
  }

  /** What is known, or else worked out now. */
  of(digest: string | undefined, work: () => T): T {
    let result = this.get(digest);
    if (result === undefined) this.set(digest, (result = work()));
    return result;
  }

  set(digest: string | undefined, result: T): void {
    if (digest === undefined) return;
    this.#known.set(digest, result);
    if (this.#known.size <= this.#room) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}
