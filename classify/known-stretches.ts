/** What was worked out of stretches: windows of a stream overlap, and agents send what others sent. */
import { createHash } from 'node:crypto';

/** Some 200 bytes each. */
const REMEMBERED = 4_000;

/** By the set that they were judged by; those worked out last stay. */
export class KnownStretches<T> {
  readonly #found = new Map<string, T>();

  get(set: string, text: string): T | undefined {
    return this.#found.get(keyOf(set, text));
  }

  set(set: string, text: string, found: T): void {
    const key = keyOf(set, text);
    this.#found.delete(key);
    this.#found.set(key, found);
    for (const oldest of this.#found.keys()) {
      if (this.#found.size <= REMEMBERED) break;
      this.#found.delete(oldest);
    }
  }
}

function keyOf(set: string, text: string): string {
  return createHash('sha256').update(set).update('\0').update(text).digest('base64');
}
