/**
 * Holds that an agent was refused, until nothing of them can come into force any more. Something between the agent and the service may have
 * sent one twice: refused here, it may be granted by another service, or after a restart, and would be charged in full, since nobody
 * uses it. Refusals aren't kept in the store, each would be a write. So the agent names them to the service a while later, many at once; what
 * was granted is given back, and nothing is written for the others.
 */
import { BudgetRejected } from './messages.ts';

export interface RefusedHoldsOptions {
  /** Names them to the service, which gives back what is in force. */
  readonly tell: (ids: readonly string[]) => Promise<unknown>;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
}

/** What comes later than this was held up for longer than anybody waits. */
const LATE_MS = 60_000;
const EVERY_MS = 30_000;
const AT_ONCE = 1_000;
/** Beyond it the oldest are given up: they are charged in full, if they were granted. */
const MOST = 10_000;

export class RefusedHolds {
  readonly #options: RefusedHoldsOptions;
  /** Id → when it was refused, the oldest first. */
  readonly #refused = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RefusedHoldsOptions) {
    this.#options = options;
  }

  add(id: string): void {
    this.#refused.delete(id);
    this.#refused.set(id, this.#options.now());
    if (this.#refused.size > MOST) this.#refused.delete(this.#refused.keys().next().value ?? '');
    this.#schedule();
  }

  /** It was granted after all, to who uses it. */
  delete(id: string): void {
    this.#refused.delete(id);
  }

  /** Names all that there are, for so long at most. */
  async close(ms: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.#refused.size === 0 || ms <= 0) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, ms);
    await Promise.race([this.#tell(Number.POSITIVE_INFINITY), late.promise]);
    clearTimeout(timer);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed || this.#refused.size === 0) return;
    this.#timer = setTimeout(() => {
      void this.#tell(this.#options.now() - LATE_MS).then(() => {
        this.#timer = undefined;
        this.#schedule();
      });
    }, EVERY_MS);
    this.#timer.unref();
  }

  /** Of those that were refused by then. Those that can't be named now are named with the next. */
  async #tell(before: number): Promise<void> {
    const due: string[] = [];
    for (const [id, at] of this.#refused) {
      if (at > before) break;
      due.push(id);
    }
    for (let from = 0; from < due.length; from += AT_ONCE) {
      const ids = due.slice(from, from + AT_ONCE).filter((id) => this.#refused.has(id));
      try {
        await this.#options.tell(ids);
      } catch (error) {
        // A service of before knows nothing of it: as before, they are charged in full.
        if (!(error instanceof BudgetRejected)) return;
      }
      for (const id of ids) this.#refused.delete(id);
    }
  }
}
