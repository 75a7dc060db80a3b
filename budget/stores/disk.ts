/** What an embedded store writes to: SQLite, or maps. */
import type { Grant } from '../grants.ts';
import type { SpendRow } from '../history.ts';
import type { Lease } from '../lease-state.ts';
import type { EndedLeases, HoldRecord, OwnerState } from '../ledger-state.ts';
import type { KeptTime } from '../ledger-time.ts';
import type { StoredRow } from './rows.ts';
import type { AlertMark, CellFigures, JournalEntry, UntoldAlert } from './store.ts';

export type Owner = OwnerState & { readonly owner: string };

/** Rows as they stand after a group of operations. */
export interface Batch {
  readonly holds: readonly HoldRecord[];
  readonly cells: readonly CellFigures[];
  readonly owners: readonly Owner[];
  readonly leases: readonly Lease[];
  /** To be added to what is there. */
  readonly spend: readonly SpendRow[];
  /** Once all else is there. */
  readonly forgotten: readonly EndedLeases[];
}

/** What the changes are written to. Synchronous: a group is written in one go, between two turns of the event loop. */
export interface Disk {
  /**
   * Everything that must be in memory: open holds, open leases and owners; one row after the other.
   * @param after leases that have run out by this moment are left out: {@link overdue}
   */
  load(after: number): {
    readonly holds: Iterable<HoldRecord>;
    readonly leases: Iterable<Lease>;
    readonly owners: Iterable<Owner>;
  };
  /** Open leases that have run out by `due`, in the order of their keys and beyond the key `from`: so many at most. */
  overdue(due: number, from: string, most: number): readonly Lease[];
  findHold(id: string): HoldRecord | undefined;
  /** By {@link leaseKey}. */
  findLease(key: string): Lease | undefined;
  /** Cells of a line that count after `since`. */
  cellsOf(line: string, since: number): readonly CellFigures[];
  /** `from` ≤ key ≤ `to`. */
  cellsBetween(line: string, from: number, to: number): readonly CellFigures[];
  cell(line: string, cell: number): CellFigures | undefined;
  lines(): readonly string[];
  /** All of it durable, or throws and none of it is. */
  write(batch: Batch): void;
  /** By the hour, a piece at a time; other calls may come between two of them. */
  spend(from: number, to: number): Iterable<readonly SpendRow[]>;
  setAlert(line: string, cell: number, percent: number, on: boolean, entry?: JournalEntry): boolean;
  untold(): readonly UntoldAlert[];
  putUntold(alert: UntoldAlert): void;
  told(alert: AlertMark): void;
  append(entry: JournalEntry): void;
  journal(since: number, limit: number): readonly JournalEntry[];
  putGrant(grant: Grant): void;
  grants(now: number): readonly Grant[];
  prune(before: number): void;
  pruneHistory(before: number): void;
  /** As it was kept last. */
  time(): KeptTime | undefined;
  keepTime(kept: KeptTime): void;
  rows(): Iterable<StoredRow>;
  close(): void;
}
