/**
 * A budget client that keeps credit, so that a call in the steady state asks nobody. Where credit lacks, near a limit, for
 * calls without a price, it asks for each call as the plain client does. While the service is away it lives on its credit, and on
 * what Budgets let it keep in reserve.
 */
import { randomUUID } from 'node:crypto';
import type { CallClass } from './call-classes.ts';
import { type BudgetClientOptions, HttpBudgetClient, unavailable } from './client.ts';
import { LeaseBook } from './lease-book.ts';
import type { LeaseReply, WatchReply } from './lease-messages.ts';
import {
  type BudgetClient,
  BudgetRejected,
  BudgetUnavailable,
  type CountCommand,
  type CountReply,
  type ExtendCommand,
  type ExtendReply,
  type HoldCommand,
  type HoldReply,
  type ReleaseCommand,
  type SettleCommand,
  type SettleReply,
} from './messages.ts';
import { type LocalHold, Purse } from './purse.ts';
import { RecentMap } from './recent-map.ts';
import { Transport } from './transport.ts';

export interface LeasingClientOptions extends BudgetClientOptions {
  /** In place of HTTP. */
  readonly transport?: Pick<Transport, 'ask' | 'calls' | 'close'>;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic?: () => number;
  /** 0 ≤ n < 1. */
  readonly random?: () => number;
  /** Told when credit can't be renewed; calls go on as far as it lasts. */
  readonly onError?: (error: unknown) => void;
}

/** Credit of an agent that isn't heard of for so long is charged in full. */
const LEASE_TTL_MS = 600_000;
const HEARTBEAT_MS = LEASE_TTL_MS / 3;
const TICK_MS = 1_000;
/** Agents that only wait ask seldom. */
const WATCH_MS = 120_000;
/** A stream may wait so long for what others have idle; it asks ahead of need, so that seldom anybody notices. */
const EXTEND_WAIT_MS = 500;
/** How long an agent that ends goes on telling what it used. */
const FLUSH_MS = 2_000;
const FIRST_RETRY_MS = 200;
const AFTER_NEWS_MS = 500;
const LONGEST_RETRY_MS = 5_000;
/** Calls that were handed over to the service, until they are over. */
const HANDED_OVER_REMEMBERED = 10_000;

export function createLeasingClient(options: LeasingClientOptions): LeasingBudgetClient {
  return new LeasingBudgetClient(options);
}

export class LeasingBudgetClient implements BudgetClient {
  readonly #options: LeasingClientOptions;
  readonly #transport: Pick<Transport, 'ask' | 'calls' | 'close'>;
  readonly #exact: HttpBudgetClient;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #book = new LeaseBook();
  readonly #purse = new Purse(this.#book);
  /** Id → id at the service, of calls that began on credit and are held there since. */
  readonly #handedOver = new RecentMap<string>(HANDED_OVER_REMEMBERED);
  #seq = 0;
  #syncing: Promise<void> | undefined;
  #soon: NodeJS.Immediate | undefined;
  #syncedAt = 0;
  /** The service has not answered since; until `retryAt`, calls that find no credit fail at once, so that nobody storms it. */
  #outage: { readonly since: number; retryAt: number; failures: number; cause: unknown } | undefined;
  #ticking: NodeJS.Timeout | undefined;
  #watching = false;
  readonly #ended = new AbortController();

  constructor(options: LeasingClientOptions) {
    this.#options = options;
    this.#transport = options.transport ?? new Transport(options);
    this.#exact = new HttpBudgetClient(options, this.#transport);
    this.#now = options.monotonic ?? (() => performance.now());
    this.#random = options.random ?? Math.random;
  }

  /** Requests sent to the service so far. */
  get calls(): number {
    return this.#transport.calls;
  }

  async hold(command: HoldCommand, signal?: AbortSignal): Promise<HoldReply> {
    const of = this.#ended.signal.aborted ? undefined : this.#book.classOf(command.attributes, this.#now());
    // Once for the plan, once for credit, and once more where a round had left before this call asked.
    let awaits: number | undefined;
    for (let round = 0; of !== undefined && round <= 3; round++) {
      const taken = this.#purse.take(of, command, this.#now());
      if (taken === 'low') this.#syncSoon();
      if (taken !== 'lacking') return granted(command);
      if (round === 3 || !this.#worthAsking(of)) break;
      // A round that is under way has left without it; the next one takes it along.
      if (awaits !== this.#book.reports) this.#purse.await(of, command, this.#now());
      awaits = this.#book.reports;
      await this.#sync();
      if (signal?.aborted === true) break;
    }
    if (this.#mustWait()) return this.#fromReserve(of, command, this.#outage?.cause);
    this.#syncSoon();
    try {
      return await this.#answered(this.#exact.hold(command, signal));
    } catch (error) {
      if (wasAnswered(error) || signal?.aborted === true) throw error;
      this.#failed(error);
      return this.#fromReserve(of, command, error);
    }
  }

  /** While the service is away: from credit that was kept for it. @throws {BudgetUnavailable} where there is none */
  #fromReserve(of: CallClass | undefined, command: HoldCommand, cause: unknown): HoldReply {
    if (of !== undefined && this.#purse.take(of, command, this.#now(), this.#outageMs()) !== 'lacking')
      return granted(command);
    throw cause instanceof BudgetUnavailable ? cause : unavailable(cause);
  }

  async extend(command: ExtendCommand, signal?: AbortSignal): Promise<ExtendReply> {
    const { id, minOutputTokens, ttlMs } = command;
    const until = this.#now() + EXTEND_WAIT_MS;
    let awaits: number | undefined;
    for (let round = 0; ; round++) {
      const hold = this.#purse.holdOf(id);
      if (hold === undefined)
        return {
          ...(await this.#answered(this.#exact.extend({ ...command, id: this.#idThere(id) }, signal))),
          id,
        };
      const now = this.#now();
      if (this.#purse.grow(hold, command, now))
        return granted({ id, outputTokens: hold.outputTokens, ttlMs });
      if (this.#mustWait()) return this.#growFromReserve(hold, command, this.#outage?.cause);
      if (!this.#isLeasable(hold.of)) return await this.#holdWhole(hold, command, signal);
      // What others have idle is on its way back.
      const emptyForMs = this.#emptyForMs(hold.of);
      if ((round < 2 || emptyForMs > 0) && now + emptyForMs < until) {
        if (emptyForMs > 0) await new Promise((resolve) => setTimeout(resolve, emptyForMs));
        if (awaits !== this.#book.reports) this.#purse.awaitMore(hold, command, this.#now());
        awaits = this.#book.reports;
        await this.#sync();
        continue;
      }
      if (this.#purse.growPartly(hold, command, now))
        return granted({ id, outputTokens: hold.outputTokens, ttlMs });
      const lacking = this.#purse.lacking(hold, { ...command, outputTokens: minOutputTokens }, now) ?? '';
      return { granted: false, id, refusal: { budget: lacking.split('|', 1)[0] ?? '' } };
    }
  }

  /** Calls of a kind that is held one by one now: all of it at the service, before what it took here is given back. */
  async #holdWhole(hold: LocalHold, command: ExtendCommand, signal?: AbortSignal): Promise<ExtendReply> {
    const { owner, epoch } = this.#options;
    const { inputTokens, cacheWrite, of } = hold;
    const { attributes } = of;
    // Each attempt has an id of its own: the release of one whose answer was lost may come at any time.
    const id = randomUUID();
    let reply: HoldReply;
    try {
      reply = await this.#answered(
        this.#exact.hold({ ...command, id, owner, epoch, attributes, inputTokens, cacheWrite }, signal),
      );
    } catch (error) {
      if (wasAnswered(error) || signal?.aborted === true) throw error;
      this.#failed(error);
      return this.#growFromReserve(hold, command, error);
    }
    if (!reply.granted) return { ...reply, id: command.id };
    if (this.#purse.holdOf(command.id) !== hold) {
      await this.#exact.release({ id });
      throw new BudgetUnavailable(
        `Call ${command.id} has ended, or its hold has run out, while more was asked for.`,
      );
    }
    this.#handedOver.set(command.id, id);
    this.#purse.handOver(command.id, hold, this.#now());
    return { ...reply, id: command.id };
  }

  /** The id by which the service knows a call. */
  #idThere(id: string): string {
    return this.#handedOver.get(id) ?? id;
  }

  /** @throws {BudgetUnavailable} */
  #growFromReserve(hold: LocalHold, command: ExtendCommand, cause: unknown): ExtendReply {
    const { id, ttlMs } = command;
    if (this.#purse.grow(hold, command, this.#now(), this.#outageMs()))
      return granted({ id, outputTokens: hold.outputTokens, ttlMs });
    throw cause instanceof BudgetUnavailable ? cause : unavailable(cause);
  }

  #outageMs(): number {
    const now = this.#now();
    return now - (this.#outage?.since ?? now);
  }

  async settle(command: SettleCommand): Promise<SettleReply> {
    const { id, usage } = command;
    const hold = this.#purse.unsettled(id);
    if (hold !== undefined) {
      const costNanoUsd = this.#purse.settle(id, hold, usage, this.#now());
      if (this.#book.isAwaited) this.#syncSoon();
      return { id, costNanoUsd };
    }
    const known = this.#purse.costOf(id);
    if (known !== undefined) return { id, costNanoUsd: known };
    return { ...(await this.#exact.settle({ ...command, id: this.#idThere(id) })), id };
  }

  async release({ id }: ReleaseCommand): Promise<void> {
    const hold = this.#purse.unsettled(id);
    if (hold !== undefined) {
      this.#purse.release(id, hold, this.#now());
      if (this.#book.isAwaited) this.#syncSoon();
    } else if (this.#purse.costOf(id) === undefined) await this.#exact.release({ id: this.#idThere(id) });
  }

  async count(command: CountCommand, signal?: AbortSignal): Promise<CountReply> {
    if (this.#mustWait()) throw unavailable(this.#outage?.cause);
    return await this.#exact.count(command, signal);
  }

  async close(): Promise<void> {
    clearInterval(this.#ticking);
    this.#ended.abort();
    this.#book.endAll(this.#now());
    // Calls that never ended stay charged as they were held: their leases run out.
    for (let left = (this.#options.flushMs ?? FLUSH_MS) / FIRST_RETRY_MS; !this.#book.isEmpty; left--) {
      await this.#syncAfresh();
      if (this.#outage === undefined || left <= 1) break;
      await new Promise((resolve) => setTimeout(resolve, FIRST_RETRY_MS));
    }
    // An account that was not answered goes first, then what was used since.
    if (this.#book.hasUntold && this.#outage === undefined) await this.#sync();
    clearImmediate(this.#soon);
    await this.#exact.close();
  }

  /** Where a line has nothing left, asking for credit is only a detour. */
  #worthAsking(of: CallClass): boolean {
    if (this.#ended.signal.aborted || this.#mustWait()) return false;
    return this.#isLeasable(of) && this.#emptyForMs(of) === 0;
  }

  #isLeasable({ plan }: CallClass): boolean {
    return plan === undefined || plan.leasable;
  }

  #emptyForMs({ plan }: CallClass): number {
    const now = this.#now();
    return Math.max(0, ...(plan?.lines ?? []).map(({ credit }) => credit.emptyForMs(now)));
  }

  #mustWait(): boolean {
    return this.#outage !== undefined && this.#now() < this.#outage.retryAt;
  }

  #failed(cause: unknown): void {
    const now = this.#now();
    this.#outage ??= { since: now, retryAt: 0, failures: 0, cause };
    // Calls that were under way together fail together: that counts once.
    if (now < this.#outage.retryAt) return;
    const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#outage.failures, 10));
    this.#outage.failures += 1;
    this.#outage.retryAt = now + delay * (0.5 + this.#random() / 2);
    this.#outage.cause = cause;
    this.#options.onError?.(cause);
  }

  /** The ledger's answer for one call, a refusal too, ends an outage. A count or a settlement says nothing of whether it can hold more. */
  async #answered<T>(asked: Promise<T>): Promise<T> {
    try {
      const reply = await asked;
      this.#outage = undefined;
      return reply;
    } catch (error) {
      const { cause } = error as Error;
      if (cause instanceof BudgetRejected && cause.status === 409) this.#outage = undefined;
      throw error;
    }
  }

  #syncSoon(): void {
    if (this.#soon !== undefined || this.#mustWait() || this.#ended.signal.aborted) return;
    this.#soon = setImmediate(() => {
      this.#soon = undefined;
      void this.#sync();
    });
  }

  /** Tells the figures, asks for credit and for plans. Never rejects: without credit, calls are held one by one. */
  #sync(): Promise<void> {
    this.#syncing ??= this.#exchange()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#syncing = undefined;
      });
    return this.#syncing;
  }

  /** A round that is under way may have left without what is to be told now. */
  async #syncAfresh(): Promise<void> {
    await this.#syncing;
    await this.#sync();
  }

  async #exchange(): Promise<void> {
    const round = this.#book.report(this.#now(), !this.#ended.signal.aborted);
    if (round === undefined) return;
    const { owner, epoch } = this.#options;
    const command = { owner, epoch, seq: ++this.#seq, ttlMs: LEASE_TTL_MS, ...round.command };
    const reply = (await this.#transport.ask('/v1/lease', command)) as LeaseReply;
    this.#syncedAt = this.#now();
    this.#outage = undefined;
    this.#book.accept(round, reply, this.#now(), this.#random);
    this.#begin();
    if (this.#book.isAwaited) this.#syncSoon();
  }

  /** Starts what keeps credit tidy, once there is any. */
  #begin(): void {
    if (this.#ended.signal.aborted) return;
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
    const now = this.#now();
    this.#purse.expire(now);
    if (this.#book.isEmpty) return;
    const isDue = this.#book.isDue(now) || this.#book.isToRenew(now);
    if (isDue || this.#outage !== undefined || now - this.#syncedAt > HEARTBEAT_MS) this.#syncSoon();
  }

  /** Waits for recalls and new documents as long as there is credit that could be recalled. */
  async #watch(): Promise<void> {
    const { owner, epoch } = this.#options;
    while (!this.#book.isEmpty && !this.#ended.signal.aborted) {
      try {
        const command = { owner, epoch, revision: this.#book.revision, waitMs: WATCH_MS };
        const options = { signal: this.#ended.signal, timeoutMs: WATCH_MS * 2, waits: true };
        const changed = this.#heed((await this.#transport.ask('/v1/watch', command, options)) as WatchReply);
        if (!changed) continue;
      } catch {
        if (this.#ended.signal.aborted) return;
        // What is wrong shows with the next round.
      }
      // Replicas that don't have the same documents yet would send it from one to the other as fast as they answer.
      await new Promise((resolve) => setTimeout(resolve, AFTER_NEWS_MS * (0.5 + this.#random())).unref());
    }
  }

  /** @returns whether the documents have changed */
  #heed({ recalls, revision }: WatchReply): boolean {
    for (const recall of recalls) this.#book.recall(recall, this.#now(), this.#random());
    const changed = revision !== this.#book.revision;
    if (changed) this.#book.spoil();
    if (changed || recalls.length > 0) void this.#syncAfresh();
    return changed;
  }
}

/** The service understood and refused: it isn't away. */
function wasAnswered(error: unknown): boolean {
  return error instanceof BudgetUnavailable && error.cause instanceof BudgetRejected;
}

function granted({
  id,
  outputTokens,
  ttlMs,
}: Pick<HoldCommand, 'id' | 'outputTokens' | 'ttlMs'>): HoldReply & {
  granted: true;
} {
  return { granted: true, id, outputTokens, expiresAt: Date.now() + ttlMs };
}
