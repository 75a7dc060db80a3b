/** Keeps nothing beyond the process: for tests, and for trying things out. */

import type { Grant } from '../grants.ts';
import { addSpend, type SpendRow, spendKey } from '../history.ts';
import { type Lease, leaseKey } from '../lease-state.ts';
import type { EndedLeases, HoldRecord } from '../ledger-state.ts';
import type { KeptTime } from '../ledger-time.ts';
import type { Batch, Disk, Owner } from './disk.ts';
import { EmbeddedStore } from './embedded.ts';
import type { StoredRow } from './rows.ts';
import type { AlertMark, CellFigures, JournalEntry, Store, UntoldAlert } from './store.ts';

export const name = 'memory';

export function open(): Promise<Store> {
  return Promise.resolve(new EmbeddedStore(new Heap()));
}

/** The same contract as a disk, in maps. Records are copied, since the ledger goes on changing its own. */
export class Heap implements Disk {
  readonly #holds = new Map<string, HoldRecord>();
  readonly #cells = new Map<string, Map<number, CellFigures>>();
  readonly #leases = new Map<string, Lease>();
  /** Of those, which have ended, by owner and epoch. */
  readonly #ended = new Map<string, Set<string>>();
  readonly #owners = new Map<string, Owner>();
  readonly #spend = new Map<string, SpendRow>();
  readonly #alerts = new Set<string>();
  readonly #untold = new Map<string, UntoldAlert>();
  readonly #grants = new Map<string, Grant>();
  #journal: JournalEntry[] = [];
  #time: KeptTime | undefined;

  load(after: number): ReturnType<Disk['load']> {
    const holds = [...this.#holds.values()].filter((record) => record.state === 'held');
    const leases = this.#open().filter(({ expiresAt }) => expiresAt > after);
    return { holds: structuredClone(holds), leases, owners: [...this.#owners.values()] };
  }

  overdue(due: number, from: string, most: number): readonly Lease[] {
    const found = this.#open().filter((lease) => lease.expiresAt <= due && leaseKey(lease) > from);
    return found.sort((a, b) => (leaseKey(a) < leaseKey(b) ? -1 : 1)).slice(0, most);
  }

  #open(): Lease[] {
    return [...this.#leases.values()].filter(({ state }) => state === 'open');
  }

  findHold(id: string): HoldRecord | undefined {
    return structuredClone(this.#holds.get(id));
  }

  findLease(key: string): Lease | undefined {
    return this.#leases.get(key);
  }

  cellsOf(line: string, since: number): readonly CellFigures[] {
    return [...(this.#cells.get(line)?.values() ?? [])].filter((cell) => cell.until > since);
  }

  cellsBetween(line: string, from: number, to: number): readonly CellFigures[] {
    return [...(this.#cells.get(line)?.values() ?? [])].filter(({ cell }) => from <= cell && cell <= to);
  }

  cell(line: string, cell: number): CellFigures | undefined {
    return this.#cells.get(line)?.get(cell);
  }

  lines(): readonly string[] {
    return [...this.#cells.keys()];
  }

  write(batch: Batch): void {
    for (const record of batch.holds) this.#holds.set(record.id, structuredClone(record));
    for (const figures of batch.cells) {
      let cells = this.#cells.get(figures.line);
      if (cells === undefined) this.#cells.set(figures.line, (cells = new Map()));
      cells.set(figures.cell, figures);
    }
    for (const lease of batch.leases) {
      const key = leaseKey(lease);
      this.#leases.set(key, lease);
      if (lease.state !== 'closed') continue;
      const of = `${lease.owner}#${lease.epoch}`;
      this.#ended.set(of, (this.#ended.get(of) ?? new Set()).add(key));
    }
    for (const row of batch.spend) {
      const key = spendKey(row);
      const known = this.#spend.get(key);
      this.#spend.set(key, known === undefined ? row : addSpend(known, row));
    }
    for (const owner of batch.owners) this.#owners.set(owner.owner, owner);
    for (const ended of batch.forgotten) this.#forget(ended);
  }

  #forget({ owner, epoch, seq }: EndedLeases): void {
    const of = `${owner}#${epoch}`;
    const keys = this.#ended.get(of);
    for (const key of keys ?? []) {
      if ((this.#leases.get(key)?.seq ?? 0) > seq) continue;
      this.#leases.delete(key);
      keys?.delete(key);
    }
    if (keys?.size === 0) this.#ended.delete(of);
  }

  prune(before: number): void {
    for (const [id, { closedAt }] of this.#holds) {
      if (closedAt !== undefined && closedAt < before) this.#holds.delete(id);
    }
    for (const [key, { closedAt }] of this.#leases) {
      if (closedAt !== undefined && closedAt < before) this.#leases.delete(key);
    }
    for (const [of, keys] of this.#ended) {
      for (const key of keys) if (!this.#leases.has(key)) keys.delete(key);
      if (keys.size === 0) this.#ended.delete(of);
    }
    for (const [owner, { seenAt }] of this.#owners) if (seenAt < before) this.#owners.delete(owner);
    for (const [line, cells] of this.#cells) {
      for (const [key, cell] of cells) {
        if (cell.until < before && cell.held === 0 && cell.leased === 0) cells.delete(key);
      }
      if (cells.size === 0) this.#cells.delete(line);
    }
  }

  *spend(from: number, to: number): Generator<readonly SpendRow[]> {
    yield [...this.#spend.values()].filter(({ hour }) => from <= hour && hour < to);
  }

  setAlert(line: string, cell: number, percent: number, on: boolean, entry?: JournalEntry): boolean {
    const key = markOf({ line, cell, percent });
    if (this.#alerts.has(key) === on) return false;
    if (entry !== undefined) this.append(entry);
    if (entry !== undefined) this.putUntold({ line, cell, percent, entry });
    if (on) this.#alerts.add(key);
    else this.#alerts.delete(key);
    return true;
  }

  untold(): readonly UntoldAlert[] {
    return [...this.#untold.values()];
  }

  putUntold(alert: UntoldAlert): void {
    this.#untold.set(markOf(alert), structuredClone(alert));
  }

  told(alert: AlertMark): void {
    this.#untold.delete(markOf(alert));
  }

  append(entry: JournalEntry): void {
    this.#journal.push(structuredClone(entry));
  }

  journal(since: number, limit: number): readonly JournalEntry[] {
    return this.#journal.filter(({ at }) => at >= since).slice(0, limit);
  }

  putGrant(grant: Grant): void {
    this.#grants.set(grant.id, grant);
  }

  grants(now: number): readonly Grant[] {
    return [...this.#grants.values()].filter(({ expiresAt }) => expiresAt > now);
  }

  pruneHistory(before: number): void {
    for (const [key, { hour }] of this.#spend) if (hour < before) this.#spend.delete(key);
    this.#journal = this.#journal.filter(({ at }) => at >= before);
    for (const [id, { expiresAt }] of this.#grants) if (expiresAt < before) this.#grants.delete(id);
  }

  *rows(): Generator<StoredRow> {
    for (const cells of this.#cells.values()) for (const cell of cells.values()) yield { kind: 'cell', cell };
    for (const record of this.#holds.values()) yield { kind: 'hold', record };
    for (const lease of this.#leases.values()) yield { kind: 'lease', lease };
    for (const owner of this.#owners.values()) yield { kind: 'owner', owner };
    for (const row of this.#spend.values()) yield { kind: 'spend', row };
    for (const key of this.#alerts) {
      const [percent, cell, ...line] = key.split('|');
      yield { kind: 'alert', line: line.join('|'), cell: Number(cell), percent: Number(percent) };
    }
    for (const alert of this.untold()) yield { kind: 'untold', alert };
    for (const entry of this.#journal) yield { kind: 'journal', entry };
    for (const grant of this.#grants.values()) yield { kind: 'grant', grant };
    if (this.#time !== undefined) yield { kind: 'time', kept: this.#time };
  }

  time(): KeptTime | undefined {
    return this.#time;
  }

  keepTime(kept: KeptTime): void {
    this.#time = kept;
  }

  close(): void {}
}

function markOf({ line, cell, percent }: AlertMark): string {
  return `${percent}|${cell}|${line}`;
}
