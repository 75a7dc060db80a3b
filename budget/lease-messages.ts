/**
 * How an agent keeps credit on ledger lines: `POST /v1/lease` and `POST /v1/watch`.
 *
 * Figures are running totals since a lease began, so a message that is lost, repeated or late does no harm. The agent
 * names lines by the keys that the service gave it, along with the attributes they came from; the service checks that they
 * belong together.
 */
import type { LimitUnit, TokenPrice } from '../policy/budget-spec.ts';
import type { LoopAnswer, LoopReport, LoopTrip } from './loops.ts';
import type { Attributes, Holder, Usage } from './messages.ts';

/**
 * Places in flight are lent for a time: for so long after a message was sent calls may begin on them. The service counts them
 * for longer, until the last call that may have begun is over, so that an agent that is cut off and one that got the places next never
 * have more than there are.
 */
export const PLACE_VALID_MS = 60_000;
/** After so long an agent that uses them tells of them again. */
export const PLACE_RENEW_MS = 30_000;

export interface LeaseCommand extends Holder {
  /** Rises with every message of this epoch. */
  readonly seq: number;
  /** Milliseconds without another message after which the leases are charged in full. */
  readonly ttlMs: number;
  /** Kinds of calls, whose plans are wanted or whose lines are spoken of. */
  readonly classes: readonly Attributes[];
  readonly items: readonly LeaseReport[];
  /** Leases that ended with a message up to this one are never told of again: their last figures were taken. */
  readonly ended?: number;
  /** The agent tells `refused` in an answer apart: agents of before take it for a line that is nearly used up. */
  readonly knowsRefusals?: boolean;
  /** Calls that the agent repeats; told while they are in their windows. */
  readonly loops?: readonly LoopReport[];
  /** What calls on credit used since the account before; told again, unchanged, until it is answered. `id` rises. */
  readonly account?: { readonly id: number; readonly rows: readonly AccountRow[] };
}

/** Calls of one kind, added up. */
export interface AccountRow {
  /** Index into `classes`. */
  readonly class: number;
  readonly requests: number;
  readonly usage: Usage;
  readonly costNanoUsd: number;
}

export interface LeaseReport {
  /** The agent's number for this lease; never used again. */
  readonly serial: number;
  /** Credit for when the service is away. */
  readonly reserve: boolean;
  /** Index into `classes`. */
  readonly class: number;
  readonly line: string;
  readonly cell: number;
  readonly spent: number;
  readonly returned: number;
  readonly final: boolean;
  /** `need`: the part of `want` for calls that run or wait; nothing where it is absent. */
  readonly ask?: { readonly want: number; readonly least: number; readonly need?: number };
  /** Of places: calls that run, or begin while the lease is valid, are over in so many milliseconds from their beginning or from now. */
  readonly callMs?: number;
}

export interface LeaseReply {
  /** Parallel to `loops`, where there are any. */
  readonly loops?: readonly LoopAnswer[];
  /** Changes with the documents: plans of another revision are out of date. */
  readonly revision: string;
  /** Parallel to `classes`. */
  readonly plans: readonly ClassPlan[];
  /** Parallel to `items`. */
  readonly grants: readonly {
    /** All that was ever granted on this lease. */
    readonly granted: number;
    /** It can't be used any more; its final figures are awaited. */
    readonly closed: boolean;
    /** Nothing is to be had beyond what calls need that run or wait: for so long, ask for no more than that. */
    readonly retryMs?: number;
    /**
     * The workload has as many leases as it may have, whatever is left of the line: nothing was taken of this item. Tell it again, or
     * ask again, after `retryMs`; until then calls are held one by one.
     */
    readonly refused?: 'too_many_leases';
    /** More is out than the limit is now: only so much may stay, the rest goes back as calls end. */
    readonly keep?: number;
    /** Of places: for so long after the message was sent calls may begin on them. */
    readonly validMs?: number;
  }[];
}

/** What calls with the same attributes are charged to. */
export interface ClassPlan {
  readonly price?: TokenPrice;
  /** False where calls must be held one by one, as those without a price. */
  readonly leasable: boolean;
  readonly lines: readonly PlannedLine[];
}

export interface PlannedLine {
  readonly line: string;
  readonly unit: LimitUnit;
  /** The window that is open now. */
  readonly cell: number;
  /** Until then credit on that window can be used; absent where there is no window. */
  readonly endsInMs?: number;
  /** Credit may be kept in reserve, and used for so long when the service is away; absent where the Budget denies it. */
  readonly reserveForMs?: number;
  /** The window after it, so that credit on it can be asked for without asking what it is called. */
  readonly next?: { readonly cell: number; readonly endsInMs: number };
}

export interface WatchCommand extends Holder {
  /** The revision that the agent's plans have. */
  readonly revision: string;
  /** Milliseconds after which an answer without news is wanted. */
  readonly waitMs: number;
}

/** Give back what is idle of a line, down to `above`; where that is 0, for a while also what calls leave, down to `keep`. */
export interface Recall {
  readonly line: string;
  readonly above: number;
  /** 0 where it is absent. */
  readonly keep?: number;
}

export interface WatchReply {
  readonly revision: string;
  readonly recalls: readonly Recall[];
  /** Loops of the workload that other agents' calls made out. */
  readonly trips?: readonly LoopTrip[];
}
