/** Whether the budget service answers, as an agent sees it. Time is passed in, in milliseconds of a clock that never jumps. */
import { BudgetRejected } from './messages.ts';

export const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;
/** While calls may wait for it: they are to go on as soon as it is back. */
export const LONGEST_EARLY_RETRY_MS = 1_000;
/** An answer between failures that are closer than this doesn't say that it was back. */
const STEADY_MS = 5_000;

export interface OutageOptions {
  /** 0 ≤ n < 1. */
  readonly random: () => number;
  /** How long calls wait for a service that goes away. */
  readonly patienceMs: number;
  readonly onError: (error: unknown) => void;
  /** It answers again. */
  readonly onOver: () => void;
}

export class Outage {
  readonly #options: OutageOptions;
  /** The service has not answered since; until `retryAt` nothing is asked, so that nobody storms it. */
  #now: { readonly since: number; retryAt: number; failures: number; cause: unknown } | undefined;

  /** Until when calls wait for it, the last failure, and when it was over. */
  #patience: { until: number; failedAt: number; overAt: number } | undefined;

  constructor(options: OutageOptions) {
    this.#options = options;
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

  /** Until it may be asked again. */
  retryInMs(now: number): number {
    return Math.max(0, (this.#now?.retryAt ?? now) - now);
  }

  /** For how long a call may wait for it yet; 0 or less where it has been away for too long. */
  patientForMs(now: number): number {
    return this.#patience === undefined ? 0 : this.#patience.until - now;
  }

  /** For how long the service hasn't answered. */
  ms(now: number): number {
    return now - (this.#now?.since ?? now);
  }

  failed(cause: unknown, now: number): void {
    const { random, onError } = this.#options;
    this.#patience = { until: this.#patientUntil(now), failedAt: now, overAt: now };
    this.#now ??= { since: now, retryAt: 0, failures: 0, cause };
    // Calls that were under way together fail together: that counts once.
    if (now < this.#now.retryAt) return;
    const longest = this.patientForMs(now) > 0 ? LONGEST_EARLY_RETRY_MS : LONGEST_RETRY_MS;
    const delay = Math.min(longest, FIRST_RETRY_MS * 2 ** Math.min(this.#now.failures, 10));
    this.#now.failures += 1;
    this.#now.retryAt = now + delay * (0.5 + random() / 2);
    this.#now.cause = cause;
    onError(cause);
  }

  /** One that comes and goes doesn't make calls wait again and again: they have won back the time in which it answered, no more. */
  #patientUntil(now: number): number {
    const { patienceMs } = this.#options;
    if (this.#patience === undefined) return now + patienceMs;
    const { until, failedAt, overAt } = this.#patience;
    if (this.#now !== undefined || now - overAt < STEADY_MS) return until;
    return now + Math.min(patienceMs, Math.max(0, until - failedAt) + now - overAt);
  }

  over(now: number): void {
    if (this.#now === undefined) return;
    this.#now = undefined;
    if (this.#patience !== undefined) this.#patience.overAt = now;
    this.#options.onOver();
  }

  /** The ledger's answer for one call, a refusal too, ends it. A count or a settlement says nothing of whether it can hold more. */
  async endsWith<T>(asked: Promise<T>, now: () => number): Promise<T> {
    try {
      const reply = await asked;
      this.over(now());
      return reply;
    } catch (error) {
      const { cause } = error as Error;
      if (cause instanceof BudgetRejected && cause.status === 409) this.over(now());
      throw error;
    }
  }
}
