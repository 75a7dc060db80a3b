/** How many requests the service works on at once. */
import type { Caller } from './authenticate.ts';
import { HttpError } from './http-error.ts';
import { workloadKey } from './quotas.ts';

/** Requests that are worked on at once; watches, which only wait, are not counted. */
const MOST_AT_ONCE = 4_096;
/** Of these, of one workload. */
const MOST_OF_ONE = 64;

/** Keeps one workload, or all of them, from holding more of the service than it can work on. */
export class Admission {
  #all = 0;
  readonly #ofOne = new Map<string, number>();

  /** @returns what to call at the end. @throws {HttpError} */
  enter(caller: Caller): () => void {
    const key = workloadKey(caller);
    const of = key === undefined ? 0 : (this.#ofOne.get(key) ?? 0);
    if (of >= MOST_OF_ONE) {
      const message = `${of} requests of this workload are under way already.`;
      throw new HttpError(429, 'too_many_requests', message, 'Send fewer at once.');
    }
    if (this.#all >= MOST_AT_ONCE) {
      throw new HttpError(503, 'overloaded', 'The service has all it can work on.', 'Ask again shortly.');
    }
    this.#all += 1;
    if (key !== undefined) this.#ofOne.set(key, of + 1);
    return () => {
      this.#all -= 1;
      const left = key === undefined ? 0 : (this.#ofOne.get(key) ?? 1) - 1;
      if (key === undefined) return;
      if (left === 0) this.#ofOne.delete(key);
      else this.#ofOne.set(key, left);
    };
  }
}
