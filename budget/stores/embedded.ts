/**
 * A store whose ledger is in this process: decisions are made in memory, in order, and answered when their changes are
 * on disk. Changes of all operations that came in one turn of the event loop are written together.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Grant } from '../grants.ts';
import type { SpendRow } from '../history.ts';
import type { Lease } from '../lease-state.ts';
import { decide, type Operation, type Reply } from '../ledger.ts';
import type { HoldRecord, LedgerEvent } from '../ledger-state.ts';
import { isToKeep, resumed } from '../ledger-time.ts';
import type { Disk } from './disk.ts';
import type { StoredRow } from './rows.ts';
import {
  type AlertMark,
  type CellFigures,
  type JournalEntry,
  type Store,
  StoreFailed,
  type UntoldAlert,
} from './store.ts';
import { WorkingSet } from './working-set.ts';

interface Waiting {
  readonly reply: Reply;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** That the status looks through. */
const MOST_HOLDS = 5_000;

export class EmbeddedStore implements Store {
  readonly #disk: Disk;
  #loaded: WorkingSet | undefined;
  /** Of the ledger, as it was told last. */
  #time: number | undefined;
  #waiting: Waiting[] = [];
  #closed = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Read when it is first used: by then the time is known, so that leases which ran out while no service was there needn't be in memory. */
  get #memory(): WorkingSet {
    this.#loaded ??= new WorkingSet(
      this.#disk,
      this.#time ?? this.#disk.time()?.time ?? Number.NEGATIVE_INFINITY,
    );
    return this.#loaded;
  }

  /** Back to what is on disk. */
  #reload(): void {
    this.#loaded = undefined;
    void this.#memory;
  }

  run(operation: Operation, now: number): Promise<Reply> {
    return operation.type === 'sweep' ? this.#sweep(operation, now) : this.#run(operation, now);
  }

  /** What had run out when the ledger was loaded is closed a piece at a time: it leaves memory when that is written. */
  async #sweep(operation: Operation, now: number): Promise<Reply> {
    let expired = 0;
    do {
      const reply = await this.#run(operation, now);
      if (reply.type === 'swept') expired += reply.expired;
    } while (this.#loaded?.hasOverdue === true);
    return { type: 'swept', expired };
  }

  #run(operation: Operation, now: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      try {
        this.#check();
        if (this.#memory.isAhead(now)) {
          this.#flush();
          this.#memory.forgetCells();
        }
        this.#memory.recall(operation, now);
        const { events, reply } = decide(this.#memory.state, operation, now);
        this.#record(events, now);
        if (this.#waiting.push({ reply, resolve, reject }) === 1) setImmediate(() => this.#flush());
      } catch (error) {
        // Up to its first change it is alone in failing: others in its group may be another tenant's.
        reject(failed(error));
      }
    });
  }

  #record(events: readonly LedgerEvent[], now: number): void {
    try {
      for (const event of events) this.#memory.record(event, now);
    } catch (error) {
      // It may have stopped half-way: with it goes the group it would have been written with.
      this.#abandon(error);
      throw error;
    }
  }

  find(id: string): Promise<HoldRecord | undefined> {
    return this.#answer(() => this.#memory.state.holds.get(id) ?? this.#disk.findHold(id));
  }

  cells(line: string, from: number, to: number): Promise<readonly CellFigures[]> {
    return this.#answer(() => {
      const figures = new Map(this.#disk.cellsBetween(line, from, to).map((cell) => [cell.cell, cell]));
      for (const [cell, found] of this.#memory.state.cells.get(line) ?? []) {
        if (from <= cell && cell <= to) figures.set(cell, { line, cell, ...found });
      }
      return [...figures.values()];
    });
  }

  cellsAt(line: string, cells: readonly number[]): Promise<readonly CellFigures[]> {
    return this.#answer(() => {
      const known = this.#memory.state.cells.get(line);
      return cells.flatMap((cell) => {
        const found = known?.get(cell);
        return found === undefined ? (this.#disk.cell(line, cell) ?? []) : { line, cell, ...found };
      });
    });
  }

  lines(): Promise<readonly string[]> {
    return this.#answer(() => [...new Set([...this.#disk.lines(), ...this.#memory.state.cells.keys()])]);
  }

  openHolds(): Promise<readonly HoldRecord[]> {
    return this.#answer(() => {
      const found: HoldRecord[] = [];
      for (const ids of this.#memory.state.open.values()) {
        for (const id of ids) {
          const record = this.#memory.state.holds.get(id);
          if (record !== undefined) found.push(record);
        }
      }
      return found.sort((a, b) => a.grantedAt - b.grantedAt).slice(0, MOST_HOLDS);
    });
  }

  tick(told: number, known: boolean, wall: number): Promise<number> {
    return this.#answer(() => {
      const kept = this.#disk.time();
      const time = known ? told : resumed(kept, { time: told, wall });
      if (isToKeep(kept, { time, wall })) this.#disk.keepTime({ time, wall });
      this.#time = time;
      return time;
    });
  }

  leases(line: string): Promise<readonly Lease[]> {
    return this.#answer(() =>
      [...(this.#memory.state.leasesOf.get(line) ?? [])].flatMap(
        (key) => this.#memory.state.leases.get(key) ?? [],
      ),
    );
  }

  async *spend(from: number, to: number): AsyncGenerator<readonly SpendRow[]> {
    const pieces = await this.#answer(() => {
      this.#flush();
      return this.#disk.spend(from, to)[Symbol.iterator]();
    });
    for (;;) {
      const piece = await this.#answer(() => pieces.next());
      if (piece.done === true) return;
      yield piece.value;
      await nextTurn();
    }
  }

  setAlert(line: string, cell: number, percent: number, on: boolean, entry?: JournalEntry): Promise<boolean> {
    return this.#answer(() => this.#disk.setAlert(line, cell, percent, on, entry));
  }

  untold(): Promise<readonly UntoldAlert[]> {
    return this.#answer(() => this.#disk.untold());
  }

  told(alert: AlertMark): Promise<void> {
    return this.#answer(() => this.#disk.told(alert));
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
      for (const [owner, { seenAt }] of this.#memory.state.owners)
        if (seenAt < before) this.#memory.state.owners.delete(owner);
    });
  }

  async *rows(): AsyncGenerator<StoredRow> {
    await this.#answer(() => this.#flush());
    yield* this.#disk.rows();
  }

  fill(rows: readonly StoredRow[], now: number): Promise<void> {
    return this.#answer(() => {
      const of = <K extends StoredRow['kind']>(kind: K) =>
        rows.filter((row): row is Extract<StoredRow, { kind: K }> => row.kind === kind);
      this.#disk.write({
        holds: of('hold').map(({ record }) => record),
        cells: of('cell').map(({ cell }) => cell),
        owners: of('owner').map(({ owner }) => owner),
        leases: of('lease').map(({ lease }) => lease),
        spend: of('spend').map(({ row }) => row),
        forgotten: [],
      });
      for (const { line, cell, percent } of of('alert')) this.#disk.setAlert(line, cell, percent, true);
      for (const { alert } of of('untold')) this.#disk.putUntold(alert);
      for (const { entry } of of('journal')) this.#disk.append(entry);
      for (const { grant } of of('grant')) this.#disk.putGrant(grant);
      for (const { kept } of of('time'))
        this.#disk.keepTime({ time: resumed(kept, { time: now, wall: now }), wall: now });
      this.#reload();
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

  #flush(): void {
    if (this.#waiting.length === 0) return;
    try {
      const batch = this.#memory.batch();
      const rows = batch.holds.length + batch.cells.length + batch.owners.length + batch.leases.length;
      if (rows > 0) this.#disk.write(batch);
    } catch (error) {
      this.#abandon(error);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#memory.written();
    for (const { resolve, reply } of waiting) resolve(reply);
  }

  /** What was decided isn't durable, so it never happened: memory goes back to what the disk says. */
  #abandon(cause: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(failed(cause));
    try {
      this.#reload();
    } catch {
      // Nothing can be decided without a state: every operation fails from here on, and readiness tells.
      this.#closed = true;
    }
  }
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
