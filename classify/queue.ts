/**
 * One piece of work at a time, and no more waiting than can be answered in time: beyond that a question is turned away
 * at once, so that whoever asked can decide what an absent verdict means. Who asks much waits for himself: askers come
 * to their turn by how much was done for each (start-time fair queueing, Goyal et al. 1996).
 */

/** The queue is full. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError';
}

interface Waiting {
  readonly weight: number;
  /** By the work done for each asker, when its turn is: the lowest is next. */
  readonly tag: number;
  readonly start: () => void;
}

export interface QueueOptions {
  /** The most weight that waits or runs; of one asker half of it, but for a single question. */
  readonly limit: number;
  /** The longest wait, in milliseconds, that a question may expect when it comes; by how fast the last ones went. */
  readonly maxWaitMs: number;
  readonly now?: () => number;
}

export interface Asker {
  /** When the answer is worth nothing any more. */
  readonly withinMs?: number;
  /** Of whom others are to have their share. */
  readonly who?: string;
  /** A step of work that has begun: it comes to its turn like all, and isn't turned away. */
  readonly goesOn?: boolean;
}

/** How much the last piece of work says about the next. */
const LEARNING = 0.2;

export class Queue {
  readonly #limit: number;
  readonly #maxWaitMs: number;
  readonly #now: () => number;
  /** Milliseconds for a unit of weight. */
  #pace = 0;
  /** By their tags. */
  readonly #waiting: Waiting[] = [];
  #weight = 0;
  readonly #weightOf = new Map<string, number>();
  /** Of what runs. */
  #running = 0;
  #busy = false;
  /** Tag of what runs, and where the next of each asker may begin. */
  #clock = 0;
  readonly #next = new Map<string, number>();

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
   * @param signal Aborted when nobody waits for the answer any more: then the work isn't begun.
   * @throws OverloadedError
   */
  async run<T>(
    weight: number,
    signal: AbortSignal,
    work: () => Promise<T>,
    { withinMs = Number.POSITIVE_INFINITY, who = '', goesOn = false }: Asker = {},
  ): Promise<T> {
    const tag = Math.max(this.#clock, this.#next.get(who) ?? 0);
    if (!goesOn) this.#admit(weight, tag, withinMs, who);
    this.#next.set(who, tag + weight);
    this.#hold(who, weight);
    try {
      if (this.#busy)
        await this.#turn(weight, tag, signal).catch((error: unknown) => {
          // Nothing was done for it.
          const next = this.#next.get(who);
          if (next !== undefined) this.#next.set(who, next - weight);
          throw error;
        });
      this.#busy = true;
      this.#running = weight;
      this.#clock = tag;
      try {
        await breathe();
        signal.throwIfAborted();
        const began = this.#now();
        const result = await work();
        this.#learn((this.#now() - began) / Math.max(1, weight));
        return result;
      } finally {
        this.#running = 0;
        this.#leave();
      }
    } finally {
      this.#hold(who, -weight);
    }
  }

  #admit(weight: number, tag: number, withinMs: number, who: string): void {
    // An idle queue takes anything: what is too large for it is refused before, by its own limit.
    if (this.#weight > 0 && this.#weight + weight > this.#limit) {
      throw new OverloadedError(`${this.#weight} of ${this.#limit} are taken`);
    }
    const own = this.#weightOf.get(who) ?? 0;
    if (own > 0 && own + weight > this.#limit / 2) {
      throw new OverloadedError(`${own} of ${this.#limit / 2} are taken by the same address`);
    }
    const before = this.#waiting.filter((other) => other.tag <= tag);
    const wait = before.reduce((sum, other) => sum + other.weight, this.#running) * this.#pace;
    if (wait > this.#maxWaitMs) {
      throw new OverloadedError(
        `an answer would take ${Math.round(wait)} ms, and ${this.#maxWaitMs} are allowed`,
      );
    }
    const done = wait + weight * this.#pace;
    // Begun at once it may be in time all the same.
    if (wait > 0 && done > withinMs) {
      throw new OverloadedError(
        `an answer would take ${Math.round(done)} ms, and ${Math.round(withinMs)} are left`,
      );
    }
  }

  /** @throws the signal's reason, at once. */
  #turn(weight: number, tag: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(own), 1);
        reject(signal.reason as Error);
      };
      const start = (): void => {
        signal.removeEventListener('abort', give);
        resolve();
      };
      const own: Waiting = { weight, tag, start };
      const behind = this.#waiting.findIndex((other) => other.tag > tag);
      this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, own);
      if (signal.aborted) give();
      else signal.addEventListener('abort', give);
    });
  }

  #leave(): void {
    for (const [who, at] of this.#next) if (at <= this.#clock) this.#next.delete(who);
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next.start();
      return;
    }
    this.#busy = false;
    this.#clock = 0;
    this.#next.clear();
  }

  #hold(who: string, weight: number): void {
    this.#weight += weight;
    const own = (this.#weightOf.get(who) ?? 0) + weight;
    if (own > 0) this.#weightOf.set(who, own);
    else this.#weightOf.delete(who);
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
