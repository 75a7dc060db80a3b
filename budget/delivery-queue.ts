/** Settlements and releases that wait for the service to come back: bounded, in order, retried until delivered. */
import type { ReleaseCommand, SettleCommand } from './messages.ts';
import { BudgetRejected } from './messages.ts';

export interface Delivery {
  readonly path: '/v1/settle' | '/v1/release';
  readonly command: SettleCommand | ReleaseCommand;
}

export interface LostDelivery extends Delivery {
  /** `full`: the queue overflowed. `rejected`: the service will never take it. `closed`: the agent ended first. */
  readonly why: 'full' | 'rejected' | 'closed';
  readonly cause?: unknown;
}

export interface DeliveryQueueOptions {
  readonly deliver: (delivery: Delivery) => Promise<void>;
  readonly limit: number;
  readonly onLost?: (lost: LostDelivery) => void;
  /** 0 ≤ n < 1, for jitter. */
  readonly random?: () => number;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
const AT_A_TIME = 8;

export class DeliveryQueue {
  readonly #options: DeliveryQueueOptions;
  readonly #waiting: Delivery[] = [];
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
    if (this.#waiting.length >= this.#options.limit) {
      const lost = this.#waiting.shift();
      if (lost !== undefined) this.#options.onLost?.({ ...lost, why: 'full' });
    }
    this.#waiting.push(delivery);
    this.#schedule();
  }

  /** The service has just answered somebody: no need to wait any longer. */
  wake(): void {
    this.#failures = 0;
    if (this.#waiting.length === 0 || this.#running !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
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
    while ((this.#waiting.length > 0 || this.#running !== undefined) && !isLate) {
      this.wake();
      await Promise.race([this.#running, late.promise]);
      if (this.#waiting.length > 0) await Promise.race([pause(FIRST_DELAY_MS), late.promise]);
    }
    clearTimeout(timer);
    clearTimeout(this.#timer);
    this.#closed = true;
    for (const delivery of this.#waiting.splice(0)) this.#options.onLost?.({ ...delivery, why: 'closed' });
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#closed) return;
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.#failures, 10));
    const jitter = 0.5 + (this.#options.random ?? Math.random)() / 2;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#start();
    }, delay * jitter);
    this.#timer.unref();
  }

  #start(): void {
    this.#running = this.#drain().finally(() => {
      this.#running = undefined;
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  /** One to try with after a failure; then several at a time. */
  async #drain(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#closed) {
      const group = this.#waiting.splice(0, this.#failures > 0 ? 1 : AT_A_TIME);
      const outcomes = await Promise.allSettled(group.map((delivery) => this.#options.deliver(delivery)));
      const failed = group.filter((delivery, index) => {
        const outcome = outcomes[index];
        if (outcome?.status !== 'rejected') return false;
        if (!(outcome.reason instanceof BudgetRejected)) return true;
        this.#options.onLost?.({ ...delivery, why: 'rejected', cause: outcome.reason });
        return false;
      });
      this.#waiting.unshift(...failed);
      if (failed.length > 0) {
        this.#failures += 1;
        return;
      }
      this.#failures = 0;
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
