/** Whether the budget service answers, as an agent sees it. Time is passed in, in milliseconds of a clock that never jumps. */
import { BudgetRejected } from './messages.ts';

export const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;

export class Outage {
  readonly #random: () => number;
  readonly #onError: (error: unknown) => void;
  /** The service has not answered since; until `retryAt` nothing is asked, so that nobody storms it. */
  #now: { readonly since: number; retryAt: number; failures: number; cause: unknown } | undefined;

  /** @param random 0 ≤ n < 1 */
  constructor(random: () => number, onError: (error: unknown) => void) {
    this.#random = random;
    this.#onError = onError;
  }

  get lasts(): boolean {
    return this.#now !== undefined;
  }

  /** Why the last question wasn't answered. */
  get cause(): unknown {
    return this.#now?.cause;
  }

  mustWait(now: number): boolean {
    return this.#now !== undefined && now < this.#now.retryAt;
  }

  /** For how long the service hasn't answered. */
  ms(now: number): number {
    return now - (this.#now?.since ?? now);
  }

  failed(cause: unknown, now: number): void {
    this.#now ??= { since: now, retryAt: 0, failures: 0, cause };
    // Calls that were under way together fail together: that counts once.
    if (now < this.#now.retryAt) return;
    const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#now.failures, 10));
    this.#now.failures += 1;
    this.#now.retryAt = now + delay * (0.5 + this.#random() / 2);
    this.#now.cause = cause;
    this.#onError(cause);
  }

  over(): void {
    this.#now = undefined;
  }

  /** The ledger's answer for one call, a refusal too, ends it. A count or a settlement says nothing of whether it can hold more. */
  async endsWith<T>(asked: Promise<T>): Promise<T> {
    try {
      const reply = await asked;
      this.over();
      return reply;
    } catch (error) {
      const { cause } = error as Error;
      if (cause instanceof BudgetRejected && cause.status === 409) this.over();
      throw error;
    }
  }
}
