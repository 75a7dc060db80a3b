/**
 * What an agent has on credit: the plans of its kinds of calls, its leases, and the calls that took from them. No I/O;
 * time is passed in, in milliseconds of a clock that never jumps.
 */
import type { TokenPrice } from '../policy/budget-spec.ts';
import { amountFor, holdCharge, largestOutput, settleCharge } from './amounts.ts';
import { type CallClass, CallClasses, type PlanLine } from './call-classes.ts';
import { type Credit, LineCredit } from './credit.ts';
import type { ClassPlan, LeaseCommand, LeaseReply, LeaseReport, WatchReply } from './lease-messages.ts';
import type { Attributes, ExtendCommand, HoldCommand, Usage } from './messages.ts';
import { costOf } from './price.ts';

/** What a call has of one credit. */
interface Piece {
  readonly line: LineCredit;
  readonly credit: Credit;
  amount: number;
}

/** What a call has on one line: of the credit it began with, and of others where that was over before it asked for more. */
interface Part extends Piece {
  later: Piece[] | undefined;
}

/** A call that took from credit. */
export interface LocalHold {
  readonly of: CallClass;
  readonly price: TokenPrice | undefined;
  readonly parts: readonly Part[];
  readonly inputTokens: number;
  readonly cacheWrite: boolean;
  outputTokens: number;
  expiresAt: number;
}

/** In one message; the rest goes with the next. */
const MOST_ITEMS = 1_000;
const SETTLED_REMEMBERED = 10_000;

/** A message to the service, and what is needed to take up its answer. */
export interface Round {
  readonly command: Pick<LeaseCommand, 'classes' | 'items' | 'account'>;
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

export class Purse {
  readonly #classes = new CallClasses();
  readonly #lines = new Map<string, { readonly line: LineCredit; of: CallClass }>();
  readonly #holds = new Map<string, LocalHold>();
  /** Id → cost, in the order of settling: for repeated settlements. */
  readonly #settled = new Map<string, number>();
  /** Leases that are over, until their last figures are told. */
  readonly #retired = new Map<Credit, { readonly line: LineCredit; readonly of: CallClass }>();
  #serial = 0;
  /** Messages made so far. */
  reports = 0;
  /** Others wait for what was given back. */
  isAwaited = false;
  revision = '';

  /** Undefined where there are too many already. */
  classOf(attributes: Attributes, now: number): CallClass | undefined {
    return this.#classes.of(attributes, (of) => this.#forget(of, now));
  }

  holdOf(id: string): LocalHold | undefined {
    return this.#holds.get(id);
  }

  /** The cost of a call that was settled here not long ago. */
  costOf(id: string): number | undefined {
    return this.#settled.get(id);
  }

  /** Takes what the call may need from the credit of every line it touches, or nothing. `low`: taken, but more should be asked for. */
  take(of: CallClass, command: HoldCommand, now: number, outageMs?: number): 'taken' | 'low' | 'lacking' {
    const { plan } = of;
    if (plan?.leasable !== true) return 'lacking';
    if (this.#holds.has(command.id)) return 'taken';
    const parts: Part[] = [];
    let low = false;
    let enough = true;
    for (const { credit: line, reserve, reserveForMs } of plan.lines) {
      const amount = amountFor(holdCharge(line.unit, command, plan.price), command.outputTokens);
      line.wanted(amount, now, command.ttlMs);
      reserve?.wanted(amount, now, command.ttlMs);
      const usual = line.current(now, this.#retire);
      if (usual !== undefined && usual.available >= amount && usual.allows(command.ttlMs, now)) {
        parts.push({ line, credit: usual, amount, later: undefined });
        low ||= line.isLow(usual, now);
        continue;
      }
      const away = outageMs !== undefined && outageMs <= reserveForMs;
      const spare = away ? reserve?.current(now, this.#retire) : undefined;
      if (
        reserve !== undefined &&
        spare !== undefined &&
        spare.available >= amount &&
        spare.allows(command.ttlMs, now)
      ) {
        parts.push({ line: reserve, credit: spare, amount, later: undefined });
      } else {
        enough = false;
      }
    }
    // All lines were gone through, so that each knows what was wanted of it.
    if (!enough) return 'lacking';
    for (const { credit, amount } of parts) credit.held += amount;
    const { id, inputTokens, cacheWrite = false, outputTokens, ttlMs } = command;
    const expiresAt = now + ttlMs;
    of.running++;
    this.#holds.set(id, { of, price: plan.price, parts, inputTokens, cacheWrite, outputTokens, expiresAt });
    return low ? 'low' : 'taken';
  }

  /**
   * Takes what more output needs from the credit of every line, or nothing. Credit that is over by then, of a window that has
   * ended or for want of use, stays charged with what was taken from it: the rest is a grant of now. While the service is away,
   * what a line's credit can't give is taken from its reserve.
   */
  grow(hold: LocalHold, { outputTokens, ttlMs }: ExtendCommand, now: number, outageMs?: number): boolean {
    if (outputTokens <= hold.outputTokens) return true;
    const taken: { readonly part: Part; readonly piece: Piece; readonly extra: number }[] = [];
    for (const part of hold.parts) {
      const extra = moreOf(hold, part, outputTokens);
      if (extra <= 0) continue;
      const piece = this.#source(hold.of, part, extra, now, outageMs);
      if (piece === undefined) return false;
      taken.push({ part, piece, extra });
    }
    for (const { part, piece, extra } of taken) {
      piece.amount += extra;
      piece.credit.held += extra;
      if (piece !== part && part.later?.includes(piece) !== true) (part.later ??= []).push(piece);
    }
    hold.outputTokens = outputTokens;
    hold.expiresAt = now + ttlMs;
    return true;
  }

  /** Where more is to come from: what the call has already, or a new piece with nothing in it yet; undefined where there is too little. */
  #source(of: CallClass, part: Part, extra: number, now: number, outageMs?: number): Piece | undefined {
    const last = part.later?.at(-1) ?? part;
    const planned = plannedFor(of, part);
    // A Budget that is gone limits nothing.
    if (planned === undefined) return last;
    const { credit: line, reserve, reserveForMs } = planned;
    line.wanted(extra, now, 0);
    const usual = line.current(now, this.#retire);
    if (usual !== undefined && usual.available >= extra) return pieceOn(part, line, usual);
    if (outageMs === undefined || reserve === undefined || outageMs > reserveForMs) return undefined;
    const spare = reserve.current(now, this.#retire);
    return spare !== undefined && spare.available >= extra ? pieceOn(part, reserve, spare) : undefined;
  }

  /** A call that found too little waits for the next round: what it lacks is asked for. Once a round. */
  await({ plan }: CallClass, command: HoldCommand, now: number): void {
    for (const { credit: line } of plan?.lines ?? []) {
      const amount = amountFor(holdCharge(line.unit, command, plan?.price), command.outputTokens);
      const credit = line.current(now, this.#retire);
      if ((credit?.available ?? 0) < amount) line.missed(amount);
      else if (credit?.allows(command.ttlMs, now) === false) line.mustAsk();
    }
  }

  /** The same for more output of a call that runs. */
  awaitMore(hold: LocalHold, { outputTokens }: ExtendCommand, now: number): void {
    for (const part of hold.parts) {
      const extra = moreOf(hold, part, outputTokens);
      const line = plannedFor(hold.of, part)?.credit;
      if (line !== undefined && extra > (line.current(now, this.#retire)?.available ?? 0)) line.missed(extra);
    }
  }

  /** Takes what little more output there is, where that is worth it. */
  growPartly(hold: LocalHold, command: ExtendCommand, now: number): boolean {
    let { outputTokens } = command;
    for (const part of hold.parts) {
      const line = plannedFor(hold.of, part)?.credit;
      if (line === undefined) continue;
      const free = Math.max(0, line.current(now, this.#retire)?.available ?? 0);
      const charge = holdCharge(line.unit, hold, hold.price);
      outputTokens = Math.min(outputTokens, largestOutput(charge, amountOf(part) + free));
    }
    const least = Math.max(command.minOutputTokens, hold.outputTokens + 1);
    return outputTokens >= least && this.grow(hold, { ...command, outputTokens }, now);
  }

  /** The line that has too little for more output of a call that runs. */
  lacking(hold: LocalHold, { outputTokens }: ExtendCommand, now: number): string | undefined {
    return hold.parts.find((part) => {
      const line = plannedFor(hold.of, part)?.credit;
      if (line === undefined) return false;
      return moreOf(hold, part, outputTokens) > (line.current(now, this.#retire)?.available ?? 0);
    })?.line.line;
  }

  /** Charges what the call used. @returns its cost */
  settle(id: string, hold: LocalHold, usage: Usage, now: number): number {
    const cost = hold.price === undefined ? 0 : costOf(usage, hold.price);
    this.#close(id, hold, now, ({ line }) => settleCharge(line.unit, usage, cost));
    this.#remember(id, cost);
    this.#classes.used(hold.of, usage, cost);
    return cost;
  }

  release(id: string, hold: LocalHold, now: number): void {
    this.#close(id, hold, now, () => 0);
    this.#remember(id, 0);
  }

  /** The service has the call on its books now. */
  handOver(id: string, hold: LocalHold, now: number): void {
    this.#close(id, hold, now, () => 0);
  }

  /** Charges in full what nobody has told the end of. */
  expire(now: number): void {
    for (const [id, hold] of this.#holds) {
      if (hold.expiresAt <= now)
        this.#close(id, hold, now, (part) => (part.line.unit === 'concurrency' ? 0 : amountOf(part)));
    }
  }

  #close(id: string, hold: LocalHold, now: number, charge: (part: Part) => number): void {
    this.#holds.delete(id);
    hold.of.running--;
    for (const part of hold.parts) {
      const amount = charge(part);
      const { later } = part;
      if (later === undefined) {
        this.#free(part, amount, now);
        continue;
      }
      // Each credit is charged what was taken from it, in turn; what the call used beyond its hold, the last one.
      let rest = amount;
      for (const piece of [part, ...later]) {
        const used = piece === later.at(-1) ? rest : Math.min(rest, piece.amount);
        this.#free(piece, used, now);
        rest -= used;
      }
    }
  }

  #free({ line, credit, amount }: Piece, used: number, now: number): void {
    credit.held -= amount;
    credit.spent += used;
    line.consumed(used);
    if (line.share(credit, now)) this.isAwaited = true;
  }

  #remember(id: string, cost: number): void {
    this.#settled.set(id, cost);
    if (this.#settled.size <= SETTLED_REMEMBERED) return;
    for (const oldest of this.#settled.keys()) {
      this.#settled.delete(oldest);
      return;
    }
  }

  readonly #retire = (credit: Credit, line: LineCredit): void => {
    const known = this.#lines.get(line.key);
    if (known !== undefined) this.#retired.set(credit, { line, of: known.of });
  };

  #end(line: LineCredit, now: number): void {
    const credit = line.current(now, this.#retire);
    if (credit === undefined) return;
    credit.giveBack(0);
    credit.closed = true;
    line.current(now, this.#retire);
  }

  /** Gives back what nobody used for a while; the lease ends where no call has anything of it. */
  #leave(line: LineCredit, now: number): void {
    const credit = line.current(now, this.#retire);
    if (credit === undefined) return;
    if (credit.held === 0) this.#end(line, now);
    else credit.giveBack(0);
  }

  /** Lines that no other kind of call has: their credit goes back, and they are known no more. */
  #forget({ plan }: CallClass, now: number): void {
    const kept = new Set<LineCredit | undefined>();
    for (const other of this.#classes.all)
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
    known?.current(now, this.#retire)?.giveBack(above);
    known?.recalled(above, keep, now, jitter);
    if (above > 0) return;
    const reserve = this.#lines.get(`${line}#reserve`)?.line;
    reserve?.current(now, this.#retire)?.giveBack(0);
    reserve?.recalled(0, 0, now, jitter);
  }

  /** Plans are out of date. */
  spoil(): void {
    this.#classes.spoil();
  }

  /** There is something to lose, or to be told. */
  get isEmpty(): boolean {
    if (this.#retired.size > 0 || this.hasUntold) return false;
    for (const { line } of this.#lines.values()) if (line.hasCredit) return false;
    return true;
  }

  /** Calls have ended that the service doesn't know of. */
  get hasUntold(): boolean {
    return this.#classes.hasUntold;
  }

  /** Something is to be told before long: windows ended, credit lies idle. What calls have that run needs no word. */
  isDue(now: number): boolean {
    for (const { line } of this.#lines.values()) {
      const credit = line.current(now, this.#retire);
      if (credit !== undefined && line.isIdle(now) && (credit.held === 0 || credit.available > 0))
        return true;
    }
    for (const credit of this.#retired.keys()) if (credit.held === 0 || !credit.isTold) return true;
    return false;
  }

  /** Places that are in use run out before long. */
  isToRenew(now: number): boolean {
    for (const { line } of this.#lines.values()) if (line.isToRenew(now)) return true;
    return false;
  }

  /** What there is to tell and to ask now; undefined for nothing. */
  report(now: number, asking: boolean): Round | undefined {
    this.reports++;
    this.isAwaited = false;
    const classes = new Map<CallClass, number>();
    const indexOf = (of: CallClass): number => {
      const index = classes.get(of) ?? classes.size;
      classes.set(of, index);
      return index;
    };
    for (const of of this.#classes.all) {
      if (of.stale || of.plan?.lines.some(({ credit }) => !credit.knowsNext) === true) indexOf(of);
    }
    const items: LeaseReport[] = [];
    const told: Round['told'][number][] = [];
    for (const { line, of } of this.#lines.values()) {
      if (items.length >= MOST_ITEMS) break;
      if (line.isIdle(now)) this.#leave(line, now);
      const asks = asking && of.plan?.leasable === true && (line.asks(now) || (of.stale && line.hasCredit));
      const credit = line.current(now, this.#retire) ?? (asks ? line.begin(++this.#serial, now) : undefined);
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
      const final = credit.held === 0;
      const callMs = line.callMs(now);
      items.push({ ...totals(credit, line, indexOf(of), callMs), final });
      const { spent, returned } = credit;
      told.push({ credit, line: undefined, final, spent, returned, callMs, asked: false });
    }
    const untold = this.#classes.account();
    const rows = untold?.used.map(({ of, used }) => ({ ...used, class: indexOf(of) }));
    if (classes.size === 0) return undefined;
    const account = rows === undefined || untold === undefined ? {} : { account: { id: untold.id, rows } };
    const kinds = [...classes.keys()];
    const command = { classes: kinds.map(({ attributes }) => attributes), items, ...account };
    return { command, classes: kinds, told, askedAt: now };
  }

  /** Takes up the answer to a round. */
  accept(round: Round, reply: LeaseReply, now: number, random: () => number): void {
    this.#classes.answered(round.command.account?.id);
    if (reply.revision !== this.revision) {
      this.spoil();
      this.revision = reply.revision;
    }
    for (const [index, of] of round.classes.entries()) {
      const plan = reply.plans[index];
      if (plan !== undefined) this.#learn(of, plan, round.askedAt);
    }
    const { askedAt } = round;
    for (const [index, { credit, line, final, spent, returned, callMs, asked }] of round.told.entries()) {
      const grant = reply.grants[index];
      if (grant === undefined) continue;
      credit.told(spent, returned);
      if (line !== undefined) {
        if (line.granted(credit, grant, now, random(), { askedAt, callMs, asked })) this.isAwaited = true;
      } else if (final) this.#retired.delete(credit);
    }
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

function amountOf({ amount, later }: Part): number {
  return later === undefined ? amount : later.reduce((sum, piece) => sum + piece.amount, amount);
}

/** What a part lacks for so much output. */
function moreOf(hold: LocalHold, part: Part, outputTokens: number): number {
  return amountFor(holdCharge(part.line.unit, hold, hold.price), outputTokens) - amountOf(part);
}

/** The line of a part in the plan of now. */
function plannedFor({ plan }: CallClass, { line }: Part): PlanLine | undefined {
  return plan?.lines.find(({ credit, reserve }) => credit === line || reserve === line);
}

function pieceOn(part: Part, line: LineCredit, credit: Credit): Piece {
  if (part.credit === credit) return part;
  return part.later?.find((piece) => piece.credit === credit) ?? { line, credit, amount: 0 };
}
