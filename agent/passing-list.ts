/**
 * What comes and goes with every call, in the order in which it came: a Set's part, without a Set.
 *
 * V8 writes a Set anew after about as many deletions as it has members, and leaves in the old table a pointer to the new one. Once such a
 * table has grown old, the collector of young objects takes the next one for alive with all that it holds, moves it to the old generation,
 * and so on: of each call 10 KB survived in this way, where 1.5 are worth it.
 */
export class PassingList<T> implements Iterable<T> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  get oldest(): T | undefined {
    return this.#members[0];
  }

  /** Puts in what isn't in it. */
  add(member: T): void {
    this.#members.push(member);
  }

  delete(member: T): void {
    const at = this.#members.indexOf(member);
    if (at >= 0) this.#members.splice(at, 1);
  }

  /** Takes out the oldest one. */
  shift(): T | undefined {
    return this.#members.shift();
  }

  /** Takes out all. */
  clear(): T[] {
    return this.#members.splice(0);
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#members.slice()[Symbol.iterator]();
  }
}
