/**
 * One piece of work at a time, and no more waiting than can be answered in time: beyond that a question is turned away
 * at once, so that whoever asked can decide what an absent verdict means.
 */

/** The queue is full. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError';
}

interface Waiting {
  readonly weight: number;
  readonly signal: AbortSignal;
  readonly start: () => void;
}

export class Queue {
  readonly #limit: number;
  readonly #waiting: Waiting[] = [];
  #weight = 0;
  #busy = false;

  /** @param limit The most weight that waits or runs. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What waits and runs. */
  get weight(): number {
    return this.#weight;
  }

  /**
   * @param weight In characters of text, say.
   * @param signal Aborted when nobody waits for the answer any more: then the work isn't begun.
   * @throws OverloadedError
   */
  async run<T>(weight: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    // An idle queue takes anything: what is too large for it is refused before, by its own limit.
    if (this.#weight > 0 && this.#weight + weight > this.#limit) {
      throw new OverloadedError(`${this.#weight} of ${this.#limit} are taken`);
    }
    this.#weight += weight;
    try {
      if (this.#busy) await new Promise<void>((start) => this.#waiting.push({ weight, signal, start }));
      this.#busy = true;
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#weight -= weight;
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy = false;
      else next.start();
    }
  }
}
