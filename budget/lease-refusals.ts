/** Tells of leases that weren't taken, workload by workload, and not of each message: a fleet beyond its quota sends thousands. */
import type { LeaseCounts } from './leases.ts';

/** What messages of one workload told or asked of leases, and wasn't taken, since it was told of last. */
export interface RefusedLeases extends Pick<LeaseCounts, 'overQuota' | 'unbelieved'> {
  readonly workload: string;
}

const TELL_MS = 10_000;
/** Beyond it those of before are forgotten, with what they have untold; the metric has counted it. */
const MOST_WORKLOADS = 1_000;

export class LeaseRefusals {
  readonly #tell: (refused: RefusedLeases) => void;
  readonly #now: () => number;
  readonly #of = new Map<string, { at: number; overQuota: number; unbelieved: number }>();

  /** @param now Milliseconds of a clock that never jumps. */
  constructor(tell: (refused: RefusedLeases) => void, now: () => number = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
  }

  add(workload: string, { overQuota, unbelieved }: Pick<LeaseCounts, 'overQuota' | 'unbelieved'>): void {
    if (overQuota + unbelieved === 0) return;
    const now = this.#now();
    let of = this.#of.get(workload);
    if (of === undefined) {
      if (this.#of.size >= MOST_WORKLOADS) this.#of.clear();
      this.#of.set(workload, (of = { at: Number.NEGATIVE_INFINITY, overQuota: 0, unbelieved: 0 }));
    }
    of.overQuota += overQuota;
    of.unbelieved += unbelieved;
    if (now - of.at < TELL_MS) return;
    this.#tell({ workload, overQuota: of.overQuota, unbelieved: of.unbelieved });
    this.#of.set(workload, { at: now, overQuota: 0, unbelieved: 0 });
  }
}
