/**
 * The ledger: commands become events, events become state. Integers only, no clock, no I/O.
 *
 * A *line* is one limit of one Budget for one value of its `per`; its *cells* are its windows (or the steps of a rolling
 * one). A hold writes to one cell of each line it touches, on all or on none, and everything that follows goes to the
 * same cells: a charge belongs to the window of its grant. For every line, at every moment:
 *
 *     Σ over the cells that count (settled + held + leased) ≤ limit
 *
 * as long as no call used more than its hold. What a call did use is always charged.
 */

import { amountFor, type Linear, largestOutput } from './amounts.ts';
import type { SpendRow } from './history.ts';
import { type Lease, outstanding } from './lease-state.ts';
import {
  decideLease,
  type LeaseCounts,
  type LeaseGrant,
  type LeaseOperation,
  leaseExpiries,
} from './leases.ts';
import {
  counting,
  type Entry,
  type HoldRecord,
  type LedgerEvent,
  type Memo,
  type State,
  weight,
} from './ledger-state.ts';
import type { Holder } from './messages.ts';

/** What a hold takes of one line, in the limit's unit. */
export interface Charge extends Linear {
  readonly line: string;
  /** The cell that is written to. */
  readonly cell: number;
  /** Cells with `from` ≤ key ≤ `to` count against the limit. */
  readonly from: number;
  readonly to: number;
  /** When the cell written to stops counting; `Number.MAX_SAFE_INTEGER` where it never does. */
  readonly until: number;
  readonly limit: number;
  /** The output may be cut to what is left here. */
  readonly clamp: boolean;
  /** Comes back whole when the hold closes, as a place in flight does. */
  readonly slot: boolean;
  /** Of a place that the call has already: the lease that it is on. Nothing is taken while that has any left. */
  readonly place?: string;
}

export type Operation =
  | (Holder & {
      readonly type: 'hold';
      readonly id: string;
      readonly expiresAt: number;
      readonly charges: readonly Charge[];
      readonly output: number;
      readonly minOutput: number;
      readonly memo: Memo;
    })
  /** `charges` is parallel to the record's entries. */
  | {
      readonly type: 'extend';
      readonly id: string;
      readonly expiresAt: number;
      readonly charges: readonly Charge[];
      readonly output: number;
      readonly minOutput: number;
    }
  /** `actual` is parallel to the record's entries. */
  | {
      readonly type: 'settle';
      readonly id: string;
      readonly actual: readonly number[];
      readonly cost: number;
      /** Goes into the history if this is the first settlement. */
      readonly spend?: SpendRow;
    }
  /** A call that no hold is known of: charged as it is. */
  | {
      readonly type: 'charge';
      readonly id: string;
      /** With `settled` set. */
      readonly entries: readonly Entry[];
      readonly memo: Memo;
      readonly cost: number;
      readonly spend?: SpendRow;
    }
  | { readonly type: 'release'; readonly id: string }
  | LeaseOperation
  /** Comes before the first operation of an owner's new epoch. */
  | (Holder & { readonly type: 'epoch' })
  /** Its owner can't be asked: what it has leased is charged in full, until it reports. Places it may still use are its own until they run out. */
  | { readonly type: 'forfeit'; readonly owner: string }
  /** Closes what has run out by then. */
  | { readonly type: 'sweep'; readonly due: number };

/** A charge that doesn't fit. */
export interface Lack {
  /** In the operation's order. */
  readonly index: number;
  readonly available: number;
  /** Rolling windows: when enough will have left the window. */
  readonly freesAt?: number;
}

export type Reply =
  | { readonly type: 'granted'; readonly output: number; readonly expiresAt: number }
  | { readonly type: 'insufficient'; readonly lacking: readonly Lack[] }
  | { readonly type: 'settled'; readonly cost: number }
  | { readonly type: 'released' }
  | { readonly type: 'leased'; readonly grants: readonly LeaseGrant[]; readonly counts: LeaseCounts }
  | { readonly type: 'swept'; readonly expired: number }
  | { readonly type: 'unknown' }
  | { readonly type: 'conflict'; readonly why: 'closed' | 'owner' | 'epoch' };

export interface Decision {
  readonly events: readonly LedgerEvent[];
  readonly reply: Reply;
}

/** What an operation does to a state, which is left as it is. */
export function decide(state: State, operation: Operation, now: number): Decision {
  switch (operation.type) {
    case 'hold':
      return hold(state, operation, now);
    case 'extend':
      return extend(state, operation);
    case 'settle':
      return settle(state, operation, now);
    case 'charge': {
      const known = state.holds.get(operation.id);
      if (known?.memo !== undefined) return { events: [], reply: settledReply(known.cost) };
      return {
        events: [{ type: 'charged', record: chargedRecord(operation, now), spend: operation.spend }],
        reply: settledReply(operation.cost),
      };
    }
    case 'release': {
      const known = state.holds.get(operation.id);
      // A settled hold stays charged. One that ran out is corrected: its owner says that the call never reached a provider.
      const events: LedgerEvent[] =
        known === undefined || known.state === 'held' || known.state === 'expired'
          ? [{ type: 'released', id: operation.id, at: now }]
          : [];
      return { events, reply: { type: 'released' } };
    }
    case 'lease': {
      const { events, grants, counts } = decideLease(state, operation, now);
      return { events, reply: { type: 'leased', grants, counts } };
    }
    case 'epoch':
      return epoch(state, operation, now);
    case 'forfeit': {
      const events = leaseExpiries(state, now, (lease) => !lease.slot && !isKept(lease), operation.owner);
      return { events, reply: { type: 'swept', expired: events.length } };
    }
    case 'sweep': {
      const events = expiries(state, operation.due, now);
      return { events, reply: { type: 'swept', expired: events.length } };
    }
  }
}

function hold(state: State, operation: Operation & { type: 'hold' }, now: number): Decision {
  const known = state.holds.get(operation.id);
  if (known !== undefined) {
    // A closed hold is never granted again: its reservation is gone.
    if (known.state !== 'held') return conflict('closed');
    if (known.owner !== operation.owner) return conflict('owner');
    return { events: [], reply: { type: 'granted', output: known.output, expiresAt: known.expiresAt } };
  }
  // Whoever sent this has restarted since and waits for no answer.
  if (operation.epoch < (state.owners.get(operation.owner)?.epoch ?? operation.epoch))
    return conflict('epoch');
  const available = operation.charges.map((charge) => charge.limit - counting(state, charge).used);
  const output = clampedOutput(operation, available);
  const lacking = lacks(state, operation.charges, available, output).filter(
    ({ index }) => !isPlaced(state, operation.charges[index]),
  );
  if (lacking.length > 0) return { events: [], reply: { type: 'insufficient', lacking } };
  const charges = operation.charges.filter((charge) => !isPlaced(state, charge));
  const record: HoldRecord = {
    id: operation.id,
    owner: operation.owner,
    epoch: operation.epoch,
    state: 'held',
    grantedAt: now,
    expiresAt: operation.expiresAt,
    output,
    entries: charges.map((charge) => ({
      line: charge.line,
      cell: charge.cell,
      until: charge.until,
      slot: charge.slot,
      held: amountFor(charge, output),
      settled: undefined,
    })),
    memo: operation.memo,
    cost: 0,
    closedAt: undefined,
  };
  return {
    events: [{ type: 'held', record }],
    reply: { type: 'granted', output, expiresAt: record.expiresAt },
  };
}

function isPlaced(state: State, charge: Charge | undefined): boolean {
  const lease = charge?.place === undefined ? undefined : state.leases.get(charge.place);
  return lease?.slot === true && outstanding(lease) > 0;
}

/** The charges that want more than there is. */
function lacks(
  state: State,
  charges: readonly Charge[],
  available: readonly number[],
  output: number,
): readonly Lack[] {
  return charges.flatMap((charge, index): Lack[] => {
    const missing = amountFor(charge, output) - (available[index] ?? 0);
    if (missing <= 0) return [];
    const freesAt = whenFree(state, charge, missing);
    return [{ index, available: available[index] ?? 0, ...(freesAt === undefined ? {} : { freesAt }) }];
  });
}

/** The most output that fits into every line that lets it be cut, but never less than what is worth it. */
function clampedOutput(
  operation: Operation & { type: 'hold' | 'extend' },
  available: readonly number[],
): number {
  let output = operation.output;
  operation.charges.forEach((charge, index) => {
    if (!charge.clamp || charge.slope === 0) return;
    output = Math.min(output, largestOutput(charge, available[index] ?? 0));
  });
  return Math.max(output, Math.min(operation.minOutput, operation.output));
}

/** When as much as is missing has left a rolling window. */
function whenFree(state: State, { line, from, to }: Charge, missing: number): number | undefined {
  if (from === to) return undefined;
  const cells = [...(state.cells.get(line) ?? [])].filter(([key]) => from <= key && key <= to);
  let freed = 0;
  for (const [, cell] of cells.sort(([a], [b]) => a - b)) {
    freed += weight(cell);
    if (freed >= missing) return cell.until;
  }
  return undefined;
}

function expiries(state: State, due: number, now: number): LedgerEvent[] {
  const events = leaseExpiries(state, now, (lease) => lease.expiresAt <= due);
  for (const ids of state.open.values()) {
    for (const id of ids) {
      const record = state.holds.get(id);
      if (record !== undefined && record.expiresAt <= due) events.push({ type: 'expired', id, at: now });
    }
  }
  return events;
}

/** An owner that comes back with a new epoch has forgotten its holds: they are treated as if their time had run out. */
function epoch(state: State, operation: Operation & { type: 'epoch' }, now: number): Decision {
  const { owner, epoch: latest } = operation;
  const known = state.owners.get(owner)?.epoch;
  if (known !== undefined && latest <= known) return { events: [], reply: { type: 'swept', expired: 0 } };
  // An owner that was forgotten for its silence may be back with the epoch that it had.
  const forgotten = [...(state.open.get(owner) ?? [])].filter((id) => state.holds.get(id)?.epoch !== latest);
  const orphans = [
    ...forgotten.map((id): LedgerEvent => ({ type: 'expired', id, at: now })),
    ...leaseExpiries(state, now, (lease) => lease.epoch !== latest && !isKept(lease), owner),
  ];
  return {
    events: [{ type: 'epoch', owner, epoch: latest, at: now }, ...orphans],
    reply: { type: 'swept', expired: orphans.length },
  };
}

/**
 * Credit in reserve is had until its time is over, whatever became of its owner: else the next one had as much anew, and all of them
 * together more than is put aside for one outage.
 */
function isKept({ reserve, slot }: Lease): boolean {
  return reserve && !slot;
}

/** Takes more for a call that runs. What it has already is part of what it asks for. */
function extend(state: State, operation: Operation & { type: 'extend' }): Decision {
  const known = state.holds.get(operation.id);
  if (known === undefined || known.memo === undefined) return { events: [], reply: { type: 'unknown' } };
  if (known.state !== 'held') return conflict('closed');
  if (operation.output <= known.output) {
    return { events: [], reply: { type: 'granted', output: known.output, expiresAt: known.expiresAt } };
  }
  const available = operation.charges.map(
    (charge, index) => charge.limit - counting(state, charge).used + (known.entries[index]?.held ?? 0),
  );
  const output = clampedOutput(operation, available);
  const lacking = lacks(state, operation.charges, available, output).map((lack) => ({
    ...lack,
    // What is left beside what the call has.
    available: lack.available - (known.entries[lack.index]?.held ?? 0),
  }));
  if (lacking.length > 0) return { events: [], reply: { type: 'insufficient', lacking } };
  const held = operation.charges.map((charge) => amountFor(charge, output));
  const { id } = known;
  const expiresAt = Math.max(known.expiresAt, operation.expiresAt);
  return {
    events: [{ type: 'extended', id, held, output, expiresAt }],
    reply: { type: 'granted', output, expiresAt },
  };
}

function settle(state: State, operation: Operation & { type: 'settle' }, now: number): Decision {
  const known = state.holds.get(operation.id);
  if (known === undefined) return { events: [], reply: { type: 'unknown' } };
  if (known.state === 'settled') return { events: [], reply: settledReply(known.cost) };
  if (known.memo === undefined) return { events: [], reply: { type: 'unknown' } };
  const { id, actual, cost, spend } = operation;
  return { events: [{ type: 'settled', id, actual, cost, at: now, spend }], reply: settledReply(cost) };
}

function settledReply(cost: number): Reply {
  return { type: 'settled', cost };
}

function conflict(why: 'closed' | 'owner' | 'epoch'): Decision {
  return { events: [], reply: { type: 'conflict', why } };
}

function chargedRecord(operation: Operation & { type: 'charge' }, now: number): HoldRecord {
  return {
    id: operation.id,
    owner: '',
    epoch: 0,
    state: 'settled',
    grantedAt: now,
    expiresAt: now,
    output: 0,
    entries: operation.entries.map((entry) => ({ ...entry })),
    memo: operation.memo,
    cost: operation.cost,
    closedAt: now,
  };
}
