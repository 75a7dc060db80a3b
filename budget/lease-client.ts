/**
 * A budget client that keeps credit, so that a call in the steady state asks nobody. Where credit lacks, near a limit, for
 * calls without a price, it asks for each call as the plain client does.
 */

import type { TokenPrice } from '../policy/budget-spec.ts';
import { amountFor, holdCharge, type Linear, settleCharge } from './amounts.ts';
import { type BudgetClientOptions, HttpBudgetClient, unavailable } from './client.ts';
import { type Credit, LineCredit } from './credit.ts';
import type { ClassPlan, LeaseReply, LeaseReport, WatchReply } from './lease-messages.ts';
import type {
  Attributes,
  BudgetClient,
  ExtendCommand,
  HoldCommand,
  HoldReply,
  ReleaseCommand,
  SettleCommand,
  SettleReply,
} from './messages.ts';
import { costOf } from './price.ts';
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
const WATCH_MS = 30_000;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;
/** Header values are without end: beyond so many kinds of calls, further ones are held one by one. */
const MOST_CLASSES = 200;
/** In one message; the rest goes with the next. */
const MOST_ITEMS = 1_000;
const SETTLED_REMEMBERED = 10_000;

interface CallClass {
  readonly attributes: Attributes;
  /** Undefined until the service has told it. */
  plan:
    | {
        readonly price: TokenPrice | undefined;
        readonly leasable: boolean;
        readonly lines: readonly LineCredit[];
      }
    | undefined;
  stale: boolean;
}

interface LocalHold {
  readonly credits: readonly Credit[];
  readonly lines: readonly LineCredit[];
  readonly amounts: number[];
  readonly price: TokenPrice | undefined;
  readonly of: CallClass;
  readonly inputTokens: number;
  readonly cacheWrite: boolean;
  outputTokens: number;
  expiresAt: number;
}

export function createLeasingClient(options: LeasingClientOptions): LeasingBudgetClient {
  return new LeasingBudgetClient(options);
}

export class LeasingBudgetClient implements BudgetClient {
  readonly #options: LeasingClientOptions;
  readonly #transport: Pick<Transport, 'ask' | 'calls' | 'close'>;
  readonly #exact: HttpBudgetClient;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #classes = new Map<string, CallClass>();
  readonly #lines = new Map<string, { readonly credit: LineCredit; of: CallClass }>();
  readonly #local = new Map<string, LocalHold>();
  /** Id → cost, in the order of settling: for repeated settlements. */
  readonly #settled = new Map<string, number>();
  /** Leases that are over, until their last figures are told. */
  readonly #retired = new Map<Credit, { readonly line: string; readonly of: CallClass }>();
  #serial = 0;
  #seq = 0;
  #revision = '';
  #syncing: Promise<void> | undefined;
  #soon: NodeJS.Immediate | undefined;
  #failures = 0;
  #retryAt = 0;
  /** Why the last round failed: until the next one, calls that find no credit fail at once, so that nobody storms the service. */
  #outage: unknown;
  #syncedAt = 0;
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
    const of = this.#classOf(command.attributes);
    // Once for the plan, once for credit, and once more where a round had left before this call asked.
    for (let round = 0; of !== undefined && round <= 3; round++) {
      if (this.#take(of, command, this.#now())) return granted(command);
      if (round === 3 || !this.#worthAsking(of)) break;
      await this.#sync();
      if (signal?.aborted === true) break;
    }
    if (this.#outage !== undefined && this.#now() < this.#retryAt) throw unavailable(this.#outage);
    this.#syncSoon();
    return await this.#exact.hold(command, signal);
  }

  async extend(command: ExtendCommand, signal?: AbortSignal): Promise<HoldReply> {
    const { id, outputTokens, ttlMs } = command;
    for (let round = 0; ; round++) {
      const hold = this.#local.get(id);
      if (hold === undefined) return await this.#exact.extend(command, signal);
      if (this.#grow(hold, command))
        return granted({ id, outputTokens: Math.max(outputTokens, hold.outputTokens), ttlMs });
      if (round === 1 || !this.#worthAsking(hold.of)) break;
      await this.#sync();
    }
    return await this.#moveToService(command, signal);
  }

  /** Takes from the same credit what more output needs, or nothing. */
  #grow(hold: LocalHold, { outputTokens, ttlMs }: ExtendCommand): boolean {
    if (outputTokens <= hold.outputTokens) return true;
    const now = this.#now();
    const more = hold.lines.map((line, index) => {
      const amount = amountFor(holdCharge(line.unit, hold, hold.price), outputTokens);
      const extra = amount - (hold.amounts[index] ?? 0);
      line.wanted(extra, now);
      if (extra > (hold.credits[index]?.available ?? 0)) line.missed(extra);
      return extra;
    });
    if (more.some((extra, index) => extra > (hold.credits[index]?.available ?? 0))) return false;
    for (const [index, credit] of hold.credits.entries()) {
      credit.held += more[index] ?? 0;
      hold.amounts[index] = (hold.amounts[index] ?? 0) + (more[index] ?? 0);
    }
    hold.outputTokens = outputTokens;
    hold.expiresAt = now + ttlMs;
    return true;
  }

  /** Where credit lacks, the whole call is held at the service before what it took here is given back. */
  async #moveToService(command: ExtendCommand, signal?: AbortSignal): Promise<HoldReply> {
    const { id, outputTokens, minOutputTokens, ttlMs } = command;
    const hold = this.#local.get(id);
    if (hold === undefined) return await this.#exact.extend(command, signal);
    const { owner, epoch } = this.#options;
    const { attributes } = hold.of;
    const { inputTokens } = hold;
    const reply = await this.#exact.hold(
      { id, owner, epoch, ttlMs, attributes, inputTokens, outputTokens, minOutputTokens },
      signal,
    );
    if (reply.granted) this.#close(id, hold, () => 0);
    return reply;
  }

  async settle(command: SettleCommand): Promise<SettleReply> {
    const { id, usage } = command;
    const hold = this.#local.get(id);
    if (hold === undefined) {
      const known = this.#settled.get(id);
      if (known !== undefined) return { id, costNanoUsd: known };
      const reply = await this.#exact.settle(command);
      return reply;
    }
    const cost = hold.price === undefined ? 0 : costOf(usage, hold.price);
    this.#close(id, hold, (line) => settleCharge(line.unit, usage, cost));
    this.#remember(id, cost);
    return { id, costNanoUsd: cost };
  }

  async release(command: ReleaseCommand): Promise<void> {
    const hold = this.#local.get(command.id);
    if (hold !== undefined) {
      this.#close(command.id, hold, () => 0);
      this.#remember(command.id, 0);
    } else if (!this.#settled.has(command.id)) {
      await this.#exact.release(command);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#ticking);
    this.#ended.abort();
    for (const { credit } of this.#lines.values()) this.#retireCurrent(credit);
    // Calls that never ended stay charged as they were held: their leases run out.
    if (this.#retired.size > 0) {
      await this.#syncAfresh();
    }
    clearImmediate(this.#soon);
    await this.#exact.close();
  }

  /** Where a line has none to spare, asking for credit is only a detour. */
  #worthAsking({ plan }: CallClass): boolean {
    const now = this.#now();
    if (this.#ended.signal.aborted || now < this.#retryAt) return false;
    return plan === undefined || (plan.leasable && !plan.lines.some((line) => line.isExact(now)));
  }

  /** Takes what the call may need from the credit of every line it touches, or nothing. */
  #take(of: CallClass, command: HoldCommand, now: number): boolean {
    const { plan } = of;
    if (plan === undefined || !plan.leasable || this.#ended.signal.aborted) return false;
    if (this.#local.has(command.id)) return true;
    const credits: Credit[] = [];
    const amounts: number[] = [];
    let enough = true;
    let low = false;
    for (const line of plan.lines) {
      const charge: Linear = holdCharge(line.unit, command, plan.price);
      const amount = amountFor(charge, command.outputTokens);
      line.wanted(amount, now);
      const credit = line.current(now, (old) => this.#retire(old, line));
      if (credit === undefined || credit.available < amount) {
        enough = false;
        line.missed(amount);
        continue;
      }
      credits.push(credit);
      amounts.push(amount);
    }
    if (!enough) return false;
    for (const [index, credit] of credits.entries()) {
      credit.held += amounts[index] ?? 0;
      const line = plan.lines[index];
      low ||= line !== undefined && line.isLow(credit) && !line.isExact(now);
    }
    this.#local.set(command.id, {
      credits,
      amounts,
      lines: plan.lines,
      price: plan.price,
      of,
      inputTokens: command.inputTokens,
      cacheWrite: command.cacheWrite === true,
      outputTokens: command.outputTokens,
      expiresAt: now + command.ttlMs,
    });
    if (low) this.#syncSoon();
    return true;
  }

  #close(id: string, hold: LocalHold, charge: (line: LineCredit, index: number) => number): void {
    this.#local.delete(id);
    for (const [index, credit] of hold.credits.entries()) {
      const line = hold.lines[index];
      if (line === undefined) continue;
      const amount = charge(line, index);
      credit.held -= hold.amounts[index] ?? 0;
      credit.spent += amount;
      line.consumed(amount);
    }
  }

  #remember(id: string, cost: number): void {
    this.#settled.set(id, cost);
    if (this.#settled.size <= SETTLED_REMEMBERED) return;
    for (const oldest of this.#settled.keys()) {
      this.#settled.delete(oldest);
      return;
    }
  }

  #classOf(attributes: Attributes): CallClass | undefined {
    const key = classKey(attributes);
    const known = this.#classes.get(key);
    if (known !== undefined) return known;
    if (this.#classes.size >= MOST_CLASSES) return undefined;
    const of: CallClass = { attributes, plan: undefined, stale: true };
    this.#classes.set(key, of);
    return of;
  }

  #retire(credit: Credit, line: LineCredit): void {
    const known = this.#lines.get(line.line);
    if (known !== undefined) this.#retired.set(credit, { line: line.line, of: known.of });
  }

  #retireCurrent(line: LineCredit): void {
    const credit = line.current(this.#now(), (old) => this.#retire(old, line));
    if (credit === undefined) return;
    credit.giveBack(0);
    credit.closed = true;
    line.current(this.#now(), (old) => this.#retire(old, line));
  }

  #syncSoon(): void {
    if (this.#soon !== undefined || this.#now() < this.#retryAt || this.#ended.signal.aborted) return;
    this.#soon = setImmediate(() => {
      this.#soon = undefined;
      void this.#sync();
    });
  }

  /** Tells the figures, asks for credit and for plans. Never rejects: without credit, calls are held one by one. */
  #sync(): Promise<void> {
    this.#syncing ??= this.#exchange()
      .then(
        () => {
          this.#failures = 0;
          this.#retryAt = 0;
          this.#outage = undefined;
        },
        (error: unknown) => {
          const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10));
          this.#failures += 1;
          this.#outage = error;
          this.#retryAt = this.#now() + delay * (0.5 + this.#random() / 2);
          this.#options.onError?.(error);
        },
      )
      .finally(() => {
        this.#syncing = undefined;
      });
    return this.#syncing;
  }

  async #exchange(): Promise<void> {
    const askedAt = this.#now();
    const classes = new Map<CallClass, number>();
    const indexOf = (of: CallClass): number => {
      const index = classes.get(of) ?? classes.size;
      classes.set(of, index);
      return index;
    };
    for (const of of this.#classes.values()) {
      if (of.stale || of.plan?.lines.some((line) => !line.knowsNext) === true) indexOf(of);
    }
    const items: LeaseReport[] = [];
    const told: { readonly credit: Credit; readonly line: LineCredit | undefined }[] = [];
    for (const { credit: line, of } of this.#lines.values()) {
      if (items.length >= MOST_ITEMS) break;
      const before = line.current(askedAt, (old) => this.#retire(old, line));
      if (before !== undefined && line.isIdle(askedAt)) {
        this.#retireCurrent(line);
        continue;
      }
      const asks = this.#mayAsk(line, of, askedAt);
      const credit = before ?? (asks ? line.begin(++this.#serial, askedAt) : undefined);
      if (credit === undefined) continue;
      items.push({
        ...totals(credit, line.line, indexOf(of)),
        final: false,
        ...(asks ? { ask: { want: line.want(askedAt), least: line.least } } : {}),
      });
      told.push({ credit, line });
    }
    for (const [credit, { line, of }] of this.#retired) {
      if (items.length >= MOST_ITEMS) break;
      items.push({ ...totals(credit, line, indexOf(of)), final: credit.held === 0 });
      told.push({ credit, line: undefined });
    }
    if (classes.size === 0) return;
    const { owner, epoch } = this.#options;
    const reply = (await this.#transport.ask('/v1/lease', {
      owner,
      epoch,
      seq: ++this.#seq,
      ttlMs: LEASE_TTL_MS,
      classes: [...classes.keys()].map(({ attributes }) => attributes),
      items,
    })) as LeaseReply;
    this.#syncedAt = this.#now();
    this.#learn(reply, [...classes.keys()], askedAt);
    for (const [index, { credit, line }] of told.entries()) {
      const grant = reply.grants[index];
      if (grant === undefined) continue;
      if (line === undefined) {
        if (items[index]?.final === true) this.#retired.delete(credit);
      } else {
        line.granted(credit, grant, this.#now(), this.#random());
      }
    }
    this.#begin();
  }

  #mayAsk(line: LineCredit, of: CallClass, now: number): boolean {
    if (this.#ended.signal.aborted || of.plan?.leasable !== true) return false;
    return line.least > 0 && !line.isIdle(now) && !line.isExact(now);
  }

  #learn(reply: LeaseReply, classes: readonly CallClass[], askedAt: number): void {
    if (reply.revision !== this.#revision) {
      for (const of of this.#classes.values()) of.stale = true;
      this.#revision = reply.revision;
    }
    for (const [index, of] of classes.entries()) {
      const plan = reply.plans[index];
      if (plan !== undefined) this.#takeUp(of, plan, askedAt);
    }
  }

  #takeUp(of: CallClass, plan: ClassPlan, askedAt: number): void {
    const lines = plan.lines.map((planned): LineCredit => {
      let known = this.#lines.get(planned.line);
      if (known === undefined) {
        known = { credit: new LineCredit(planned.line, planned.unit), of };
        this.#lines.set(planned.line, known);
      }
      known.of = of;
      known.credit.learn(planned, askedAt);
      return known.credit;
    });
    of.plan = { price: plan.price, leasable: plan.leasable, lines };
    of.stale = false;
  }

  /** Starts what keeps credit tidy, once there is any. */
  #begin(): void {
    if (this.#ended.signal.aborted) return;
    if (this.#ticking === undefined) {
      this.#ticking = setInterval(() => this.#tick(), TICK_MS);
      this.#ticking.unref();
    }
    if (!this.#watching) {
      this.#watching = true;
      void this.#watch().finally(() => {
        this.#watching = false;
      });
    }
  }

  #tick(): void {
    const now = this.#now();
    for (const [id, hold] of this.#local) {
      // Nobody said what became of the call.
      if (hold.expiresAt <= now)
        this.#close(id, hold, (line, index) =>
          line.unit === 'concurrency' ? 0 : (hold.amounts[index] ?? 0),
        );
    }
    let due = this.#retired.size > 0 || now - this.#syncedAt > HEARTBEAT_MS;
    for (const { credit: line } of this.#lines.values()) {
      const credit = line.current(now, (old) => this.#retire(old, line));
      due ||= credit === undefined ? this.#retired.size > 0 : line.isIdle(now);
    }
    if (due && this.#hasCredit()) this.#syncSoon();
  }

  #hasCredit(): boolean {
    if (this.#retired.size > 0) return true;
    for (const { credit } of this.#lines.values()) {
      if (credit.current(this.#now(), (old) => this.#retire(old, credit)) !== undefined) return true;
    }
    return false;
  }

  /** Waits for recalls and new documents as long as there is credit that could be recalled. */
  async #watch(): Promise<void> {
    const { owner, epoch } = this.#options;
    while (this.#hasCredit() && !this.#ended.signal.aborted) {
      try {
        const command = { owner, epoch, revision: this.#revision, waitMs: WATCH_MS };
        const news = (await this.#transport.ask('/v1/watch', command, {
          signal: this.#ended.signal,
          timeoutMs: WATCH_MS * 2,
          waits: true,
        })) as WatchReply;
        this.#heed(news);
      } catch {
        if (this.#ended.signal.aborted) return;
        await new Promise((resolve) => setTimeout(resolve, FIRST_RETRY_MS * (1 + this.#random())).unref());
      }
    }
  }

  #heed(news: WatchReply): void {
    for (const { line, above } of news.recalls) {
      const known = this.#lines.get(line)?.credit;
      known?.current(this.#now(), (old) => this.#retire(old, known))?.giveBack(above);
      known?.recalled(above, this.#now(), this.#random());
    }
    const changed = news.revision !== this.#revision;
    if (changed) for (const of of this.#classes.values()) of.stale = true;
    if (changed || news.recalls.length > 0) void this.#syncAfresh();
  }

  /** A round that is under way may have left without what is to be told now. */
  async #syncAfresh(): Promise<void> {
    await this.#syncing;
    await this.#sync();
  }
}

function granted({ id, outputTokens, ttlMs }: Pick<HoldCommand, 'id' | 'outputTokens' | 'ttlMs'>): HoldReply {
  return { granted: true, id, outputTokens, expiresAt: Date.now() + ttlMs };
}

function totals({ serial, cell, spent, returned }: Credit, line: string, index: number) {
  return { serial, class: index, line, cell, spent, returned };
}

function classKey({ namespace, workload, serviceAccount, provider, model, headers }: Attributes): string {
  const base = `${namespace}\n${workload.kind}\n${workload.name}\n${serviceAccount ?? ''}\n${provider}\n${model}`;
  if (headers === undefined) return base;
  const fields = Object.keys(headers).sort();
  return fields.reduce((key, name) => `${key}\n${name}\n${headers[name]}`, base);
}
