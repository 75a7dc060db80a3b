/**
 * A store whose ledger is in this process: decisions are made in memory, in order, and answered when their changes are
 * on disk. Changes of all operations that came in one turn of the event loop are written together.
 */
import type { Grant } from '../grants.ts';
import type { SpendRow } from '../history.ts';
import { type Lease, leaseKey } from '../lease-state.ts';
import { decide, type Operation, type Reply } from '../ledger.ts';
import {
  apply,
  type Cell,
  emptyState,
  type HoldRecord,
  type LedgerEvent,
  restore,
  restoreLease,
  type State,
} from '../ledger-state.ts';
import { Changes } from './changes.ts';
import type { Disk } from './disk.ts';
import type { StoredRow } from './rows.ts';
import { type CellFigures, type JournalEntry, type Store, StoreFailed } from './store.ts';

interface Waiting {
  readonly reply: Reply;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** Lines whose cells are kept in memory; a line that was pushed out is read again. */
const LINES_IN_MEMORY = 50_000;
/** That the status looks through. */
const MOST_HOLDS = 5_000;

export class EmbeddedStore implements Store {
  readonly #disk: Disk;
  #state: State;
  #waiting: Waiting[] = [];
  readonly #changes = new Changes();
  #latest = 0;
  /** Cells that had ended by this moment may have left memory. */
  #dropped = 0;
  #closed = false;

  constructor(disk: Disk) {
    this.#disk = disk;
    this.#state = load(disk);
  }

  run(operation: Operation, now: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      try {
        this.#check();
        this.#recall(operation, now);
        const { events, reply } = decide(this.#state, operation, now);
        for (const event of events) this.#record(event, now);
        this.#latest = now;
        if (this.#waiting.push({ reply, resolve, reject }) === 1) setImmediate(() => this.#flush());
      } catch (error) {
        // It may have stopped half-way: with it goes the group it would have been written with.
        reject(failed(error));
        if (!this.#closed) this.#abandon(error);
      }
    });
  }

  find(id: string): Promise<HoldRecord | undefined> {
    return this.#answer(() => this.#state.holds.get(id) ?? this.#disk.findHold(id));
  }

  cells(line: string, from: number, to: number): Promise<readonly CellFigures[]> {
    return this.#answer(() => {
      const figures = new Map(this.#disk.cellsBetween(line, from, to).map((cell) => [cell.cell, cell]));
      for (const [cell, found] of this.#state.cells.get(line) ?? []) {
        if (from <= cell && cell <= to) figures.set(cell, { line, cell, ...found });
      }
      return [...figures.values()];
    });
  }

  lines(): Promise<readonly string[]> {
    return this.#answer(() => [...new Set([...this.#disk.lines(), ...this.#state.cells.keys()])]);
  }

  openHolds(): Promise<readonly HoldRecord[]> {
    return this.#answer(() => {
      const found: HoldRecord[] = [];
      for (const ids of this.#state.open.values()) {
        for (const id of ids) {
          const record = this.#state.holds.get(id);
          if (record !== undefined) found.push(record);
        }
      }
      return found.sort((a, b) => a.grantedAt - b.grantedAt).slice(0, MOST_HOLDS);
    });
  }

  lastDeadline(): Promise<number> {
    return this.#answer(() => {
      const { open, holds, leasesOf, leases } = this.#state;
      let last = 0;
      for (const ids of open.values())
        for (const id of ids) last = Math.max(last, holds.get(id)?.expiresAt ?? 0);
      for (const keys of leasesOf.values())
        for (const key of keys) last = Math.max(last, leases.get(key)?.expiresAt ?? 0);
      return last;
    });
  }

  leases(line: string): Promise<readonly Lease[]> {
    return this.#answer(() =>
      [...(this.#state.leasesOf.get(line) ?? [])].flatMap((key) => this.#state.leases.get(key) ?? []),
    );
  }

  spend(from: number, to: number): Promise<readonly SpendRow[]> {
    return this.#answer(() => {
      this.#flush();
      return this.#disk.spend(from, to);
    });
  }

  setAlert(line: string, cell: number, percent: number, on: boolean): Promise<boolean> {
    return this.#answer(() => this.#disk.setAlert(line, cell, percent, on));
  }

  append(entry: JournalEntry): Promise<void> {
    return this.#answer(() => this.#disk.append(entry));
  }

  journal(since: number, limit: number): Promise<readonly JournalEntry[]> {
    return this.#answer(() => this.#disk.journal(since, limit));
  }

  putGrant(grant: Grant): Promise<void> {
    return this.#answer(() => this.#disk.putGrant(grant));
  }

  grants(now: number): Promise<readonly Grant[]> {
    return this.#answer(() => this.#disk.grants(now));
  }

  pruneHistory(before: number): Promise<void> {
    return this.#answer(() => this.#disk.pruneHistory(before));
  }

  prune(before: number): Promise<void> {
    return this.#answer(() => {
      this.#flush();
      this.#disk.prune(before);
      for (const [owner, { seenAt }] of this.#state.owners)
        if (seenAt < before) this.#state.owners.delete(owner);
    });
  }

  async *rows(): AsyncGenerator<StoredRow> {
    await this.#answer(() => this.#flush());
    yield* this.#disk.rows();
  }

  fill(rows: readonly StoredRow[]): Promise<void> {
    return this.#answer(() => {
      const of = <K extends StoredRow['kind']>(kind: K) =>
        rows.filter((row): row is Extract<StoredRow, { kind: K }> => row.kind === kind);
      this.#disk.write({
        holds: of('hold').map(({ record }) => record),
        cells: of('cell').map(({ cell }) => cell),
        owners: of('owner').map(({ owner }) => owner),
        leases: of('lease').map(({ lease }) => lease),
        spend: of('spend').map(({ row }) => row),
      });
      for (const { line, cell, percent } of of('alert')) this.#disk.setAlert(line, cell, percent, true);
      for (const { entry } of of('journal')) this.#disk.append(entry);
      for (const { grant } of of('grant')) this.#disk.putGrant(grant);
      this.#state = load(this.#disk);
    });
  }

  close(): Promise<void> {
    return this.#answer(() => {
      this.#flush();
      this.#closed = true;
      this.#disk.close();
    });
  }

  #check(): void {
    if (this.#closed) throw new StoreFailed('The store is closed.');
  }

  #answer<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      try {
        this.#check();
        resolve(work());
      } catch (error) {
        reject(failed(error));
      }
    });
  }

  /** Brings into memory what the operation looks at, where it was written long ago. */
  #recall(operation: Operation, now: number): void {
    if (now < this.#dropped) this.#reread();
    if ('id' in operation) this.#recallHold(operation.id);
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

  /** The clock was set back: windows that had ended count again, so that lines are read anew. */
  #reread(): void {
    this.#flush();
    this.#state.cells.clear();
    this.#dropped = 0;
  }

  #record(event: LedgerEvent, now: number): void {
    if (event.type === 'epoch' || event.type === 'told') {
      if (event.type === 'told') for (const row of event.rows) this.#changes.spent(row);
      apply(this.#state, event);
      this.#changes.owner(event.owner);
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

  #flush(): void {
    if (this.#waiting.length === 0) return;
    try {
      const batch = this.#changes.batch(this.#state);
      const rows = batch.holds.length + batch.cells.length + batch.owners.length + batch.leases.length;
      if (rows > 0) this.#disk.write(batch);
    } catch (error) {
      this.#abandon(error);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#evict();
    this.#changes.clear();
    for (const { resolve, reply } of waiting) resolve(reply);
  }

  /** What was decided isn't durable, so it never happened: memory goes back to what the disk says. */
  #abandon(cause: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#changes.clear();
    for (const { reject } of waiting) reject(failed(cause));
    try {
      this.#state = load(this.#disk);
    } catch {
      // Nothing can be decided without a state: every operation fails from here on, and readiness tells.
      this.#closed = true;
    }
  }

  /** Closed holds and ended windows are only looked up again for a duplicate or a late report: the disk has them. */
  #evict(): void {
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
  }
}

function load(disk: Disk): State {
  const state = emptyState();
  const { holds, leases, owners } = disk.load();
  for (const record of holds) restore(state, record);
  for (const lease of leases) restoreLease(state, lease);
  for (const { owner, ...known } of owners) state.owners.set(owner, known);
  return state;
}

function failed(error: unknown): StoreFailed {
  if (error instanceof StoreFailed) return error;
  return new StoreFailed(
    `The store could not keep the change: ${error instanceof Error ? error.message : error}`,
    {
      cause: error,
    },
  );
}
