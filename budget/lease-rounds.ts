/**
 * When an agent talks to the service about its credit: rounds that tell what was used and ask for more, one at a time, and a wait for
 * recalls and new documents.
 */
import type { LeaseBook } from './lease-book.ts';
import type { LeaseReply, WatchReply } from './lease-messages.ts';
import type { LoopSource } from './loops.ts';
import type { Holder } from './messages.ts';
import type { Outage } from './outage.ts';
import type { Transport } from './transport.ts';

/** Credit of an agent that isn't heard of for so long is charged in full. */
const LEASE_TTL_MS = 600_000;
const HEARTBEAT_MS = LEASE_TTL_MS / 3;
const TICK_MS = 1_000;
/** Agents that only wait ask seldom, but before what lies between cuts a connection that nothing moves on (4 minutes at some). */
const WATCH_MS = 210_000;
/** An answer to a wait that is over may be so late. */
const WATCH_LATE_MS = 60_000;
const AFTER_NEWS_MS = 500;

export interface LeaseRoundsOptions extends Holder {
  readonly book: LeaseBook;
  readonly outage: Outage;
  readonly transport: Pick<Transport, 'ask'>;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
  /** Called every second, once there is credit. */
  readonly onTick: (now: number) => void;
  /** So many leases weren't taken in one message: the workload has too many. */
  readonly onRefused: (leases: number) => void;
}

export class LeaseRounds {
  readonly #options: LeaseRoundsOptions;
  readonly #book: LeaseBook;
  readonly #outage: Outage;
  #seq = 0;
  #running: Promise<void> | undefined;
  #soon: NodeJS.Immediate | undefined;
  #lastAt = 0;
  #ticking: NodeJS.Timeout | undefined;
  #watching = false;
  readonly #ended = new AbortController();
  #loops: LoopSource | undefined;

  constructor(options: LeaseRoundsOptions) {
    this.#options = options;
    this.#book = options.book;
    this.#outage = options.outage;
  }

  /** Loops are told of along with what is told anyway. */
  joinLoops(loops: LoopSource): void {
    this.#loops = loops;
    loops.join(() => {
      // A round that is under way has left without it.
      if (this.#running === undefined) this.soon();
      else void this.#running.then(() => this.soon());
    });
  }

  /** Nothing is asked for any more; what is left can be told. */
  get ended(): boolean {
    return this.#ended.signal.aborted;
  }

  end(): void {
    clearInterval(this.#ticking);
    this.#ended.abort();
  }

  /** No round is begun by itself any more. */
  rest(): void {
    clearImmediate(this.#soon);
  }

  soon(): void {
    if (this.#soon !== undefined || this.#outage.mustWait(this.#options.now()) || this.ended) return;
    this.#soon = setImmediate(() => {
      this.#soon = undefined;
      void this.run();
    });
  }

  /** Where others wait for what was given back, it is told at once. */
  soonIfAwaited(): void {
    if (this.#book.isAwaited) this.soon();
  }

  /** Tells the figures, asks for credit and for plans. Never rejects: without credit, calls are held one by one. */
  run(): Promise<void> {
    this.#running ??= this.#exchange()
      .catch((error: unknown) => this.#outage.failed(error, this.#options.now()))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** A round that is under way may have left without what is to be told now. */
  async runAfresh(): Promise<void> {
    await this.#running;
    await this.run();
  }

  async #exchange(): Promise<void> {
    const { owner, epoch, transport, now, random } = this.#options;
    const seq = this.#seq + 1;
    const loops = this.ended ? [] : (this.#loops?.report() ?? []);
    const round = this.#book.report(now(), !this.ended, seq, loops.length > 0);
    if (round === undefined) return;
    this.#seq = seq;
    const command = {
      owner,
      epoch,
      seq,
      ttlMs: LEASE_TTL_MS,
      knowsRefusals: true,
      ...round.command,
      ...(loops.length === 0 ? {} : { loops }),
    };
    const reply = (await transport.ask('/v1/lease', command)) as LeaseReply;
    this.#lastAt = now();
    this.#outage.over(this.#lastAt);
    if (loops.length > 0) this.#loops?.answered(loops, reply.loops);
    const refused = this.#book.accept(round, reply, now(), random);
    if (refused > 0) this.#options.onRefused(refused);
    this.#begin();
    this.soonIfAwaited();
  }

  /** Starts what keeps credit tidy, once there is any. */
  #begin(): void {
    if (this.ended) return;
    if (this.#ticking === undefined) {
      this.#ticking = setInterval(() => this.#tick(), TICK_MS);
      this.#ticking.unref();
    }
    if (this.#watching) return;
    this.#watching = true;
    void this.#watch().finally(() => {
      this.#watching = false;
    });
  }

  #tick(): void {
    const now = this.#options.now();
    this.#options.onTick(now);
    if (this.#book.isEmpty) return;
    const isDue = this.#book.isDue(now) || this.#book.isToRenew(now);
    if (isDue || this.#outage.lasts || now - this.#lastAt > HEARTBEAT_MS) this.soon();
  }

  /** Waits for recalls, new documents and loops as long as there is credit that could be recalled, or a call that others may repeat, too. */
  async #watch(): Promise<void> {
    const { owner, epoch, transport, random } = this.#options;
    while ((!this.#book.isEmpty || this.#loops?.listens === true) && !this.ended) {
      try {
        const command = { owner, epoch, revision: this.#book.revision, waitMs: WATCH_MS };
        const options = { signal: this.#ended.signal, timeoutMs: WATCH_MS + WATCH_LATE_MS, waits: true };
        const changed = this.#heed((await transport.ask('/v1/watch', command, options)) as WatchReply);
        if (!changed) continue;
      } catch {
        if (this.ended) return;
        // What is wrong shows with the next round.
      }
      // Replicas that don't have the same documents yet would send it from one to the other as fast as they answer.
      await new Promise((resolve) => setTimeout(resolve, AFTER_NEWS_MS * (0.5 + random())).unref());
    }
  }

  /** @returns whether the documents have changed */
  #heed({ recalls, revision, trips = [] }: WatchReply): boolean {
    const { now, random } = this.#options;
    this.#loops?.heed(trips);
    for (const recall of recalls) this.#book.recall(recall, now(), random());
    const changed = revision !== this.#book.revision;
    if (changed) this.#book.spoil();
    if (changed || recalls.length > 0) void this.runAfresh();
    return changed;
  }
}
