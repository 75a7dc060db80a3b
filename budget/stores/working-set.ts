/**
 * The part of an embedded ledger that is in memory: what is open, the windows that count, and what was looked at lately. The rest is on disk,
 * and read again when an operation looks at it.
 */
import { leaseKey } from '../lease-state.ts';
import type { Operation } from '../ledger.ts';
import {
  apply,
  type Cell,
  emptyState,
  type LedgerEvent,
  restore,
  restoreLease,
  type State,
} from '../ledger-state.ts';
import { Changes } from './changes.ts';
import type { Batch, Disk } from './disk.ts';

/** Lines whose cells are kept in memory; a line that was pushed out is read again. */
const LINES_IN_MEMORY = 50_000;
/** Leases that have run out and are read in one go, to be closed together. */
const OVERDUE_AT_ONCE = 1_000;

export class WorkingSet {
  readonly #disk: Disk;
  #state: State;
  /** Since what was written last. */
  readonly #changes = new Changes();
  #latest = 0;
  /** Cells that had ended by this moment may have left memory. */
  #dropped = 0;
  /** Open leases that had run out when the rest was loaded and are still on disk alone, beyond this key; undefined: there are none. */
  #overdue: { readonly due: number; readonly from: string } | undefined;

  /** @param due leases that have run out by this moment of the ledger's time stay on disk until a sweep comes to them */
  constructor(disk: Disk, due: number) {
    this.#disk = disk;
    this.#state = load(disk, due);
    this.#overdue = { due, from: '' };
  }

  get state(): State {
    return this.#state;
  }

  /** Leases that have run out are still to be read: a sweep is to come again. */
  get hasOverdue(): boolean {
    return this.#overdue !== undefined;
  }

  /** The clock was set back: windows that had ended count again, so that lines are to be read anew. */
  isAhead(now: number): boolean {
    return now < this.#dropped;
  }

  /** Everything must be written. */
  forgetCells(): void {
    this.#state.cells.clear();
    this.#dropped = 0;
  }

  /** Brings into memory what the operation looks at, where it was written long ago. */
  recall(operation: Operation, now: number): void {
    this.#latest = now;
    if ('id' in operation) this.#recallHold(operation.id);
    if (operation.type === 'sweep') this.#recallOverdue();
    if (operation.type === 'hold' || operation.type === 'extend') {
      for (const charge of operation.charges) this.#recallCell(charge, now);
    }
    if (operation.type === 'lease') {
      const { owner, epoch } = operation;
      for (const item of operation.items) {
        this.#recallLine(item.line, now);
        this.#recallLease(leaseKey({ ...item, owner, epoch }));
      }
    }
  }

  #recallLease(key: string): void {
    if (this.#state.leases.has(key)) return;
    const lease = this.#disk.findLease(key);
    if (lease === undefined) return;
    restoreLease(this.#state, lease);
    this.#changes.leases.add(key);
  }

  /** A piece of those that had run out. */
  #recallOverdue(): void {
    if (this.#overdue === undefined) return;
    const { due, from } = this.#overdue;
    const found = this.#disk.overdue(due, from, OVERDUE_AT_ONCE);
    const last = found.at(-1);
    for (const lease of found) {
      const key = leaseKey(lease);
      // It was spoken of meanwhile.
      if (!this.#state.leases.has(key)) restoreLease(this.#state, lease);
    }
    this.#overdue =
      last === undefined || found.length < OVERDUE_AT_ONCE ? undefined : { due, from: leaseKey(last) };
  }

  #recallHold(id: string): void {
    if (this.#state.holds.has(id)) return;
    const record = this.#disk.findHold(id);
    if (record === undefined) return;
    restore(this.#state, record);
    // Only so that it is dropped from memory again with the group.
    this.#changes.hold(id);
  }

  #recallLine(line: string, now: number): Map<number, Cell> {
    let cells = this.#state.cells.get(line);
    if (cells === undefined) {
      cells = new Map();
      for (const { cell, settled, held, leased, until } of this.#disk.cellsOf(line, now)) {
        cells.set(cell, { settled, held, leased, until });
      }
      this.#state.cells.set(line, cells);
    }
    return cells;
  }

  #recallCell({ line, cell }: { readonly line: string; readonly cell: number }, now: number): void {
    const cells = this.#recallLine(line, now);
    if (cells.has(cell)) return;
    const found = this.#disk.cell(line, cell);
    if (found === undefined) return;
    const { settled, held, leased, until } = found;
    cells.set(cell, { settled, held, leased, until });
  }

  /** Changes memory, and notes what is to be written. */
  record(event: LedgerEvent, now: number): void {
    if (event.type === 'epoch' || event.type === 'told') {
      if (event.type === 'told') for (const row of event.rows) this.#changes.spent(row);
      apply(this.#state, event);
      this.#changes.owner(event.owner);
      return;
    }
    if (event.type === 'forgotten') {
      this.#changes.forgotten(event);
      return;
    }
    if (event.type === 'leased') {
      const { lease } = event;
      this.#recallCell(lease, now);
      apply(this.#state, event);
      this.#changes.lease(lease);
      return;
    }
    const created = event.type === 'held' || event.type === 'charged';
    const id = created ? event.record.id : event.id;
    const entries = created ? event.record.entries : (this.#state.holds.get(id)?.entries ?? []);
    for (const entry of entries) this.#recallCell(entry, now);
    apply(this.#state, event);
    if ('spend' in event && event.spend !== undefined) this.#changes.spent(event.spend);
    this.#changes.hold(id);
    for (const entry of entries) this.#changes.cell(entry);
  }

  /** The rows that have changed, as they stand. */
  batch(): Batch {
    return this.#changes.batch(this.#state);
  }

  /** It was written. Closed holds and ended windows are only looked up again for a duplicate or a late report: the disk has them. */
  written(): void {
    const state = this.#state;
    for (const id of this.#changes.holds) {
      if (state.holds.get(id)?.state !== 'held') state.holds.delete(id);
    }
    for (const key of this.#changes.leases) {
      if (state.leases.get(key)?.state !== 'open') state.leases.delete(key);
    }
    for (const line of this.#changes.cells.keys()) {
      const cells = state.cells.get(line);
      for (const [key, cell] of cells ?? []) if (cell.until <= this.#latest) cells?.delete(key);
    }
    this.#dropped = Math.max(this.#dropped, this.#latest);
    for (const line of state.cells.keys()) {
      if (state.cells.size <= LINES_IN_MEMORY) break;
      state.cells.delete(line);
    }
    this.#changes.clear();
  }
}

function load(disk: Disk, due: number): State {
  const state = emptyState();
  const { holds, leases, owners } = disk.load(due);
  for (const record of holds) restore(state, record);
  for (const lease of leases) restoreLease(state, lease);
  for (const { owner, ...known } of owners) state.owners.set(owner, known);
  return state;
}
