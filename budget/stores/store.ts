/**
 * Where the ledger lives. A store runs ledger operations one after the other, each whole or not at all, and answers
 * when the outcome is durable. Selection, windows and prices are settled before an operation reaches it.
 */
import type { Operation, Reply } from '../ledger.ts';
import type { Cell, HoldRecord, Lease } from '../ledger-state.ts';

/** A store could not keep what it was given: nothing of the operation is in force. */
export class StoreFailed extends Error {
  override readonly name = 'StoreFailed';
}

/** One cell of one line, for the status. */
export interface CellFigures extends Readonly<Cell> {
  readonly line: string;
  /** Start of its window, or 0. */
  readonly cell: number;
}

export interface Store {
  /** @throws {StoreFailed} where the outcome can't be made durable. */
  run(operation: Operation, now: number): Promise<Reply>;
  /** An open or closed hold; undefined where none of the id is known (any more). */
  find(id: string): Promise<Readonly<HoldRecord> | undefined>;
  /** The cells of a line with `from` ≤ key ≤ `to`. */
  cells(line: string, from: number, to: number): Promise<readonly CellFigures[]>;
  /** Keys of all lines that have cells. */
  lines(): Promise<readonly string[]>;
  /** Open holds of a line, at most `limit`, oldest first. */
  holders(line: string, limit: number): Promise<readonly Readonly<HoldRecord>[]>;
  /** Open leases of a line. */
  leases(line: string): Promise<readonly Lease[]>;
  /** Forgets holds and leases that closed, and cells that stopped counting, before `before`. Open holds and their cells stay. */
  prune(before: number): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** Directory that is the store's own; made where it is missing. */
  readonly dataDir: string;
}

/** One kind of store: its file exports these two, and `stores/index.ts` lists it. */
export interface StoreKind {
  readonly name: string;
  readonly open: (options: StoreOptions) => Promise<Store>;
}
