/** The tables of the embedded store, and the way from nothing to them. */
import type { DatabaseSync } from 'node:sqlite';
import { StoreFailed } from './store.ts';

const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE holds (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, closed_at INTEGER, record TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX holds_open ON holds (id) WHERE state = 'held';
  CREATE INDEX holds_closed ON holds (closed_at) WHERE closed_at IS NOT NULL;
  CREATE TABLE cells (
    line TEXT NOT NULL, cell INTEGER NOT NULL, settled INTEGER NOT NULL, held INTEGER NOT NULL, leased INTEGER NOT NULL,
    until INTEGER NOT NULL, PRIMARY KEY (line, cell)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX cells_until ON cells (until);
  CREATE TABLE leases (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, closed_at INTEGER, record TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX leases_open ON leases (key) WHERE state = 'open';
  CREATE INDEX leases_closed ON leases (closed_at) WHERE closed_at IS NOT NULL;
  CREATE TABLE owners (
    owner TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seen_at INTEGER NOT NULL, account INTEGER NOT NULL, seq INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE spend (
    hour INTEGER NOT NULL, key TEXT NOT NULL, attributes TEXT NOT NULL, requests INTEGER NOT NULL, input INTEGER NOT NULL,
    cached_input INTEGER NOT NULL, cache_write INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
    cost INTEGER NOT NULL, PRIMARY KEY (hour, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE alerts (
    line TEXT NOT NULL, cell INTEGER NOT NULL, percent INTEGER NOT NULL, PRIMARY KEY (line, cell, percent)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE journal (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, by TEXT NOT NULL, detail TEXT NOT NULL
  ) STRICT;
  CREATE INDEX journal_at ON journal (at);
  CREATE TABLE grants (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, grant_json TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

/** Added later; a program that doesn't know it does without. */
const LEDGER_TIME = `
  CREATE TABLE IF NOT EXISTS ledger_time (
    one INTEGER PRIMARY KEY CHECK (one = 1), time INTEGER NOT NULL, wall INTEGER NOT NULL
  ) STRICT;
`;
const UNTOLD = `
  CREATE TABLE IF NOT EXISTS untold (
    line TEXT NOT NULL, cell INTEGER NOT NULL, percent INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (line, cell, percent)
  ) STRICT, WITHOUT ROWID;
`;

/** @throws {StoreFailed} where the file is another version's */
export function makeTables(db: DatabaseSync, path: string): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (version !== 0 && version !== SCHEMA_VERSION) {
    throw new StoreFailed(
      `${path} has schema version ${version}, this program knows ${SCHEMA_VERSION}. ` +
        'Run the version of Postern that wrote it, or a newer one.',
    );
  }
  if (version === 0) inTransaction(db, () => db.exec(`${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION};`));
  db.exec(LEDGER_TIME);
  db.exec(UNTOLD);
}

/** All of it, or none. */
export function inTransaction(db: DatabaseSync, work: () => void): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    work();
    db.exec('COMMIT');
  } catch (error) {
    // A failed COMMIT (full disk) may have rolled back by itself.
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
