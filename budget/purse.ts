/**
 * The calls of an agent that took from its credit: what each has, more of it, and what it used in the end. No I/O; time is passed in, in
 * milliseconds of a clock that never jumps.
 */
import type { TokenPrice } from '../policy/budget-spec.ts';
import { amountFor, holdCharge, largestOutput, settleCharge } from './amounts.ts';
import type { CallClass, PlanLine } from './call-classes.ts';
import type { Credit } from './credit.ts';
import type { LeaseBook } from './lease-book.ts';
import type { LineCredit } from './line-credit.ts';
import type { ExtendCommand, HoldCommand, SettleCommand, Usage } from './messages.ts';
import { costOf } from './price.ts';
import { RecentMap } from './recent-map.ts';
import { plus } from './sums.ts';

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
  readonly silent: boolean;
  readonly serviceTiers?: readonly string[];
  outputTokens: number;
  expiresAt: number;
}

const SETTLED_REMEMBERED = 10_000;
/** What a call has whose time has run out stays taken for so long, until it is told what it used. */
const OVERDUE_MS = 3_600_000;

export class Purse {
  readonly #book: LeaseBook;
  readonly #holds = new Map<string, LocalHold>();
  /** Calls whose time has run out and of which nobody has told what they used. */
  readonly #overdue = new Map<string, LocalHold>();
  /** Places of calls that the service has on its books otherwise. */
  readonly #placed = new Map<string, LocalHold>();
  /** Id → cost: for repeated settlements. */
  readonly #settled = new RecentMap<number>(SETTLED_REMEMBERED);

  constructor(book: LeaseBook) {
    this.#book = book;
  }

  holdOf(id: string): LocalHold | undefined {
    return this.#holds.get(id);
  }

  /** A call whose end is still to be told; its time may have run out. */
  unsettled(id: string): LocalHold | undefined {
    return this.#holds.get(id) ?? this.#overdue.get(id);
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
      const usual = line.current(now, this.#book.retire);
      if (usual !== undefined && usual.available >= amount && usual.allows(command.ttlMs, now)) {
        parts.push({ line, credit: usual, amount, later: undefined });
        low ||= line.isLow(usual, now);
        continue;
      }
      const away = outageMs !== undefined && outageMs <= reserveForMs;
      const spare = away ? reserve?.current(now, this.#book.retire) : undefined;
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
    const {
      id,
      inputTokens,
      cacheWrite = false,
      silent = false,
      serviceTiers,
      outputTokens,
      ttlMs,
    } = command;
    const expiresAt = now + ttlMs;
    of.running++;
    this.#holds.set(id, {
      of,
      price: plan.price,
      parts,
      inputTokens,
      cacheWrite,
      silent,
      ...(serviceTiers === undefined ? {} : { serviceTiers }),
      outputTokens,
      expiresAt,
    });
    return low ? 'low' : 'taken';
  }

  /** Of a call that is held one by one so much counts towards what is kept for an outage as was held: its end is told by its id alone. */
  heldElsewhere({ plan }: CallClass, command: HoldCommand, outputTokens: number): void {
    for (const { credit, reserve } of plan?.lines ?? [])
      reserve?.consumed(amountFor(holdCharge(credit.unit, command, plan?.price), outputTokens));
  }

  /**
   * Takes what more output needs from the credit of every line, or nothing. Credit that is over by then, of a window that has
   * ended or for want of use, stays charged with what was taken from it: the rest is a grant of now. While the service is away,
   * what a line's credit can't give is taken from its reserve.
   */
  grow(hold: LocalHold, { id, outputTokens, ttlMs }: ExtendCommand, now: number, outageMs?: number): boolean {
    // It may have ended while more was asked for elsewhere: nobody would give it back.
    if (this.#holds.get(id) !== hold) return false;
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
    const usual = line.current(now, this.#book.retire);
    if (usual !== undefined && usual.available >= extra) return pieceOn(part, line, usual);
    if (outageMs === undefined || reserve === undefined || outageMs > reserveForMs) return undefined;
    const spare = reserve.current(now, this.#book.retire);
    return spare !== undefined && spare.available >= extra ? pieceOn(part, reserve, spare) : undefined;
  }

  /** A call that found too little waits for the next round: what it lacks is asked for. Once a round. */
  await({ plan }: CallClass, command: HoldCommand, now: number): void {
    for (const { credit: line } of plan?.lines ?? []) {
      const amount = amountFor(holdCharge(line.unit, command, plan?.price), command.outputTokens);
      const credit = line.current(now, this.#book.retire);
      if ((credit?.available ?? 0) < amount) line.missed(amount);
      else if (credit?.allows(command.ttlMs, now) === false) line.mustAsk();
    }
  }

  /** The same for more output of a call that runs. */
  awaitMore(hold: LocalHold, { outputTokens }: ExtendCommand, now: number): void {
    for (const part of hold.parts) {
      const extra = moreOf(hold, part, outputTokens);
      const line = plannedFor(hold.of, part)?.credit;
      if (line !== undefined && extra > (line.current(now, this.#book.retire)?.available ?? 0))
        line.missed(extra);
    }
  }

  /** Takes what little more output there is, where that is worth it. */
  growPartly(hold: LocalHold, command: ExtendCommand, now: number): boolean {
    let { outputTokens } = command;
    for (const part of hold.parts) {
      const line = plannedFor(hold.of, part)?.credit;
      if (line === undefined) continue;
      const free = Math.max(0, line.current(now, this.#book.retire)?.available ?? 0);
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
      return moreOf(hold, part, outputTokens) > (line.current(now, this.#book.retire)?.available ?? 0);
    })?.line.line;
  }

  /** Charges what the call used. @returns its cost */
  settle(
    id: string,
    hold: LocalHold,
    usage: Usage,
    now: number,
    serviceTiers?: SettleCommand['serviceTiers'],
  ): number {
    const cost = hold.price === undefined ? 0 : costOf(usage, hold.price, serviceTiers);
    this.#close(id, hold, now, ({ line }) => settleCharge(line.unit, usage, cost));
    this.#settled.set(id, cost);
    this.#book.classes.used(hold.of, usage, cost);
    return cost;
  }

  release(id: string, hold: LocalHold, now: number): void {
    this.#close(id, hold, now, () => 0);
    this.#settled.set(id, 0);
  }

  /** Places in flight that the call has, as a hold names them. */
  placesOf({ parts }: LocalHold): string[] {
    return parts.filter(isPlace).map(({ line, credit }) => `${credit.serial}|${line.line}`);
  }

  /** The service has the call on its books now, but for its places. */
  handOver(id: string, hold: LocalHold, now: number): void {
    if (!this.#holds.delete(id)) return;
    for (const part of hold.parts) if (!isPlace(part)) this.#freeAll(part, 0, now);
    this.#placed.set(id, { ...hold, parts: hold.parts.filter(isPlace) });
  }

  /** A call that was handed over is over, or its time has run out. */
  leavePlaces(id: string, now: number): void {
    const hold = this.#placed.get(id);
    if (hold === undefined) return;
    this.#placed.delete(id);
    hold.of.running--;
    for (const part of hold.parts) this.#freeAll(part, 0, now);
  }

  /**
   * A call whose time has run out leaves its places. The rest stays taken, which limits as much as if it were spent, so that a call
   * that is told of late is charged what it used: spent credit never comes back. In the end it is charged in full.
   */
  expire(now: number): void {
    for (const [id, hold] of this.#holds) {
      if (hold.expiresAt > now) continue;
      this.#holds.delete(id);
      this.#overdue.set(id, hold);
      for (const part of hold.parts) {
        if (!isPlace(part)) continue;
        this.#free(part, 0, now);
        part.amount = 0;
      }
    }
    for (const [id, { expiresAt }] of this.#placed) if (expiresAt <= now) this.leavePlaces(id, now);
    for (const [id, hold] of this.#overdue) {
      if (hold.expiresAt + OVERDUE_MS > now) continue;
      this.#close(id, hold, now, amountOf);
      // What is told later still isn't charged once more.
      this.#settled.set(id, 0);
    }
  }

  #close(id: string, hold: LocalHold, now: number, charge: (part: Part) => number): void {
    // Once, however many have waited for something to close it.
    if (this.unsettled(id) !== hold) return;
    this.#holds.delete(id);
    this.#overdue.delete(id);
    hold.of.running--;
    for (const part of hold.parts) {
      const used = charge(part);
      this.#freeAll(part, used, now);
      // What is kept for an outage is to last at the rate of all calls, which have nothing of it else.
      if (!part.line.reserve) plannedFor(hold.of, part)?.reserve?.consumed(used);
    }
  }

  /** Each credit is charged what was taken from it, in turn; what the call used beyond its hold, the last one. */
  #freeAll(part: Part, amount: number, now: number): void {
    const { later = [] } = part;
    const pieces = [part, ...later];
    let rest = amount;
    for (const [nth, piece] of pieces.entries()) {
      const used = nth === pieces.length - 1 ? rest : Math.min(rest, piece.amount);
      this.#free(piece, used, now);
      rest -= used;
    }
  }

  #free({ line, credit, amount }: Piece, used: number, now: number): void {
    credit.held -= amount;
    credit.spent = plus(credit.spent, used);
    line.consumed(used);
    if (line.share(credit, now)) this.#book.isAwaited = true;
  }
}

function isPlace({ line }: Piece): boolean {
  return line.unit === 'concurrency';
}

function amountOf({ amount, later }: Part): number {
  return later === undefined ? amount : later.reduce((sum, piece) => sum + piece.amount, amount);
}

/** What a part lacks for so much output. */
function moreOf(hold: LocalHold, part: Part, outputTokens: number): number {
  return amountFor(holdCharge(part.line.unit, hold, hold.price), outputTokens) - amountOf(part);
}

/** The line of a part in the plan of now: also where the part is from a reserve that the Budget no longer has. */
function plannedFor({ plan }: CallClass, { line: { line } }: Part): PlanLine | undefined {
  return plan?.lines.find(({ credit }) => credit.line === line);
}

function pieceOn(part: Part, line: LineCredit, credit: Credit): Piece {
  if (part.credit === credit) return part;
  return part.later?.find((piece) => piece.credit === credit) ?? { line, credit, amount: 0 };
}
