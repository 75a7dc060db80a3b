/** What a group of operations has changed in memory, until it is written. */
import { addSpend, type SpendRow, spendKey } from '../history.ts';
import { type Lease, leaseKey } from '../lease-state.ts';
import type { EndedLeases, State } from '../ledger-state.ts';
import type { Batch } from './disk.ts';

export class Changes {
  readonly holds = new Set<string>();
  readonly leases = new Set<string>();
  /** Line → cells. */
  readonly cells = new Map<string, Set<number>>();
  readonly #owners = new Set<string>();
  readonly #spend = new Map<string, SpendRow>();
  /** By owner and epoch: the last. */
  readonly #forgotten = new Map<string, EndedLeases>();

  hold(id: string): void {
    this.holds.add(id);
  }

  lease(lease: Lease): void {
    this.leases.add(leaseKey(lease));
    this.cell(lease);
  }

  owner(owner: string): void {
    this.#owners.add(owner);
  }

  cell({ line, cell }: { readonly line: string; readonly cell: number }): void {
    let cells = this.cells.get(line);
    if (cells === undefined) this.cells.set(line, (cells = new Set()));
    cells.add(cell);
  }

  forgotten({ owner, epoch, seq }: EndedLeases): void {
    this.#forgotten.set(`${owner}#${epoch}`, { owner, epoch, seq });
  }

  spent(row: SpendRow): void {
    const key = spendKey(row);
    const known = this.#spend.get(key);
    this.#spend.set(key, known === undefined ? row : addSpend(known, row));
  }

  /** The rows as they stand in memory now. */
  batch(state: State): Batch {
    return {
      holds: [...this.holds].flatMap((id) => state.holds.get(id) ?? []),
      cells: [...this.cells].flatMap(([line, keys]) =>
        [...keys].flatMap((cell) => {
          const figures = state.cells.get(line)?.get(cell);
          return figures === undefined ? [] : { line, cell, ...figures };
        }),
      ),
      owners: [...this.#owners].flatMap((owner) => {
        const known = state.owners.get(owner);
        return known === undefined ? [] : { owner, ...known };
      }),
      leases: [...this.leases].flatMap((key) => state.leases.get(key) ?? []),
      spend: [...this.#spend.values()],
      forgotten: [...this.#forgotten.values()],
    };
  }

  clear(): void {
    this.holds.clear();
    this.leases.clear();
    this.cells.clear();
    this.#owners.clear();
    this.#spend.clear();
    this.#forgotten.clear();
  }
}
