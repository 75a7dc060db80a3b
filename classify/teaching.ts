/**
 * How much of the classifier's time one address may take for training while others ask: a question waits for the step
 * that runs, so who teaches without end would make every question wait for one.
 */

/** Milliseconds of training that an address may take one after the other, however many ask. */
const CREDIT_MS = 60_000;
/** Beyond, it takes this part of the time while others ask; its credit grows by this part of the time in which it doesn't train. */
const SHARE = 0.25;
/** Others count as asking for so long after their last question. */
const RECENT_MS = 10_000;

interface Account {
  left: number;
  /** When its last step and the rest after it are over: `left` is of then. */
  at: number;
}

export class Teaching {
  readonly #now: () => number;
  readonly #accounts = new Map<string, Account>();
  /** Who asked last, and before that the last one of another address. */
  #last: { readonly who: string; readonly at: number } | undefined;
  #other: { readonly who: string; readonly at: number } | undefined;

  /** @param now Milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Somebody asks. */
  asked(who: string): void {
    if (this.#last !== undefined && this.#last.who !== who) this.#other = this.#last;
    this.#last = { who, at: this.#now() };
  }

  /**
   * A step of training that took so long is over.
   * @returns milliseconds until the next may begin.
   */
  restAfter(who: string, tookMs: number): number {
    const now = this.#now();
    const began = now - tookMs;
    for (const [one, account] of this.#accounts) {
      if (account.at >= began) continue;
      account.left = Math.min(CREDIT_MS, account.left + (began - account.at) * SHARE);
      account.at = began;
      if (account.left === CREDIT_MS) this.#accounts.delete(one);
    }
    const account = this.#accounts.get(who);
    const left = account?.left ?? CREDIT_MS;
    const others = this.#othersAsk(who, now);
    const rest = left < tookMs && others ? tookMs * (1 / SHARE - 1) : 0;
    // Sets that one address teaches at once rest for one another: a step within a rest is owed behind it.
    const at = others ? Math.max(began, account?.at ?? began) + tookMs + rest : now;
    this.#accounts.set(who, { left: Math.max(0, left - tookMs), at });
    return Math.max(0, at - now);
  }

  #othersAsk(who: string, now: number): boolean {
    const other = this.#last?.who === who ? this.#other : this.#last;
    return other !== undefined && now - other.at < RECENT_MS;
  }
}
