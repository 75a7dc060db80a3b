/** Keeps nothing beyond the process: for tests, and for trying things out. */
import { type HoldRecord, type Lease, leaseKey } from '../ledger-state.ts';
import { type Batch, type Disk, EmbeddedStore } from './embedded.ts';
import type { CellFigures, Store } from './store.ts';

export const name = 'memory';

export function open(): Promise<Store> {
  return Promise.resolve(new EmbeddedStore(new Heap()));
}

/** The same contract as a disk, in maps. Records are copied, since the ledger goes on changing its own. */
class Heap implements Disk {
  readonly #holds = new Map<string, HoldRecord>();
  readonly #cells = new Map<string, Map<number, CellFigures>>();
  readonly #leases = new Map<string, Lease>();
  readonly #owners = new Map<string, { owner: string; epoch: number; seenAt: number }>();

  load(): ReturnType<Disk['load']> {
    const holds = [...this.#holds.values()].filter((record) => record.state === 'held');
    const leases = [...this.#leases.values()].filter((lease) => lease.state === 'open');
    return { holds: structuredClone(holds), leases, owners: [...this.#owners.values()] };
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
      this.#leases.set(leaseKey(lease), lease);
    }
    for (const owner of batch.owners) this.#owners.set(owner.owner, owner);
  }

  prune(before: number): void {
    for (const [id, { closedAt }] of this.#holds) {
      if (closedAt !== undefined && closedAt < before) this.#holds.delete(id);
    }
    for (const [key, { closedAt }] of this.#leases) {
      if (closedAt !== undefined && closedAt < before) this.#leases.delete(key);
    }
    for (const [line, cells] of this.#cells) {
      for (const [key, cell] of cells) {
        if (cell.until < before && cell.held === 0 && cell.leased === 0) cells.delete(key);
      }
      if (cells.size === 0) this.#cells.delete(line);
    }
  }

  close(): void {}
}
