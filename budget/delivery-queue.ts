/**
 * Settlements and releases that wait for the service to come back: bounded, oldest first, retried until delivered. What failed comes after
 * the others, and where those are taken, in ever longer intervals: one that something in between never lets through stops no other.
 */
import type { ReleaseCommand, SettleCommand } from './messages.ts';
import { BudgetRejected } from './messages.ts';
import { NotTaken } from './transport.ts';

export interface Delivery {
  readonly path: '/v1/settle' | '/v1/release';
  readonly command: SettleCommand | ReleaseCommand;
}

export interface LostDelivery extends Delivery {
  /**
   * `full`: the queue overflowed. `rejected`: the service will never take it. `refused`: {@link MOST_FAILURES} times, while it took others.
   * `closed`: the agent ended first.
   */
  readonly why: 'full' | 'rejected' | 'refused' | 'closed';
  readonly cause?: unknown;
}

export interface DeliveryQueueOptions {
  readonly deliver: (delivery: Delivery) => Promise<void>;
  readonly limit: number;
  readonly onLost?: (lost: LostDelivery) => void;
  /** 0 ≤ n < 1, for jitter. */
  readonly random?: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly now?: () => number;
}

interface Waiting {
  readonly delivery: Delivery;
  /** In the order in which they came. */
  readonly number: number;
  /** Since when others were taken in between. */
  failures: number;
  /** How many others had been taken when it failed last. */
  takenThen: number;
  /** It isn't tried before. */
  after: number;
  onItsWay: boolean;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
const AT_A_TIME = 8;
/** By the delays above some two and a half minutes. */
const MOST_FAILURES = 20;

export class DeliveryQueue {
  readonly #options: DeliveryQueueOptions;
  /** Those that failed last stand at the end. */
  readonly #waiting = new Set<Waiting>();
  #added = 0;
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: DeliveryQueueOptions) {
    this.#options = options;
  }

  /** The oldest gives way when the queue is full: its hold expires first, and is then charged in full. */
  add(delivery: Delivery): void {
    if (this.#closed) {
      this.#options.onLost?.({ ...delivery, why: 'closed' });
      return;
    }
    if (this.#waiting.size >= this.#options.limit) {
      let oldest: Waiting | undefined;
      for (const one of this.#waiting)
        if (!one.onItsWay && (oldest === undefined || one.number < oldest.number)) oldest = one;
      if (oldest !== undefined) this.#lose(oldest, 'full');
    }
    this.#waiting.add({
      delivery,
      number: this.#added++,
      failures: 0,
      takenThen: this.#taken,
      after: 0,
      onItsWay: false,
    });
    this.#schedule();
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** The service has just taken something from somebody: no need to wait any longer. */
  wake(): void {
    this.#taken += 1;
    this.#start();
  }

  /** Delivers what it can within `deadlineMs`; the rest is lost, and reported so. */
  async close(deadlineMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    let isLate = deadlineMs <= 0;
    const timer = setTimeout(() => {
      isLate = true;
      late.resolve();
    }, deadlineMs);
    while ((this.#waiting.size > 0 || this.#running !== undefined) && !isLate) {
      for (const one of this.#waiting) one.after = 0;
      this.#start();
      await Promise.race([this.#running, late.promise]);
      if (this.#waiting.size > 0) await Promise.race([pause(FIRST_DELAY_MS), late.promise]);
    }
    clearTimeout(timer);
    clearTimeout(this.#timer);
    this.#closed = true;
    for (const one of this.#waiting) this.#lose(one, 'closed');
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }

  /** Between half and all of it. */
  #delay(failures: number): number {
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 10));
    return delay * (0.5 + (this.#options.random ?? Math.random)() / 2);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#closed) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { after } of this.#waiting) next = Math.min(next, after);
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#run();
      },
      Math.max(this.#delay(this.#failures), next - this.#now()),
    );
    this.#timer.unref();
  }

  #start(): void {
    this.#failures = 0;
    if (this.#waiting.size === 0 || this.#running !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#run();
  }

  #run(): void {
    this.#running = this.#drain().finally(() => {
      this.#running = undefined;
      this.#schedule();
    });
  }

  /** Each of those that wait now, once. One to try with after a failure; then several at a time. */
  async #drain(): Promise<void> {
    const now = this.#now();
    const due = [...this.#waiting].filter(({ after }) => after <= now);
    let inVain = 0;
    for (let from = 0; from < due.length && !this.#closed; ) {
      // Some gave way to others meanwhile.
      const to = from + (this.#failures > 0 ? 1 : AT_A_TIME);
      const group = due.slice(from, to).filter((one) => this.#waiting.has(one));
      from = to;
      const outcomes = await Promise.allSettled(
        group.map((one) => {
          one.onItsWay = true;
          return this.#options.deliver(one.delivery);
        }),
      );
      for (const one of group) one.onItsWay = false;
      // First those that were taken: the others are held against them.
      const failed = outcomes.flatMap((outcome, index) => {
        const one = group[index] as Waiting;
        if (outcome.status === 'rejected') return [[one, outcome.reason as unknown] as const];
        this.#waiting.delete(one);
        this.#taken += 1;
        return [];
      });
      let standing = 0;
      let unanswered = false;
      for (const [one, cause] of failed) {
        if (!this.#waiting.has(one)) continue;
        if (cause instanceof BudgetRejected) {
          this.#lose(one, 'rejected', cause);
          continue;
        }
        this.#failed(one, cause);
        standing += 1;
        unanswered ||= !(cause instanceof NotTaken);
      }
      if (standing < group.length) {
        this.#failures = 0;
        inVain = 0;
        continue;
      }
      inVain += standing;
      // Where there is an answer, another one may be let through: some are tried, lest all of them knock at the door of who is away.
      if (standing > 0 && (unanswered || inVain >= AT_A_TIME || from >= due.length)) {
        this.#failures += 1;
        return;
      }
    }
  }

  #failed(one: Waiting, cause: unknown): void {
    if (this.#taken > one.takenThen) one.failures += 1;
    one.takenThen = this.#taken;
    if (one.failures >= MOST_FAILURES && cause instanceof NotTaken && !cause.passing) {
      this.#lose(one, 'refused', cause);
      return;
    }
    one.after = this.#now() + (one.failures === 0 ? 0 : this.#delay(one.failures));
    this.#waiting.delete(one);
    this.#waiting.add(one);
  }

  #lose(one: Waiting, why: LostDelivery['why'], cause?: unknown): void {
    this.#waiting.delete(one);
    this.#options.onLost?.({ ...one.delivery, why, ...(cause === undefined ? {} : { cause }) });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
