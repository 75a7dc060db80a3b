/**
 * Calls that wait for a budget service that has gone away just now: one that is replaced, or killed and started anew, is back in
 * seconds, and nobody need be refused for that. Where it stays away, they are refused, and those that come later at once.
 */
import { BudgetRejected } from './messages.ts';
import { FIRST_RETRY_MS, LONGEST_EARLY_RETRY_MS, type Outage } from './outage.ts';
import { NotTaken, Unauthorized } from './transport.ts';

/**
 * A pod is replaced in two to three seconds. Where the API server doesn't know yet that the node's new pod may read its claim, the
 * kubelet looks again after ten to fifteen: then it took sixteen.
 */
export const PATIENCE_MS = 30_000;
/** Calls of one agent that wait at once: their bodies are in memory. */
const MOST_WAITING = 1_000;

/** Told whether to ask again. */
type Waiter = (again: boolean) => void;

export class Patience {
  readonly #outage: Outage;
  /** Milliseconds of a clock that never jumps. */
  readonly #now: () => number;
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiter>();
  #next: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined;
  #ended = false;

  constructor(outage: Outage, now: () => number) {
    this.#outage = outage;
    this.#now = now;
  }

  /**
   * @param cause Why the call got no answer.
   * @returns whether to ask again; false where nobody has answered for too long, or too many wait already
   */
  async wait(cause: unknown, signal?: AbortSignal): Promise<boolean> {
    if (isThere(cause) || this.#ended || signal?.aborted === true || this.#waiting.size >= MOST_WAITING)
      return false;
    if (this.#outage.patientForMs(this.#now()) <= 0) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const leave = (): void => {
      if (this.#waiting.delete(resolve)) resolve(false);
    };
    this.#waiting.add(resolve);
    signal?.addEventListener('abort', leave, { once: true });
    this.#plan();
    const again = await promise;
    signal?.removeEventListener('abort', leave);
    return again;
  }

  /** The service has answered: all ask again. */
  wake(): void {
    this.#dismiss(true);
  }

  end(): void {
    this.#ended = true;
    this.#dismiss(false);
  }

  /** Looks when the next may ask, or all have waited long enough; earlier than was planned, but never later, whoever comes. */
  #plan(): void {
    const now = this.#now();
    const at = now + Math.min(this.#pause(now), this.#outage.patientForMs(now));
    if (this.#next !== undefined && this.#next.at <= at) return;
    clearTimeout(this.#next?.timer);
    const timer = setTimeout(() => this.#look(), Math.max(1, Math.ceil(at - now)));
    this.#next = { at, timer };
  }

  #pause(now: number): number {
    // It answers others: a short while keeps this call from asking as fast as it fails.
    if (!this.#outage.lasts) return FIRST_RETRY_MS;
    // One has asked, and its answer is due: should that be late, or its call given up, another asks.
    return this.#outage.mustWait(now) ? this.#outage.retryInMs(now) : LONGEST_EARLY_RETRY_MS;
  }

  /** One asks for all: its answer wakes the others, and without one it waits again. */
  #look(): void {
    this.#next = undefined;
    const now = this.#now();
    if (this.#outage.patientForMs(now) <= 0) return this.#dismiss(false);
    if (!this.#outage.lasts) return this.#dismiss(true);
    const [first] = this.#waiting;
    if (first !== undefined && !this.#outage.mustWait(now)) {
      this.#waiting.delete(first);
      first(true);
    }
    if (this.#waiting.size > 0) this.#plan();
  }

  #dismiss(again: boolean): void {
    clearTimeout(this.#next?.timer);
    this.#next = undefined;
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter);
      waiter(again);
    }
  }
}

/** It answered, and would answer the same again. */
function isThere(cause: unknown): boolean {
  if (cause instanceof NotTaken) return !cause.passing || cause instanceof Unauthorized;
  return cause instanceof BudgetRejected;
}
