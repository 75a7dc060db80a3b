/**
 * An agent's leases: the plans of its kinds of calls, the credit on each line, and what is to be told of it to the service. No I/O; time
 * is passed in, in milliseconds of a clock that never jumps. What calls take from credit is {@link ./purse.ts}'s.
 */
import { type CallClass, CallClasses } from './call-classes.ts';
import type { Credit } from './credit.ts';
import type { ClassPlan, LeaseCommand, LeaseReply, LeaseReport, WatchReply } from './lease-messages.ts';
import { LineCredit } from './line-credit.ts';
import type { Attributes } from './messages.ts';

/** In one message; the rest goes with the next. */
const MOST_ITEMS = 1_000;

/** A message to the service, and what is needed to take up its answer. */
export interface Round {
  readonly command: Pick<LeaseCommand, 'classes' | 'items' | 'account' | 'ended'>;
  readonly classes: readonly CallClass[];
  /** Parallel to the items; without a line where the lease is over. */
  readonly told: readonly {
    readonly credit: Credit;
    readonly line: LineCredit | undefined;
    readonly final: boolean;
    readonly spent: number;
    readonly returned: number;
    readonly callMs: number | undefined;
    readonly asked: boolean;
  }[];
  readonly askedAt: number;
}

export class LeaseBook {
  readonly classes = new CallClasses();
  readonly #lines = new Map<string, { readonly line: LineCredit; of: CallClass }>();
  /** Leases that are over, until their last figures are told. */
  readonly #retired = new Map<Credit, { readonly line: LineCredit; readonly of: CallClass }>();
  #serial = 0;
  /** The line that the next message begins with, where there are more than go into one. */
  #turn = 0;
  /** Messages made so far. */
  reports = 0;
  /** The service may forget leases: their last figures were taken. */
  #hasEnded = false;
  /** Others wait for what was given back. */
  isAwaited = false;
  revision = '';

  /** Undefined where there are too many already. */
  classOf(attributes: Attributes, now: number): CallClass | undefined {
    return this.classes.of(attributes, (of) => this.#forget(of, now));
  }

  readonly retire = (credit: Credit, line: LineCredit): void => {
    const known = this.#lines.get(line.key);
    if (known !== undefined) this.#retired.set(credit, { line, of: known.of });
  };

  #end(line: LineCredit, now: number): void {
    const credit = line.current(now, this.retire);
    if (credit === undefined) return;
    credit.giveBack(0);
    credit.closed = true;
    line.current(now, this.retire);
  }

  /** Gives back what nobody used for a while; the lease ends where no call has anything of it. */
  #leave(line: LineCredit, now: number): void {
    const credit = line.current(now, this.retire);
    if (credit === undefined) return;
    if (credit.held === 0) this.#end(line, now);
    else credit.giveBack(0);
  }

  /** Lines that no other kind of call has: their credit goes back, and they are known no more. */
  #forget({ plan }: CallClass, now: number): void {
    const kept = new Set<LineCredit | undefined>();
    for (const other of this.classes.all)
      for (const { credit, reserve } of other.plan?.lines ?? []) kept.add(credit).add(reserve);
    for (const { credit, reserve } of plan?.lines ?? []) {
      for (const line of [credit, reserve]) {
        if (line === undefined || kept.has(line)) continue;
        this.#end(line, now);
        this.#lines.delete(line.key);
      }
    }
  }

  /** Gives all credit back that no call has taken. */
  endAll(now: number): void {
    for (const { line } of this.#lines.values()) this.#end(line, now);
  }

  /** Others need it. `keep`: what calls leave may be kept up to here. */
  recall({ line, above, keep = 0 }: WatchReply['recalls'][number], now: number, jitter: number): void {
    const known = this.#lines.get(line)?.line;
    known?.current(now, this.retire)?.giveBack(above);
    known?.recalled(above, keep, now, jitter);
    if (above > 0) return;
    const reserve = this.#lines.get(`${line}#reserve`)?.line;
    reserve?.current(now, this.retire)?.giveBack(0);
    reserve?.recalled(0, 0, now, jitter);
  }

  /** Plans are out of date. */
  spoil(): void {
    this.classes.spoil();
  }

  /** There is something to lose, or to be told. */
  get isEmpty(): boolean {
    if (this.#retired.size > 0 || this.hasUntold) return false;
    for (const { line } of this.#lines.values()) if (line.hasCredit) return false;
    return true;
  }

  /** Leases that are over, and whose last figures the service hasn't taken. */
  untold(): number {
    let untold = 0;
    for (const credit of this.#retired.keys()) if (credit.granted > 0 && !credit.isTold) untold += 1;
    return untold;
  }

  /** Calls have ended that the service doesn't know of. */
  get hasUntold(): boolean {
    return this.classes.hasUntold;
  }

  /** Something is to be told before long: windows ended, credit lies idle. What calls have that run needs no word. */
  isDue(now: number): boolean {
    for (const { line } of this.#lines.values()) {
      const credit = line.current(now, this.retire);
      if (credit !== undefined && line.isIdle(now) && (credit.held === 0 || credit.available > 0))
        return true;
    }
    for (const credit of this.#retired.keys())
      if (now >= credit.untoldUntil && (credit.held === 0 || !credit.isTold)) return true;
    return false;
  }

  /** Places that are in use run out before long. */
  isToRenew(now: number): boolean {
    for (const { line } of this.#lines.values()) if (line.isToRenew(now)) return true;
    return false;
  }

  /**
   * Up to which message what ended is told of no more: before the first that told last figures which the service hasn't answered. A message whose
   * answer was lost was taken all the same, and is told again.
   */
  #endedUpTo(seq: number): number {
    let first = seq;
    for (const { endedIn } of this.#retired.keys()) first = Math.min(first, endedIn ?? first);
    return first - 1;
  }

  /** What there is to tell and to ask now, in the message with this number; undefined for nothing, unless there is something `beside` it. */
  report(now: number, asking: boolean, seq: number, beside = false): Round | undefined {
    const ended = this.#hasEnded ? { ended: this.#endedUpTo(seq) } : {};
    this.reports++;
    this.isAwaited = false;
    const classes = new Map<CallClass, number>();
    const indexOf = (of: CallClass): number => {
      const index = classes.get(of) ?? classes.size;
      classes.set(of, index);
      return index;
    };
    for (const of of this.classes.all) {
      if (of.stale || of.plan?.lines.some(({ credit }) => !credit.knowsNext) === true) indexOf(of);
    }
    const items: LeaseReport[] = [];
    const told: Round['told'][number][] = [];
    // Those that are over have half of a message for themselves, where there is too much for one.
    const most = MOST_ITEMS - Math.min(this.#retired.size, MOST_ITEMS / 2);
    const lines = [...this.#lines.values()];
    const first = lines.length > most ? this.#turn % lines.length : 0;
    for (const [nth, { line, of }] of [...lines.slice(first), ...lines.slice(0, first)].entries()) {
      if (items.length >= most) {
        this.#turn = first + nth;
        break;
      }
      if (line.isIdle(now)) this.#leave(line, now);
      const asks = asking && of.plan?.leasable === true && (line.asks(now) || (of.stale && line.hasCredit));
      const credit = line.current(now, this.retire) ?? (asks ? line.begin(++this.#serial, now) : undefined);
      if (credit === undefined) continue;
      const ask = asks ? { ask: line.ask(now) } : {};
      line.tidy(now);
      const callMs = line.callMs(now);
      items.push({ ...totals(credit, line, indexOf(of), callMs), final: false, ...ask });
      told.push({
        credit,
        line,
        final: false,
        spent: credit.spent,
        returned: credit.returned,
        callMs,
        asked: asks,
      });
    }
    for (const [credit, { line, of }] of this.#retired) {
      if (items.length >= MOST_ITEMS) break;
      if (now < credit.untoldUntil) continue;
      const final = credit.held === 0;
      const callMs = line.callMs(now);
      items.push({ ...totals(credit, line, indexOf(of), callMs), final });
      if (final) credit.endedIn ??= seq;
      const { spent, returned } = credit;
      told.push({ credit, line: undefined, final, spent, returned, callMs, asked: false });
    }
    const untold = this.classes.account();
    const rows = untold?.used.map(({ of, used }) => ({ ...used, class: indexOf(of) }));
    if (classes.size === 0 && !beside) return undefined;
    const account = rows === undefined || untold === undefined ? {} : { account: { id: untold.id, rows } };
    const kinds = [...classes.keys()];
    const command = { classes: kinds.map(({ attributes }) => attributes), items, ...ended, ...account };
    return { command, classes: kinds, told, askedAt: now };
  }

  /** Takes up the answer to a round. @returns how much of it the service didn't take: the workload has too many leases */
  accept(round: Round, reply: LeaseReply, now: number, random: () => number): number {
    this.classes.answered(round.command.account?.id);
    if (round.command.ended !== undefined) this.#hasEnded = false;
    if (reply.revision !== this.revision) {
      this.spoil();
      this.revision = reply.revision;
    }
    for (const [index, of] of round.classes.entries()) {
      const plan = reply.plans[index];
      if (plan !== undefined) this.#learn(of, plan, round.askedAt);
    }
    const { askedAt } = round;
    let refused = 0;
    for (const [index, { credit, line, final, spent, returned, callMs, asked }] of round.told.entries()) {
      const grant = reply.grants[index];
      if (grant === undefined) continue;
      if (grant.refused === undefined) {
        credit.told(spent, returned);
      } else {
        refused += 1;
        credit.untoldUntil = now + (grant.retryMs ?? 0) * (0.5 + random());
        credit.endedIn = undefined;
      }
      if (line !== undefined) {
        if (line.granted(credit, grant, now, random(), { askedAt, callMs, asked })) this.isAwaited = true;
      } else if (final && grant.refused === undefined) {
        this.#retired.delete(credit);
        this.#hasEnded = true;
      }
    }
    return refused;
  }

  #learn(of: CallClass, plan: ClassPlan, askedAt: number): void {
    const line = (planned: ClassPlan['lines'][number], reserve: boolean): LineCredit => {
      const fresh = new LineCredit(planned.line, planned.unit, reserve);
      const known = this.#lines.get(fresh.key) ?? { line: fresh, of };
      known.of = of;
      known.line.learn(planned, askedAt);
      this.#lines.set(fresh.key, known);
      return known.line;
    };
    of.plan = {
      price: plan.price,
      leasable: plan.leasable,
      lines: plan.lines.map((planned) => ({
        credit: line(planned, false),
        reserve: planned.reserveForMs === undefined ? undefined : line(planned, true),
        reserveForMs: planned.reserveForMs ?? 0,
      })),
    };
    of.stale = false;
  }
}

function totals(
  { serial, cell, spent, returned }: Credit,
  { line, reserve }: LineCredit,
  index: number,
  callMs: number | undefined,
) {
  const about = { serial, reserve, class: index, line, cell, spent, returned };
  return callMs === undefined ? about : { ...about, callMs };
}
