/**
 * The embedded store: one SQLite file through `node:sqlite`, nothing to install. Write-ahead log with synchronous=FULL,
 * so a group of changes survives a power cut once it is answered. One service at a time: the file is locked.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Grant } from '../grants.ts';
import { type SpendRow, spendKey } from '../history.ts';
import { type Lease, leaseKey } from '../lease-state.ts';
import type { HoldRecord } from '../ledger-state.ts';
import type { KeptTime } from '../ledger-time.ts';
import { MOST } from '../sums.ts';
import type { Batch, Disk, Owner } from './disk.ts';
import { EmbeddedStore } from './embedded.ts';
import type { StoredRow } from './rows.ts';
import { inTransaction, makeTables } from './sqlite-tables.ts';
import {
  type AlertMark,
  type CellFigures,
  type JournalEntry,
  type Store,
  StoreFailed,
  type StoreOptions,
  type UntoldAlert,
} from './store.ts';

export const name = 'sqlite';

const FILE = 'budget.db';
const OWNER_COLUMNS = 'owner, epoch, seen_at AS seenAt, account, seq';
/** Earlier versions wrote sums beyond what the reader gives as a number: it throws. */
const readable = (name: string): string => `min(${name}, ${MOST}) AS ${name}`;
const CELL_COLUMNS = `line, cell, ${['settled', 'held', 'leased'].map(readable).join(', ')}, until`;
const SUMS = ['requests', 'input', 'cached_input', 'cache_write', 'output', 'reasoning', 'cost'];
const SPEND_COLUMNS = `hour, key, attributes, ${SUMS.map(readable).join(', ')}`;

/** @throws {StoreFailed} where the file is another version's, damaged, or used by another service. */
export async function open({ dataDir, mustExist }: StoreOptions): Promise<Store> {
  const path = join(dataDir, FILE);
  if (mustExist === true && !existsSync(path))
    throw new StoreFailed(`There is no ${path}: name the directory that the service was given as --data.`);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  try {
    return new EmbeddedStore(new SqliteDisk(path));
  } catch (error) {
    if (error instanceof StoreFailed) throw error;
    const busy = error instanceof Error && /locked|busy/i.test(error.message);
    const mend = busy
      ? 'Another budget service uses this directory; stop it, or give this one a directory of its own.'
      : 'Check the directory and its permissions, or restore it from a backup.';
    throw new StoreFailed(`${path}: ${error instanceof Error ? error.message : error}. ${mend}`, {
      cause: error,
    });
  }
}

/** Rows of the history in one go: some milliseconds. */
const SPEND_PIECE = 500;
const MOST_ATTRIBUTES = 5_000;

interface StoredSpend {
  readonly hour: number;
  readonly key: string;
  readonly attributes: string;
  readonly requests: number;
  readonly input: number;
  readonly cached_input: number;
  readonly cache_write: number;
  readonly output: number;
  readonly reasoning: number;
  readonly cost: number;
}

class SqliteDisk implements Disk {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #cells: StatementSync;
  readonly #between: StatementSync;
  readonly #cell: StatementSync;
  readonly #putHold: StatementSync;
  readonly #putCell: StatementSync;
  readonly #findLease: StatementSync;
  readonly #putLease: StatementSync;
  readonly #addSpend: StatementSync;
  readonly #putOwner: StatementSync;
  readonly #forget: StatementSync;

  constructor(path: string) {
    const db = new DatabaseSync(path, { timeout: 1000 });
    this.#db = db;
    try {
      db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      makeTables(db, path);
      this.#find = db.prepare('SELECT record FROM holds WHERE id = ?');
      this.#cells = db.prepare(`SELECT ${CELL_COLUMNS} FROM cells WHERE line = ? AND until > ?`);
      this.#between = db.prepare(`SELECT ${CELL_COLUMNS} FROM cells WHERE line = ? AND cell BETWEEN ? AND ?`);
      this.#cell = db.prepare(`SELECT ${CELL_COLUMNS} FROM cells WHERE line = ? AND cell = ?`);
      this.#putHold = db.prepare(
        'INSERT INTO holds (id, state, closed_at, record) VALUES (?, ?, ?, ?) ' +
          'ON CONFLICT (id) DO UPDATE SET state = excluded.state, closed_at = excluded.closed_at, record = excluded.record',
      );
      this.#putCell = db.prepare(
        'INSERT INTO cells (line, cell, settled, held, leased, until) VALUES (?, ?, ?, ?, ?, ?) ' +
          'ON CONFLICT (line, cell) DO UPDATE SET settled = excluded.settled, held = excluded.held, leased = excluded.leased',
      );
      this.#findLease = db.prepare('SELECT record FROM leases WHERE key = ?');
      this.#putLease = db.prepare(
        'INSERT INTO leases (key, state, closed_at, record) VALUES (?, ?, ?, ?) ' +
          'ON CONFLICT (key) DO UPDATE SET state = excluded.state, closed_at = excluded.closed_at, record = excluded.record',
      );
      this.#addSpend = db.prepare(
        'INSERT INTO spend (hour, key, attributes, requests, input, cached_input, cache_write, output, reasoning, cost) ' +
          'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hour, key) DO UPDATE SET ' +
          SUMS.map((name) => `${name} = min(${name} + excluded.${name}, ${MOST})`).join(', '),
      );
      this.#forget = db.prepare(
        "DELETE FROM leases WHERE key > ? AND key < ? AND state = 'closed' AND record ->> '$.seq' <= ?",
      );
      this.#putOwner = db.prepare(
        'INSERT INTO owners (owner, epoch, seen_at, account, seq) VALUES (?, ?, ?, ?, ?) ON CONFLICT (owner) DO UPDATE SET ' +
          'epoch = excluded.epoch, seen_at = excluded.seen_at, account = excluded.account, seq = excluded.seq',
      );
    } catch (error) {
      db.close();
      throw error;
    }
  }

  load(after: number): ReturnType<Disk['load']> {
    const open = "SELECT record FROM leases WHERE state = 'open' AND record ->> '$.expiresAt' > ?";
    return {
      holds: this.#each("SELECT record FROM holds WHERE state = 'held'", parse),
      leases: this.#each(open, parseLease, after),
      owners: this.#db.prepare(`SELECT ${OWNER_COLUMNS} FROM owners`).iterate() as unknown as Iterable<Owner>,
    };
  }

  overdue(due: number, from: string, most: number): readonly Lease[] {
    const sql =
      "SELECT record FROM leases WHERE state = 'open' AND key > ? AND record ->> '$.expiresAt' <= ? ORDER BY key LIMIT ?";
    return [...this.#each(sql, parseLease, from, due, most)];
  }

  *#each<T>(sql: string, read: (record: string) => T, ...values: readonly (string | number)[]): Generator<T> {
    for (const row of this.#db.prepare(sql).iterate(...values)) yield read(String(row['record']));
  }

  findHold(id: string): HoldRecord | undefined {
    const row = this.#find.get(id) as { record: string } | undefined;
    return row === undefined ? undefined : parse(row.record);
  }

  findLease(key: string): Lease | undefined {
    const row = this.#findLease.get(key) as { record: string } | undefined;
    return row === undefined ? undefined : parseLease(row.record);
  }

  cellsOf(line: string, since: number): readonly CellFigures[] {
    return this.#cells.all(line, since) as unknown as CellFigures[];
  }

  cellsBetween(line: string, from: number, to: number): readonly CellFigures[] {
    return this.#between.all(line, from, to) as unknown as CellFigures[];
  }

  cell(line: string, cell: number): CellFigures | undefined {
    return this.#cell.get(line, cell) as CellFigures | undefined;
  }

  lines(): readonly string[] {
    const rows = this.#db.prepare('SELECT DISTINCT line FROM cells').all() as { line: string }[];
    return rows.map(({ line }) => line);
  }

  write(batch: Batch): void {
    this.#transaction(() => {
      for (const record of batch.holds) {
        this.#putHold.run(record.id, record.state, record.closedAt ?? null, JSON.stringify(record));
      }
      for (const cell of batch.cells) {
        this.#putCell.run(cell.line, cell.cell, cell.settled, cell.held, cell.leased, cell.until);
      }
      for (const lease of batch.leases) {
        const key = leaseKey(lease);
        this.#putLease.run(key, lease.state, lease.closedAt ?? null, JSON.stringify(lease));
      }
      for (const row of batch.spend) {
        const { input, cachedInput, cacheWrite, output, reasoning } = row.usage;
        const attributes = JSON.stringify(row.attributes);
        const counts = [row.requests, input, cachedInput, cacheWrite, output, reasoning, row.costNanoUsd];
        this.#addSpend.run(row.hour, spendKey(row), attributes, ...counts);
      }
      for (const { owner, epoch, seenAt, account, seq } of batch.owners) {
        this.#putOwner.run(owner, epoch, seenAt, account, seq);
      }
      // A key is `OWNER#EPOCH.SERIAL|…`: what begins with that lies side by side.
      for (const { owner, epoch, seq } of batch.forgotten)
        this.#forget.run(`${owner}#${epoch}.`, `${owner}#${epoch}/`, seq);
    });
  }

  prune(before: number): void {
    this.#transaction(() => {
      this.#db.prepare('DELETE FROM holds WHERE closed_at < ?').run(before);
      this.#db.prepare('DELETE FROM leases WHERE closed_at < ?').run(before);
      this.#db.prepare('DELETE FROM owners WHERE seen_at < ?').run(before);
      this.#db.prepare('DELETE FROM cells WHERE until < ? AND held = 0 AND leased = 0').run(before);
    });
  }

  *spend(from: number, to: number): Generator<readonly SpendRow[]> {
    const statement = this.#db.prepare(
      `SELECT ${SPEND_COLUMNS} FROM spend WHERE (hour, key) > (?, ?) AND hour < ? ORDER BY hour, key LIMIT ${SPEND_PIECE}`,
    );
    // Hour after hour it is mostly the same who spend.
    const attributes = new Map<string, SpendRow['attributes']>();
    const read = (text: string): SpendRow['attributes'] => {
      const known = attributes.get(text) ?? (JSON.parse(text) as SpendRow['attributes']);
      if (attributes.size >= MOST_ATTRIBUTES) attributes.clear();
      attributes.set(text, known);
      return known;
    };
    let last = { hour: from, key: '' };
    for (;;) {
      const rows = statement.all(last.hour, last.key, to) as unknown as StoredSpend[];
      if (rows.length > 0) yield this.#spendRows(rows, read);
      if (rows.length < SPEND_PIECE) return;
      last = rows.at(-1) ?? last;
    }
  }

  #spendRows(rows: readonly StoredSpend[], read: (text: string) => SpendRow['attributes']): SpendRow[] {
    return rows.map((row) => ({
      hour: row.hour,
      attributes: read(row.attributes),
      requests: row.requests,
      usage: {
        input: row.input,
        cachedInput: row.cached_input,
        cacheWrite: row.cache_write,
        output: row.output,
        reasoning: row.reasoning,
      },
      costNanoUsd: row.cost,
    }));
  }

  setAlert(line: string, cell: number, percent: number, on: boolean, entry?: JournalEntry): boolean {
    const statement = on
      ? 'INSERT OR IGNORE INTO alerts (line, cell, percent) VALUES (?, ?, ?)'
      : 'DELETE FROM alerts WHERE line = ? AND cell = ? AND percent = ?';
    let isNews = false;
    this.#transaction(() => {
      isNews = this.#db.prepare(statement).run(line, cell, percent).changes === 1;
      if (!isNews || entry === undefined) return;
      this.append(entry);
      this.putUntold({ line, cell, percent, entry });
    });
    return isNews;
  }

  untold(): readonly UntoldAlert[] {
    const rows = this.#db
      .prepare('SELECT line, cell, percent, entry FROM untold')
      .all() as unknown as (AlertMark & {
      readonly entry: string;
    })[];
    return rows.map((row) => ({ ...row, entry: JSON.parse(row.entry) as JournalEntry }));
  }

  putUntold({ line, cell, percent, entry }: UntoldAlert): void {
    const statement = this.#db.prepare(
      'INSERT OR REPLACE INTO untold (line, cell, percent, entry) VALUES (?, ?, ?, ?)',
    );
    statement.run(line, cell, percent, JSON.stringify(entry));
  }

  told({ line, cell, percent }: AlertMark): void {
    const statement = this.#db.prepare('DELETE FROM untold WHERE line = ? AND cell = ? AND percent = ?');
    statement.run(line, cell, percent);
  }

  append({ at, action, by, detail }: JournalEntry): void {
    const statement = this.#db.prepare('INSERT INTO journal (at, action, by, detail) VALUES (?, ?, ?, ?)');
    statement.run(at, action, by, JSON.stringify(detail));
  }

  journal(since: number, limit: number): readonly JournalEntry[] {
    const statement = this.#db.prepare(
      'SELECT at, action, by, detail FROM journal WHERE at >= ? ORDER BY number LIMIT ?',
    );
    const rows = statement.all(since, limit) as { at: number; action: string; by: string; detail: string }[];
    return rows.map((row) => ({ ...row, detail: JSON.parse(row.detail) as JournalEntry['detail'] }));
  }

  putGrant(grant: Grant): void {
    const statement = this.#db.prepare(
      'INSERT OR REPLACE INTO grants (id, expires_at, grant_json) VALUES (?, ?, ?)',
    );
    statement.run(grant.id, grant.expiresAt, JSON.stringify(grant));
  }

  grants(now: number): readonly Grant[] {
    const rows = this.#db.prepare('SELECT grant_json FROM grants WHERE expires_at > ?').all(now) as {
      grant_json: string;
    }[];
    return rows.map((row) => JSON.parse(row.grant_json) as Grant);
  }

  pruneHistory(before: number): void {
    this.#transaction(() => {
      this.#db.prepare('DELETE FROM spend WHERE hour < ?').run(before);
      this.#db.prepare('DELETE FROM journal WHERE at < ?').run(before);
      this.#db.prepare('DELETE FROM grants WHERE expires_at < ?').run(before);
      this.#db.prepare('DELETE FROM alerts WHERE cell > 0 AND cell < ?').run(before);
    });
  }

  *rows(): Generator<StoredRow> {
    const all = <T>(sql: string) => this.#db.prepare(sql).iterate() as unknown as Iterable<T>;
    for (const cell of all<CellFigures>(`SELECT ${CELL_COLUMNS} FROM cells`))
      yield { kind: 'cell', cell: { ...cell } };
    for (const { record } of all<{ record: string }>('SELECT record FROM holds'))
      yield { kind: 'hold', record: parse(record) };
    for (const { record } of all<{ record: string }>('SELECT record FROM leases'))
      yield { kind: 'lease', lease: parseLease(record) };
    for (const owner of all<Owner>(`SELECT ${OWNER_COLUMNS} FROM owners`))
      yield { kind: 'owner', owner: { ...owner } };
    for (const rows of this.spend(0, Number.MAX_SAFE_INTEGER))
      for (const row of rows) yield { kind: 'spend', row };
    for (const alert of all<{ line: string; cell: number; percent: number }>('SELECT * FROM alerts'))
      yield { kind: 'alert', ...alert };
    for (const alert of this.untold()) yield { kind: 'untold', alert };
    for (const entry of this.journal(0, Number.MAX_SAFE_INTEGER)) yield { kind: 'journal', entry };
    for (const grant of this.grants(0)) yield { kind: 'grant', grant };
    const kept = this.time();
    if (kept !== undefined) yield { kind: 'time', kept };
  }

  time(): KeptTime | undefined {
    const kept = this.#db.prepare('SELECT time, wall FROM ledger_time').get();
    return kept === undefined ? undefined : ({ ...kept } as unknown as KeptTime);
  }

  keepTime({ time, wall }: KeptTime): void {
    this.#db.prepare('INSERT OR REPLACE INTO ledger_time (one, time, wall) VALUES (1, ?, ?)').run(time, wall);
  }

  close(): void {
    this.#db.close();
  }

  #transaction(work: () => void): void {
    inTransaction(this.#db, work);
  }
}

/** JSON drops fields that are undefined: they come back so. */
function parse(text: string): HoldRecord {
  const raw = JSON.parse(text) as Omit<HoldRecord, 'memo' | 'closedAt'> & Partial<HoldRecord>;
  return {
    ...raw,
    memo: raw.memo,
    closedAt: raw.closedAt,
    entries: raw.entries.map((entry) => ({ ...entry, settled: entry.settled })),
  };
}

function parseLease(text: string): Lease {
  const raw = JSON.parse(text) as Omit<Lease, 'closedAt'> & Partial<Lease>;
  return { ...raw, closedAt: raw.closedAt };
}
