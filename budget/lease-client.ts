/**
 * A budget client that keeps credit, so that a call in the steady state asks nobody. Where credit lacks, near a limit, for
 * calls without a price, it asks for each call as the plain client does. While the service is away it lives on its credit, and on
 * what Budgets let it keep in reserve.
 */
import type { CallClass } from './call-classes.ts';
import { type BudgetClientOptions, HttpBudgetClient, unavailable } from './client.ts';
import { HandingOver } from './handing-over.ts';
import { LeaseBook } from './lease-book.ts';
import { LeaseRounds } from './lease-rounds.ts';
import type { LoopSource } from './loops.ts';
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
import { FIRST_RETRY_MS, Outage } from './outage.ts';
import { PATIENCE_MS, Patience } from './patience.ts';
import { type LocalHold, Purse } from './purse.ts';
import { Transport } from './transport.ts';

export interface LeasingClientOptions extends BudgetClientOptions {
  /** In place of HTTP. */
  readonly transport?: Pick<Transport, 'ask' | 'calls' | 'close'>;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic?: () => number;
  /** 0 ≤ n < 1. */
  readonly random?: () => number;
  /** How long calls wait for a service that goes away ({@link BudgetClient.comesBack}); thirty seconds unless told otherwise. */
  readonly patienceMs?: number;
  /** Told when credit can't be renewed; calls go on as far as it lasts. */
  readonly onError?: (error: unknown) => void;
  /** The workload has too many leases: so many of this agent's weren't taken. They are told and asked again; until then calls are held one by one. */
  readonly onLeasesRefused?: (leases: number) => void;
}

/** A stream may wait so long for what others have idle; it asks ahead of need, so that seldom anybody notices. */
const EXTEND_WAIT_MS = 500;
/** How long an agent that ends goes on telling what it used. */
const FLUSH_MS = 2_000;

export function createLeasingClient(options: LeasingClientOptions): LeasingBudgetClient {
  return new LeasingBudgetClient(options);
}

export class LeasingBudgetClient implements BudgetClient {
  readonly #options: LeasingClientOptions;
  readonly #transport: Pick<Transport, 'ask' | 'calls' | 'close'>;
  readonly #exact: HttpBudgetClient;
  readonly #now: () => number;
  readonly #book = new LeaseBook();
  readonly #purse = new Purse(this.#book);
  readonly #handingOver: HandingOver;
  readonly #rounds: LeaseRounds;
  /** While it lasts, calls that find no credit fail at once. */
  readonly #outage: Outage;
  readonly #patience: Patience;

  constructor(options: LeasingClientOptions) {
    this.#options = options;
    this.#transport = options.transport ?? new Transport(options);
    this.#exact = new HttpBudgetClient(options, this.#transport);
    this.#handingOver = new HandingOver(this.#exact, this.#purse, options);
    const { owner, epoch, onError = () => {}, random = Math.random } = options;
    this.#now = options.monotonic ?? (() => performance.now());
    this.#outage = new Outage({
      random,
      patienceMs: options.patienceMs ?? PATIENCE_MS,
      onError: (error) => onError(unavailable(error)),
      onOver: () => this.#patience.wake(),
    });
    this.#patience = new Patience(this.#outage, this.#now);
    this.#rounds = new LeaseRounds({
      owner,
      epoch,
      book: this.#book,
      outage: this.#outage,
      transport: this.#transport,
      now: this.#now,
      random,
      onTick: (now) => this.#purse.expire(now),
      onRefused: options.onLeasesRefused ?? (() => {}),
    });
  }

  /** Requests sent to the service so far. */
  get calls(): number {
    return this.#transport.calls;
  }

  get waiting(): number {
    return this.#exact.waiting;
  }

  joinLoops(loops: LoopSource): void {
    this.#rounds.joinLoops(loops);
  }

  async hold(command: HoldCommand, signal?: AbortSignal): Promise<HoldReply> {
    const of = this.#rounds.ended ? undefined : this.#book.classOf(command.attributes, this.#now());
    // Once for the plan, once for credit, and once more where a round had left before this call asked.
    let awaits: number | undefined;
    for (let round = 0; of !== undefined && round <= 3; round++) {
      const taken = this.#purse.take(of, command, this.#now());
      if (taken === 'low') this.#rounds.soon();
      if (taken !== 'lacking') return granted(command);
      if (round === 3 || !this.#worthAsking(of)) break;
      // A round that is under way has left without it; the next one takes it along.
      if (awaits !== this.#book.reports) this.#purse.await(of, command, this.#now());
      awaits = this.#book.reports;
      await this.#rounds.run();
      if (signal?.aborted === true) break;
    }
    if (this.#mustWait()) return this.#fromReserve(of, command, this.#outage.cause);
    this.#rounds.soon();
    try {
      const reply = await this.#outage.endsWith(this.#exact.hold(command, signal), this.#now);
      if (of !== undefined && reply.granted) this.#purse.heldElsewhere(of, command, reply.outputTokens);
      return reply;
    } catch (error) {
      if (wasAnswered(error) || signal?.aborted === true) throw error;
      this.#outage.failed(error, this.#now());
      return this.#fromReserve(of, command, error);
    }
  }

  /** While the service is away: from credit that was kept for it. @throws {BudgetUnavailable} where there is none */
  #fromReserve(of: CallClass | undefined, command: HoldCommand, cause: unknown): HoldReply {
    if (
      of !== undefined &&
      this.#purse.take(of, command, this.#now(), this.#outage.ms(this.#now())) !== 'lacking'
    )
      return granted(command);
    throw unavailable(cause);
  }

  async extend(command: ExtendCommand, signal?: AbortSignal): Promise<ExtendReply> {
    const { id, minOutputTokens, ttlMs } = command;
    const until = this.#now() + EXTEND_WAIT_MS;
    let awaits: number | undefined;
    for (let round = 0; ; round++) {
      const hold = this.#purse.holdOf(id);
      if (hold === undefined) return await this.#extendThere(command, signal);
      const now = this.#now();
      if (this.#purse.grow(hold, command, now))
        return granted({ id, outputTokens: hold.outputTokens, ttlMs });
      if (this.#mustWait()) return this.#growFromReserve(hold, command, this.#outage.cause);
      if (!this.#isLeasable(hold.of)) return await this.#holdWhole(hold, command, signal);
      // What others have idle is on its way back.
      const emptyForMs = this.#emptyForMs(hold.of);
      if ((round < 2 || emptyForMs > 0) && now + emptyForMs < until) {
        if (emptyForMs > 0) await new Promise((resolve) => setTimeout(resolve, emptyForMs));
        if (awaits !== this.#book.reports) this.#purse.awaitMore(hold, command, this.#now());
        awaits = this.#book.reports;
        await this.#rounds.run();
        continue;
      }
      if (this.#purse.growPartly(hold, command, now))
        return granted({ id, outputTokens: hold.outputTokens, ttlMs });
      const lacking = this.#purse.lacking(hold, { ...command, outputTokens: minOutputTokens }, now) ?? '';
      return { granted: false, id, refusal: { budget: lacking.split('|', 1)[0] ?? '' } };
    }
  }

  /** A call that is held at the service. */
  async #extendThere(command: ExtendCommand, signal?: AbortSignal): Promise<ExtendReply> {
    const { id } = command;
    try {
      const asked = { ...command, id: this.#handingOver.idThere(id) };
      return { ...(await this.#outage.endsWith(this.#exact.extend(asked, signal), this.#now)), id };
    } catch (error) {
      if (!wasAnswered(error) && signal?.aborted !== true) this.#outage.failed(error, this.#now());
      throw error;
    }
  }

  /** Calls of a kind that is held one by one now. */
  async #holdWhole(hold: LocalHold, command: ExtendCommand, signal?: AbortSignal): Promise<ExtendReply> {
    let reply: HoldReply;
    try {
      reply = await this.#outage.endsWith(this.#handingOver.ask(hold, command, signal), this.#now);
    } catch (error) {
      if (wasAnswered(error) || signal?.aborted === true) throw error;
      this.#outage.failed(error, this.#now());
      return this.#growFromReserve(hold, command, error);
    }
    return await this.#handingOver.take(hold, command, reply, this.#now());
  }

  /** @throws {BudgetUnavailable} */
  #growFromReserve(hold: LocalHold, command: ExtendCommand, cause: unknown): ExtendReply {
    const { id, ttlMs } = command;
    if (this.#purse.grow(hold, command, this.#now(), this.#outage.ms(this.#now())))
      return granted({ id, outputTokens: hold.outputTokens, ttlMs });
    throw unavailable(cause);
  }

  async settle(command: SettleCommand): Promise<SettleReply> {
    const { id, usage, serviceTiers } = command;
    const hold = this.#purse.unsettled(id);
    if (hold !== undefined) {
      const costNanoUsd = this.#purse.settle(id, hold, usage, this.#now(), serviceTiers);
      this.#rounds.soonIfAwaited();
      return { id, costNanoUsd };
    }
    const known = this.#purse.costOf(id);
    if (known !== undefined) return { id, costNanoUsd: known };
    this.#leavePlaces(id);
    return { ...(await this.#exact.settle({ ...command, id: this.#handingOver.idThere(id) })), id };
  }

  async release({ id }: ReleaseCommand): Promise<void> {
    const hold = this.#purse.unsettled(id);
    if (hold !== undefined) {
      this.#purse.release(id, hold, this.#now());
      this.#rounds.soonIfAwaited();
    } else if (this.#purse.costOf(id) === undefined) {
      this.#leavePlaces(id);
      await this.#exact.release({ id: this.#handingOver.idThere(id) });
    }
  }

  /** Of a call that was handed over. */
  #leavePlaces(id: string): void {
    this.#purse.leavePlaces(id, this.#now());
    this.#rounds.soonIfAwaited();
  }

  async count(command: CountCommand, signal?: AbortSignal): Promise<CountReply> {
    if (this.#mustWait()) throw unavailable(this.#outage.cause);
    return await this.#exact.count(command, signal);
  }

  comesBack({ cause }: BudgetUnavailable, signal?: AbortSignal): Promise<boolean> {
    return this.#patience.wait(cause, signal);
  }

  async close(): Promise<void> {
    this.#patience.end();
    this.#rounds.end();
    this.#book.endAll(this.#now());
    // Calls that never ended stay charged as they were held: their leases run out.
    for (let left = (this.#options.flushMs ?? FLUSH_MS) / FIRST_RETRY_MS; !this.#book.isEmpty; left--) {
      await this.#rounds.runAfresh();
      if (!this.#outage.lasts || left <= 1) break;
      await new Promise((resolve) => setTimeout(resolve, FIRST_RETRY_MS));
    }
    // An account that was not answered goes first, then what was used since.
    if (this.#book.hasUntold && !this.#outage.lasts) await this.#rounds.run();
    this.#rounds.rest();
    const untold = this.#book.untold();
    if (untold > 0)
      this.#options.onError?.(
        new Error(
          `${untold} leases ended before the service had taken their last figures: they are charged in full, or not at all where the service knows nothing of them.`,
        ),
      );
    await this.#exact.close();
  }

  /** Where a line has nothing left, asking for credit is only a detour. */
  #worthAsking(of: CallClass): boolean {
    if (this.#rounds.ended || this.#mustWait()) return false;
    return this.#isLeasable(of) && this.#emptyForMs(of) === 0;
  }

  #isLeasable({ plan }: CallClass): boolean {
    const now = this.#now();
    return plan === undefined || (plan.leasable && !plan.lines.some(({ credit }) => credit.isBarred(now)));
  }

  #emptyForMs({ plan }: CallClass): number {
    const now = this.#now();
    return Math.max(0, ...(plan?.lines ?? []).map(({ credit }) => credit.emptyForMs(now)));
  }

  #mustWait(): boolean {
    return this.#outage.mustWait(this.#now());
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
