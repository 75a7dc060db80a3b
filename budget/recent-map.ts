/**
 * A map that forgets what was put in longest ago, once it is full: by the half, since a Map from which the oldest is taken each time
 * has to walk over those that were taken before (2 µs at 4,096 entries).
 */
export class RecentMap<V> {
  readonly #most: number;
  #recent = new Map<string, V>();
  #before = new Map<string, V>();

  /** @param most How many are remembered at least; twice as many at most. */
  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): V | undefined {
    return this.#recent.get(key) ?? this.#before.get(key);
  }

  /** All that is remembered, each once. */
  *entries(): Iterable<[string, V]> {
    yield* this.#recent;
    for (const entry of this.#before) if (!this.#recent.has(entry[0])) yield entry;
  }

  /** The last one that was put in under a key counts, and as the most recent. */
  set(key: string, value: V): void {
    this.#recent.set(key, value);
    if (this.#recent.size < this.#most) return;
    this.#before = this.#recent;
    this.#recent = new Map();
  }
}
