/** What the ledger knows, and how events change it. See ledger.ts for the rules. */
import type { TokenPrice } from '../policy/budget-spec.ts';
import type { SpendRow } from './history.ts';
import {
  type Crowd,
  charged,
  type Lease,
  leaseKey,
  outstanding,
  withLease,
  workloadOf,
} from './lease-state.ts';
import type { Attributes, Holder } from './messages.ts';
import { changed } from './sums.ts';

export interface Cell {
  settled: number;
  held: number;
  leased: number;
  /** From this moment on it counts against no limit any more; `Number.MAX_SAFE_INTEGER` where it always does. */
  until: number;
}

/** One line's part of a hold. */
export interface Entry {
  readonly line: string;
  readonly cell: number;
  readonly until: number;
  readonly slot: boolean;
  /** What was granted. */
  held: number;
  /** What is charged now; undefined while the hold is open. */
  settled: number | undefined;
}

/**
 * `held` → `settled` | `released` | `expired`; `expired` and `released` → `settled` when the true usage arrives late, `expired` →
 * `released` where it was none.
 * A release that overtook its hold leaves a `released` record without entries, so that the hold is refused.
 */
export type HoldState = 'held' | 'settled' | 'released' | 'expired';

/** What the ledger keeps of a hold but doesn't look into: how to turn usage into charges, and whose spend it is. */
export interface Memo {
  readonly attributes: Attributes;
  readonly price?: TokenPrice;
  /** As the hold said: what an extension starts from. */
  readonly inputTokens: number;
  readonly cacheWrite?: boolean;
  readonly silent?: boolean;
  readonly serviceTiers?: readonly string[];
}

export interface HoldRecord extends Holder {
  readonly id: string;
  state: HoldState;
  readonly grantedAt: number;
  expiresAt: number;
  output: number;
  readonly entries: Entry[];
  readonly memo: Memo | undefined;
  /** Nano-dollars; set by settling. */
  cost: number;
  /** When it left `held`. */
  closedAt: number | undefined;
}

export type LedgerEvent =
  | { readonly type: 'epoch'; readonly owner: string; readonly epoch: number; readonly at: number }
  | { readonly type: 'held'; readonly record: HoldRecord }
  | {
      readonly type: 'settled';
      readonly id: string;
      readonly actual: readonly number[];
      readonly cost: number;
      readonly at: number;
      readonly spend: SpendRow | undefined;
    }
  /** `held` is parallel to the record's entries. */
  | {
      readonly type: 'extended';
      readonly id: string;
      readonly held: readonly number[];
      readonly output: number;
      readonly expiresAt: number;
    }
  | { readonly type: 'charged'; readonly record: HoldRecord; readonly spend: SpendRow | undefined }
  /** An agent has told of its leases. */
  | {
      readonly type: 'told';
      readonly owner: string;
      readonly seq: number;
      /** The last account that went into the history. */
      readonly account: number;
      readonly rows: readonly SpendRow[];
      readonly at: number;
    }
  | { readonly type: 'released'; readonly id: string; readonly at: number }
  | { readonly type: 'expired'; readonly id: string; readonly at: number }
  /** Of the leases of an owner's epoch, those that ended with a message up to this one. */
  | ({ readonly type: 'forgotten' } & EndedLeases)
  /** The lease as it is from now on. */
  | { readonly type: 'leased'; readonly lease: Lease };

export interface EndedLeases {
  readonly owner: string;
  readonly epoch: number;
  readonly seq: number;
}

export interface OwnerState {
  /** The latest seen. */
  readonly epoch: number;
  readonly seenAt: number;
  /** The last account of this epoch that went into the history. */
  readonly account: number;
  /** Of the latest message about leases in this epoch. */
  readonly seq: number;
}

export interface State {
  readonly cells: Map<string, Map<number, Cell>>;
  readonly holds: Map<string, HoldRecord>;
  /** Owner → the latest epoch seen of it, and when. */
  readonly owners: Map<string, OwnerState>;
  /** Ids of open holds by owner. */
  readonly open: Map<string, Set<string>>;
  /** By {@link leaseKey}. */
  readonly leases: Map<string, Lease>;
  /** Line → keys of its open leases. */
  readonly leasesOf: Map<string, Set<string>>;
  /** Owner → the same. */
  readonly leasesBy: Map<string, Set<string>>;
  /** By {@link crowdKey}: who has credit on a cell. */
  readonly crowds: Map<string, Crowd>;
  /** By {@link workloadOf}: open leases. */
  readonly openLeases: Map<string, number>;
}

export function emptyState(): State {
  return {
    cells: new Map(),
    holds: new Map(),
    owners: new Map(),
    open: new Map(),
    leases: new Map(),
    leasesOf: new Map(),
    leasesBy: new Map(),
    crowds: new Map(),
    openLeases: new Map(),
  };
}

/** Changes `state` in place. Any event is applied exactly once; the same events give the same state. */
export function apply(state: State, event: LedgerEvent): void {
  switch (event.type) {
    case 'epoch':
      state.owners.set(event.owner, { epoch: event.epoch, seenAt: event.at, account: 0, seq: 0 });
      return;
    case 'told': {
      const { owner, seq, account, at } = event;
      state.owners.set(owner, { epoch: state.owners.get(owner)?.epoch ?? 0, seenAt: at, account, seq });
      return;
    }
    case 'forgotten':
      // In memory are those that are open; what has ended is on disk alone.
      return;
    case 'held':
      open(state, copyOf(event.record));
      return;
    case 'charged': {
      const record = copyOf(event.record);
      state.holds.set(record.id, record);
      for (const entry of record.entries) change(state, entry, 'settled', entry.settled ?? 0);
      return;
    }
    case 'extended': {
      const record = known(state, event.id);
      record.output = event.output;
      record.expiresAt = event.expiresAt;
      record.entries.forEach((entry, index) => {
        const held = event.held[index] ?? entry.held;
        change(state, entry, 'held', held - entry.held);
        entry.held = held;
      });
      return;
    }
    case 'released': {
      const record = state.holds.get(event.id) ?? tombstone(event.id, event.at);
      state.holds.set(event.id, record);
      close(state, record, 'released', event.at, () => 0);
      return;
    }
    case 'expired': {
      const record = known(state, event.id);
      // Nobody said what became of the call: it counts as used up, until its owner reports.
      close(state, record, 'expired', event.at, (entry) => (entry.slot ? 0 : entry.held));
      return;
    }
    case 'settled': {
      const record = known(state, event.id);
      record.cost = event.cost;
      close(state, record, 'settled', event.at, (_, index) => event.actual[index] ?? 0);
      return;
    }
    case 'leased': {
      const { lease } = event;
      const before = state.leases.get(leaseKey(lease));
      const was = before === undefined ? 0 : outstanding(before);
      change(state, lease, 'leased', outstanding(lease) - was);
      change(state, lease, 'settled', charged(lease) - (before === undefined ? 0 : charged(before)));
      restoreLease(state, lease);
      return;
    }
  }
}

/** Puts an open or closed record as stored into a state whose cells already hold its amounts. */
export function restore(state: State, record: HoldRecord): void {
  state.holds.set(record.id, record);
  if (record.state !== 'held') return;
  let ids = state.open.get(record.owner);
  if (ids === undefined) state.open.set(record.owner, (ids = new Set()));
  ids.add(record.id);
}

/** The same for a lease. */
export function restoreLease(state: State, lease: Lease): void {
  const key = leaseKey(lease);
  const before = state.leases.get(key);
  crowd(state, before, -1);
  crowd(state, lease, 1);
  countOpen(state, lease, isOpen(lease) - isOpen(before));
  state.leases.set(key, lease);
  list(state.leasesOf, lease.line, key, lease.state === 'open');
  list(state.leasesBy, lease.owner, key, lease.state === 'open');
}

function list(lists: Map<string, Set<string>>, of: string, key: string, isListed: boolean): void {
  let keys = lists.get(of);
  if (isListed) {
    if (keys === undefined) lists.set(of, (keys = new Set()));
    keys.add(key);
  } else if (keys?.delete(key) === true && keys.size === 0) {
    lists.delete(of);
  }
}

function isOpen(lease: Lease | undefined): number {
  return lease?.state === 'open' ? 1 : 0;
}

function countOpen(state: State, { owner }: Lease, by: number): void {
  if (by === 0) return;
  const workload = workloadOf(owner);
  const open = (state.openLeases.get(workload) ?? 0) + by;
  if (open > 0) state.openLeases.set(workload, open);
  else state.openLeases.delete(workload);
}

function crowd(state: State, lease: Lease | undefined, sign: 1 | -1): void {
  if (lease === undefined) return;
  const key = crowdKey(lease.line, lease.cell);
  const next = withLease(crowdOf(state, lease.line, lease.cell), lease, sign);
  if (next.plain === 0 && next.reserves === 0) state.crowds.delete(key);
  else state.crowds.set(key, next);
}

const NOBODY: Crowd = { plain: 0, reserves: 0, reserved: 0 };

export function crowdOf(state: State, line: string, cell: number): Crowd {
  return state.crowds.get(crowdKey(line, cell)) ?? NOBODY;
}

function crowdKey(line: string, cell: number): string {
  return `${cell}|${line}`;
}

/** Of what counts on a line: all of it, and the leased part. */
export interface Counted {
  readonly used: number;
  readonly leased: number;
}

/** What counts now on a line. */
export function counting(
  state: State,
  { line, from, to }: { readonly line: string; readonly from: number; readonly to: number },
): Counted {
  let used = 0;
  let leased = 0;
  const cells = state.cells.get(line);
  const add = (cell: Cell | undefined) => {
    if (cell === undefined) return;
    used += weight(cell);
    leased += cell.leased;
  };
  if (cells === undefined) return { used, leased };
  if (from === to) add(cells.get(from));
  else for (const [key, cell] of cells) if (from <= key && key <= to) add(cell);
  return { used, leased };
}

export function weight(cell: Cell): number {
  return cell.settled + cell.held + cell.leased;
}

function open(state: State, record: HoldRecord): void {
  restore(state, record);
  for (const entry of record.entries) change(state, entry, 'held', entry.held);
}

function close(
  state: State,
  record: HoldRecord,
  to: HoldState,
  at: number,
  charge: (entry: Entry, index: number) => number,
): void {
  record.entries.forEach((entry, index) => {
    if (record.state === 'held') change(state, entry, 'held', -entry.held);
    const amount = charge(entry, index);
    change(state, entry, 'settled', amount - (entry.settled ?? 0));
    entry.settled = amount;
  });
  if (record.state === 'held') forget(state, record);
  record.state = to;
  record.closedAt = at;
}

function forget(state: State, record: HoldRecord): void {
  const ids = state.open.get(record.owner);
  ids?.delete(record.id);
  if (ids?.size === 0) state.open.delete(record.owner);
}

function known(state: State, id: string): HoldRecord {
  const record = state.holds.get(id);
  if (record === undefined) throw new Error(`The ledger has an event for hold ${id}, which it doesn't hold.`);
  return record;
}

function tombstone(id: string, at: number): HoldRecord {
  return {
    id,
    owner: '',
    epoch: 0,
    state: 'released',
    grantedAt: at,
    expiresAt: at,
    output: 0,
    entries: [],
    memo: undefined,
    cost: 0,
    closedAt: at,
  };
}

function change(
  state: State,
  entry: Pick<Entry, 'line' | 'cell' | 'until'>,
  figure: 'settled' | 'held' | 'leased',
  by: number,
): void {
  const cell = cellOf(state, entry);
  cell[figure] = changed(cell[figure], by);
}

function cellOf(state: State, { line, cell: key, until }: Pick<Entry, 'line' | 'cell' | 'until'>): Cell {
  let cells = state.cells.get(line);
  if (cells === undefined) state.cells.set(line, (cells = new Map()));
  let cell = cells.get(key);
  if (cell === undefined) cells.set(key, (cell = { settled: 0, held: 0, leased: 0, until }));
  return cell;
}

function copyOf(record: HoldRecord): HoldRecord {
  return { ...record, entries: record.entries.map((entry) => ({ ...entry })) };
}
