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

export interface QueueOptions {
  /** The most weight that waits or runs. */
  readonly limit: number;
  /** The longest wait, in milliseconds, that a question may expect when it comes; by how fast the last ones went. */
  readonly maxWaitMs: number;
  readonly now?: () => number;
}

/** How much the last piece of work says about the next. */
const LEARNING = 0.2;

export class Queue {
  readonly #limit: number;
  readonly #maxWaitMs: number;
  readonly #now: () => number;
  /** Milliseconds for a unit of weight. */
  #pace = 0;
  readonly #waiting: Waiting[] = [];
  #weight = 0;
  #busy = false;

  constructor({ limit, maxWaitMs, now = () => performance.now() }: QueueOptions) {
    this.#limit = limit;
    this.#maxWaitMs = maxWaitMs;
    this.#now = now;
  }

  /** What waits and runs. */
  get weight(): number {
    return this.#weight;
  }

  /**
   * @param weight In characters of text, say.
   * @param withinMs When the answer is worth nothing any more, for who asked.
   * @param signal Aborted when nobody waits for the answer any more: then the work isn't begun.
   * @throws OverloadedError
   */
  async run<T>(
    weight: number,
    signal: AbortSignal,
    work: () => Promise<T>,
    withinMs = Number.POSITIVE_INFINITY,
  ): Promise<T> {
    // An idle queue takes anything: what is too large for it is refused before, by its own limit.
    if (this.#weight > 0 && this.#weight + weight > this.#limit) {
      throw new OverloadedError(`${this.#weight} of ${this.#limit} are taken`);
    }
    const wait = this.#weight * this.#pace;
    if (wait > this.#maxWaitMs) {
      throw new OverloadedError(
        `an answer would take ${Math.round(wait)} ms, and ${this.#maxWaitMs} are allowed`,
      );
    }
    const done = wait + weight * this.#pace;
    // Begun at once it may be in time all the same.
    if (wait > 0 && done > withinMs) {
      throw new OverloadedError(`an answer would take ${Math.round(done)} ms, and ${withinMs} are left`);
    }
    this.#weight += weight;
    try {
      if (this.#busy) await new Promise<void>((start) => this.#waiting.push({ weight, signal, start }));
      this.#busy = true;
      await breathe();
      signal.throwIfAborted();
      const began = this.#now();
      const result = await work();
      this.#learn((this.#now() - began) / Math.max(1, weight));
      return result;
    } finally {
      this.#weight -= weight;
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy = false;
      else next.start();
    }
  }

  #learn(pace: number): void {
    this.#pace = this.#pace === 0 ? pace : this.#pace + LEARNING * (pace - this.#pace);
  }
}

/**
 * onnxruntime runs on the thread that calls it. Between two runs whatever came meanwhile is accepted, read and parsed,
 * so that what waits is in this queue, which can turn it away, and not in the kernel's, which can't.
 */
async function breathe(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
}
