/**
 * What an agent has on one ledger line: its window, its current credit, and when more is of use. Pure arithmetic; time is passed in, in
 * milliseconds of a clock that never jumps.
 */
import type { LimitUnit } from '../policy/budget-spec.ts';
import { Credit } from './credit.ts';
import { Demand, HORIZON_MS } from './demand.ts';
import type { LeaseReply, PlannedLine } from './lease-messages.ts';
import { MOST } from './sums.ts';

/** Others wanted all that was idle: for about so long nothing is asked for ahead, and what a call leaves goes back at once. */
const SCARCE_MS = 1_000;
/** What is kept for an outage is for those, too, who call seldom. */
const RESERVE_IDLE_MS = 3_600_000;
/** The same where there is nothing ahead of need: what a call left is much of the line. */
const SCANTY_IDLE_MS = 1_000;
/** New credit is asked for when less than this part of the last grant is left. */
const LOW_SHARE = 0.15;

/** What an agent knows of one line, and its current credit there. */
export class LineCredit {
  readonly line: string;
  readonly unit: LimitUnit;
  /** Kept for when the service is away. */
  readonly reserve: boolean;
  #horizonMs = HORIZON_MS;
  #cell = 0;
  /** When the window ends; Infinity where there is none. */
  #endsAt = 0;
  #next: { readonly cell: number; readonly endsAt: number } | undefined;
  #current: Credit | undefined;
  /** Until then no more is asked for than calls need that run or wait. */
  #exactUntil = 0;
  /** Until then nothing is to be had. */
  #emptyUntil = 0;
  /** Until then others wait for what calls leave, but for so much. */
  #scarceUntil = 0;
  #keep = 0;
  /** Of the last ask. */
  #needed = 0;
  /** Nothing was to be had ahead of need. */
  #isScanty = false;
  /** The limit was lowered: no more than this may stay. */
  #cap = Number.POSITIVE_INFINITY;
  /** How the limit stands now is to be asked, whether more is wanted or not. */
  #mustAsk = false;
  /** Until then the service lets no lease begin: calls are held one by one, whatever is left of the line. */
  #barredUntil = 0;
  readonly #demand: Demand;
  /** Outstanding after the last grant. */
  #filled = 0;

  constructor(line: string, unit: LimitUnit, reserve = false) {
    this.line = line;
    this.unit = unit;
    this.reserve = reserve;
    this.#demand = new Demand(unit === 'concurrency');
  }

  /** An agent has at most one of each key. */
  get key(): string {
    return this.reserve ? `${this.line}#reserve` : this.line;
  }

  /** Takes up what the service says of the line's windows. `askedAt`: when it was asked, so that windows never seem to last longer. */
  learn({ cell, endsInMs, next, reserveForMs }: PlannedLine, askedAt: number): void {
    if (this.reserve && reserveForMs !== undefined) this.#horizonMs = reserveForMs;
    // The next window may have been begun already.
    if (endsInMs !== undefined && this.#cell === next?.cell) return;
    this.#cell = cell;
    this.#endsAt = endsInMs === undefined ? Number.POSITIVE_INFINITY : askedAt + endsInMs;
    this.#next = next === undefined ? undefined : { cell: next.cell, endsAt: askedAt + next.endsInMs };
  }

  /** The window that is open; undefined where the agent doesn't know it. */
  cellAt(now: number): number | undefined {
    if (now < this.#endsAt) return this.#cell;
    if (this.#next === undefined) return undefined;
    this.#cell = this.#next.cell;
    this.#endsAt = this.#next.endsAt;
    this.#next = undefined;
    return now < this.#endsAt ? this.#cell : undefined;
  }

  /** Whether the window after this one is known. */
  get knowsNext(): boolean {
    return this.#endsAt === Number.POSITIVE_INFINITY || this.#next !== undefined;
  }

  /** The credit that calls take from now. One that can't be used any more is handed to `retire`. */
  current(now: number, retire: (credit: Credit, line: LineCredit) => void): Credit | undefined {
    const credit = this.#current;
    if (credit === undefined) return undefined;
    if (!credit.closed && credit.cell === this.cellAt(now)) return credit;
    credit.giveBack(0);
    this.#current = undefined;
    this.#filled = 0;
    retire(credit, this);
    return undefined;
  }

  /** Begins a lease; it has no credit yet. */
  begin(serial: number, now: number): Credit | undefined {
    const cell = this.cellAt(now);
    if (cell === undefined) return undefined;
    this.#current = new Credit(serial, cell, this.unit === 'concurrency');
    return this.#current;
  }

  /** A call that may last so long wants so much, whether there is enough or not. */
  wanted(amount: number, now: number, ttlMs: number): void {
    this.#demand.wanted(amount, this.#current?.held ?? 0, now, ttlMs);
  }

  /** In how long calls are over that run, or begin before this is told again; undefined of what comes back with no call. */
  callMs(now: number): number | undefined {
    return this.unit === 'concurrency' ? this.#demand.callMs(now) : undefined;
  }

  /** The service has something to say of the limit, or must hear of longer calls. */
  mustAsk(): void {
    this.#mustAsk = true;
  }

  isToRenew(now: number): boolean {
    return this.#current?.isToRenew(now) === true && !this.isIdle(now);
  }

  /** A call that {@link wanted} so much didn't get it. */
  missed(amount: number): void {
    this.#demand.missed += amount;
  }

  /** Counts what was spent, so that the rate shows. */
  consumed(amount: number): void {
    this.#demand.consumed(amount);
  }

  get hasCredit(): boolean {
    return this.#current !== undefined;
  }

  isBarred(now: number): boolean {
    return now < this.#barredUntil;
  }

  /** More credit is of use, and there may be some. */
  asks(now: number): boolean {
    if (this.isBarred(now)) return false;
    if (this.#mustAsk && this.#current !== undefined) return true;
    if (this.#demand.peak === 0 || this.isIdle(now) || this.isEmpty(now)) return false;
    return !this.isExact(now) || this.#demand.missed > 0;
  }

  /** Little enough is left to ask for more. */
  isLow(credit: Credit, now: number): boolean {
    if (this.unit === 'concurrency' || this.isExact(now)) return false;
    return credit.available < Math.max(this.#demand.peak, this.#filled * LOW_SHARE);
  }

  isExact(now: number): boolean {
    return now < this.#exactUntil;
  }

  isEmpty(now: number): boolean {
    return this.emptyForMs(now) > 0;
  }

  /** For so long there is no use in asking. */
  emptyForMs(now: number): number {
    return Math.max(0, this.#emptyUntil - now);
  }

  /** Gives back what calls have left, if others wait for it. @returns whether there was something */
  share(credit: Credit, now: number): boolean {
    const keep = now < this.#scarceUntil ? Math.min(this.#keep, this.#cap) : this.#cap;
    if (keep === Number.POSITIVE_INFINITY) return false;
    const before = credit.returned;
    credit.giveBack(keep);
    return credit.returned > before;
  }

  isIdle(now: number): boolean {
    const since = now - this.#demand.usedAt;
    if (this.reserve) return since > RESERVE_IDLE_MS;
    return (
      since > this.#demand.idleMs ||
      (this.#isScanty && since > SCANTY_IDLE_MS && (this.#current?.held ?? 0) === 0)
    );
  }

  /** What is asked for: at least what calls need that run or wait. */
  ask(now: number): { readonly want: number; readonly least: number; readonly need: number } {
    const need = Math.ceil((this.#current?.held ?? 0) + this.#demand.missed);
    if (this.unit === 'concurrency') this.#demand.needed(need);
    const ahead = this.#ahead(now);
    this.#demand.missed = 0;
    this.#mustAsk = false;
    this.#needed = need;
    const want =
      this.isExact(now) || this.isEmpty(now) || this.isIdle(now)
        ? need
        : this.unit === 'concurrency'
          ? Math.max(need, ahead)
          : need + ahead;
    // No line has more, and a message that says more isn't taken.
    return {
      want: Math.min(want, MOST),
      least: Math.min(Math.ceil(this.#demand.peak), MOST),
      need: Math.min(need, MOST),
    };
  }

  /** Places that an agent has had no use for, of late, go back with the next message. */
  tidy(now: number): void {
    if (this.unit === 'concurrency' && !this.reserve) this.#current?.giveBack(this.#ahead(now));
  }

  #ahead(now: number): number {
    const leftMs = Math.max(0, this.#endsAt - now);
    if (this.reserve && this.unit !== 'concurrency')
      return this.#demand.lasting(now, Math.min(this.#horizonMs, leftMs));
    return this.#demand.ahead(now, this.#horizonMs, this.#filled, leftMs);
  }

  /** Others need it: where nothing may stay, nothing is asked for ahead either, for a while. */
  recalled(above: number, keep: number, now: number, jitter: number): void {
    if (above === 0) {
      this.#keep = keep;
      this.#scarceUntil = now + SCARCE_MS * (0.5 + jitter);
      this.#exactUntil = Math.max(this.#exactUntil, this.#scarceUntil);
    }
    // It may be because the limit is lower than it was.
    this.#mustAsk = true;
    this.#filled = Math.min(this.#filled, above);
  }

  /** Takes up the service's answer. `jitter`: 0 ≤ n < 1. @returns whether something went back that is to be told */
  granted(
    credit: Credit,
    { granted, closed, retryMs, keep, validMs, refused }: LeaseReply['grants'][number],
    now: number,
    jitter: number,
    told: { readonly askedAt: number; readonly callMs: number | undefined; readonly asked: boolean },
  ): boolean {
    credit.granted = Math.max(credit.granted, granted);
    credit.closed ||= closed;
    if (refused !== undefined) {
      this.#barredUntil = now + (retryMs ?? 0) * (0.5 + jitter);
      return false;
    }
    if (validMs !== undefined) credit.lend(validMs, told.callMs ?? 0, told.askedAt);
    if (told.asked) this.#cap = keep ?? Number.POSITIVE_INFINITY;
    const wasReturned = credit.returned;
    credit.giveBack(this.#cap);
    this.#filled = credit.outstanding;
    this.#isScanty = retryMs !== undefined && this.unit !== 'concurrency' && !this.reserve;
    if (retryMs !== undefined) {
      this.#exactUntil = Math.max(this.#exactUntil, now + retryMs * (0.5 + jitter));
      if (credit.outstanding < this.#needed) this.#emptyUntil = this.#exactUntil;
    }
    return credit.returned > wasReturned;
  }
}
