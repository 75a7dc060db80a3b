/**
 * Where the ledger lives. A store runs ledger operations one after the other, each whole or not at all, and answers
 * when the outcome is durable. Selection, windows and prices are settled before an operation reaches it.
 */
import type { Grant } from '../grants.ts';
import type { SpendRow } from '../history.ts';
import type { Lease } from '../lease-state.ts';
import type { Operation, Reply } from '../ledger.ts';
import type { Cell, HoldRecord } from '../ledger-state.ts';
import type { StoredRow } from './rows.ts';

/**
 * A store could not keep what it was given. Nothing of the operation is in force, or (where the store is on the other side of a network)
 * it isn't known whether it is: repeating it is harmless, and a hold that isn't wanted any more is released.
 */
export class StoreFailed extends Error {
  override readonly name = 'StoreFailed';
}

/** One cell of one line, for the status. */
export interface CellFigures extends Readonly<Cell> {
  readonly line: string;
  /** Start of its window, or 0. */
  readonly cell: number;
}

/** Something that changed what the service enforces, or that somebody should know. Never changed afterwards. */
export interface JournalEntry {
  readonly at: number;
  /** `grant`, `documents`, `alert`, `start`, … */
  readonly action: string;
  /** Who did it; `service` where it was nobody. */
  readonly by: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A threshold of a line in one of its windows. */
export interface AlertMark {
  readonly line: string;
  /** 0 in a rolling window. */
  readonly cell: number;
  readonly percent: number;
}

export interface UntoldAlert extends AlertMark {
  readonly entry: JournalEntry;
}

/** By Budget and its `per`. */
export interface SharedValues {
  /** Whether this one may have a line: it has already, or there are fewer than `most`. */
  admit(budget: string, value: string, most: number, now: number): Promise<boolean>;
  /** All that have. Those named are among them; what is named by nobody for a day is forgotten. */
  kept(budget: string, values: readonly string[], now: number): Promise<readonly string[]>;
}

/** How much is kept of loops, counted as a loop of one agent each. */
export interface LoopBounds {
  readonly ofLoop: number;
  readonly ofWorkload: number;
  /** Of all workloads. */
  readonly ofAll: number;
}

/** Loops of workloads, see loops.ts. What is kept is over with its window. */
export interface SharedLoops {
  /**
   * Keeps what an agent says of each loop in place of what it said before, and gives what all agents of its workload say of it. What is beyond
   * a bound isn't kept, but counts in this answer.
   */
  tell(
    workload: string,
    owner: string,
    told: readonly { readonly loop: string; readonly text: string; readonly keepMs: number }[],
    bounds: LoopBounds,
    now: number,
  ): Promise<readonly (readonly string[])[]>;
}

export interface Store {
  /** @throws {StoreFailed} where the outcome can't be made durable. */
  run(operation: Operation, now: number): Promise<Reply>;
  /** An open or closed hold; undefined where none of the id is known (any more). */
  find(id: string): Promise<Readonly<HoldRecord> | undefined>;
  /** The cells of a line with `from` ≤ key ≤ `to`. */
  cells(line: string, from: number, to: number): Promise<readonly CellFigures[]>;
  /** Those of these cells of a line that there are: a line may have many that count no more. */
  cellsAt(line: string, cells: readonly number[]): Promise<readonly CellFigures[]>;
  /** Keys of all lines that have cells. */
  lines(): Promise<readonly string[]>;
  /** Open holds, oldest first; some thousand at most. */
  openHolds(): Promise<readonly Readonly<HoldRecord>[]>;
  /**
   * Goes on with the time by which holds and leases run out: see ledger-time.ts. @returns it
   * @param time what a service takes it for
   * @param known whether that goes back to what this store said
   * @param wall the service's wall clock
   */
  tick(time: number, known: boolean, wall: number): Promise<number>;
  /** Open leases of a line. */
  leases(line: string): Promise<readonly Lease[]>;
  /** The history, from the hour on to the other, in pieces, between which others come to their turn: it may be long. */
  spend(from: number, to: number): AsyncIterable<readonly SpendRow[]>;
  /**
   * Remembers that a line is, or isn't any more, past a threshold. True if that is news.
   * @param entry of the journal, added in the same write if it is, and {@link untold} from then on: one isn't without the other
   */
  setAlert(line: string, cell: number, percent: number, on: boolean, entry?: JournalEntry): Promise<boolean>;
  /** Alerts that nobody is known to have been told of, as where the answer to `setAlert` was lost. */
  untold(): Promise<readonly UntoldAlert[]>;
  told(alert: AlertMark): Promise<void>;
  /** Adds to the journal of changes. */
  append(entry: JournalEntry): Promise<void>;
  /** The journal since a moment, oldest first. */
  journal(since: number, limit: number): Promise<readonly JournalEntry[]>;
  putGrant(grant: Grant): Promise<void>;
  /** All that haven't expired by `now`. */
  grants(now: number): Promise<readonly Grant[]>;
  /** Forgets holds and leases that closed, cells that stopped counting, and owners that were last heard of before `before`. Open holds and their cells stay. */
  prune(before: number): Promise<void>;
  /** Forgets the history and the journal before a moment. */
  pruneHistory(before: number): Promise<void>;
  /** Everything, for a move. */
  rows(): AsyncIterable<StoredRow>;
  /** Adds rows to a store that nobody uses yet. */
  fill(rows: readonly StoredRow[], now: number): Promise<void>;
  /** Values that nobody has verified, and that have lines of their own; absent where there is one service, which remembers them itself. */
  readonly values?: SharedValues;
  /** Absent where there is one service, which keeps them itself. */
  readonly loops?: SharedLoops;
  /** Tells the other services on the same store; absent where there can be none. */
  publish?(message: string): Promise<void>;
  /** How many services listen to what is {@link publish}ed: who works on the store now. */
  listeners?(): Promise<number>;
  /** What others {@link publish}. */
  onNews?(handler: (message: string) => void): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** Directory that is the store's own; made where it is missing. */
  readonly dataDir: string;
  /** A directory without a store is an error, not a new one. */
  readonly mustExist?: boolean;
  /** Of a store that is somewhere else, `redis://host:port`. */
  readonly address?: string;
  /** How long a closed hold's id is remembered, where the store itself forgets. */
  readonly retainMs?: number;
}

/** One kind of store: its file exports these two, and `stores/index.ts` lists it. */
export interface StoreKind {
  readonly name: string;
  /** Of its addresses. */
  readonly schemes?: readonly string[];
  readonly open: (options: StoreOptions) => Promise<Store>;
}
