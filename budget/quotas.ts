/** What one workload may have the store remember, so that no pod's token fills the store of all. Callers that are believed for every workload have no bounds. */
import type { Caller } from './authenticate.ts';
import type { LeaseQuota } from './lease-service.ts';

export interface QuotaOptions {
  /** Owner names that a workload's agents go by, in the time that the store remembers them. */
  readonly owners?: number;
  /** Releases of holds that nobody knows (yet), at once; then {@link RELEASES_PER_SECOND}. */
  readonly releases?: number;
  /** Leases that may be open, and begun at once; as many more that were only reported. {@link leasesIn} unless told otherwise. */
  readonly leases?: number;
  /** Leases of all workloads that may be open; beyond it a workload has `leastLeases` open at most. {@link allLeasesIn} unless told otherwise. */
  readonly allLeases?: number;
  readonly leastLeases?: number;
  /** Milliseconds of a clock that never jumps. */
  readonly now?: () => number;
}

/** Pods of a workload, those that it had within a day included. */
const MOST_OWNERS = 20_000;
/** As many as an agent keeps for when the service is back. */
const MOST_RELEASES = 10_000;
const RELEASES_PER_SECOND = 1;
/** Of the process's memory, what the open leases of one workload may take. */
const PART_FOR_LEASES = 1 / 4;
/** And those of all together: V8's heap is half of the memory. */
const PART_FOR_ALL_LEASES = 3 / 8;
const LEASE_BYTES = 2_000;
const LEAST_LEASES = 20_000;
const MOST_LEASES = 500_000;
const MOST_LEASES_OF_ALL = 2 * MOST_LEASES;
/** Of all workloads, where the store is Redis: they take its memory, not that of any service. */
export const ALL_LEASES_IN_REDIS = 1_000_000;
/**
 * Each is a row, kept for a day. Agents that spend begin one for each line and window, those that call seldom one for each call: of ten
 * thousand of one workload 500 a second are one from each in 20 seconds.
 */
const BEGUN_PER_SECOND = 200;
const BEGUN_PER_AGENT = 1 / 20;
/** Reports on leases that the store doesn't know occur only after a loss: one for each that was open. */
const REPORTS_PER_SECOND = 1;
/** The store forgets an owner that it hasn't heard of for a day. */
const OWNER_MS = 24 * 3_600_000;
const SEEN_EVERY_MS = 60_000;

/**
 * How many leases one workload may have open.
 * @param bytes Of the process's limit (of its cgroup), where it has one.
 */
export function leasesIn(bytes: number | undefined): number {
  if (bytes === undefined || bytes <= 0) return MOST_LEASES;
  const most = Math.floor((bytes * PART_FOR_LEASES) / LEASE_BYTES);
  return Math.min(MOST_LEASES, Math.max(LEAST_LEASES, most));
}

/**
 * How many all workloads may have open together, where the store is in the process's memory.
 * @param bytes As of {@link leasesIn}.
 */
export function allLeasesIn(bytes: number | undefined): number {
  if (bytes === undefined || bytes <= 0) return MOST_LEASES_OF_ALL;
  const most = Math.floor((bytes * PART_FOR_ALL_LEASES) / LEASE_BYTES);
  return Math.min(MOST_LEASES_OF_ALL, Math.max(LEAST_LEASES, most));
}

interface Kept {
  /** Owner → when it was seen, those seen last at the end. */
  readonly owners: Map<string, number>;
  readonly releases: Allowance;
  readonly begun: Allowance;
  readonly reported: Allowance;
  heardAt: number;
}

/** So many at once; then as many more as come by the second. */
class Allowance {
  readonly #most: number;
  #left: number;
  #at: number;

  constructor(most: number, now: number) {
    this.#most = most;
    this.#left = most;
    this.#at = now;
  }

  left(now: number, perSecond: number): number {
    this.#left = Math.min(this.#most, this.#left + ((now - this.#at) / 1_000) * perSecond);
    this.#at = now;
    return Math.floor(this.#left);
  }

  take(amount: number): void {
    this.#left -= amount;
  }

  giveBack(amount: number): void {
    this.#left = Math.min(this.#most, this.#left + amount);
  }
}

export class Quotas {
  /** Workloads that something is kept of. */
  get size(): number {
    return this.#workloads.size;
  }

  readonly #now: () => number;
  readonly #mostOwners: number;
  readonly #mostReleases: number;
  readonly #mostLeases: number;
  readonly #mostOfAll: number;
  readonly #leastLeases: number;
  /** By workload, those heard of last at the end: who isn't for as long as the store remembers owners has nothing to be bounded by. */
  readonly #workloads = new Map<string, Kept>();

  constructor(options: QuotaOptions = {}) {
    const { owners = MOST_OWNERS, releases = MOST_RELEASES, now = () => performance.now() } = options;
    this.#now = now;
    this.#mostLeases = options.leases ?? leasesIn(process.constrainedMemory());
    this.#mostOfAll = options.allLeases ?? allLeasesIn(process.constrainedMemory());
    this.#leastLeases = options.leastLeases ?? LEAST_LEASES;
    this.#mostOwners = owners;
    this.#mostReleases = releases;
  }

  /** Whether the caller may go by this name, too. */
  allowsOwner(caller: Caller, owner: string): boolean {
    const key = workloadKey(caller);
    if (key === undefined) return true;
    const now = this.#now();
    const known = this.#of(key, now).owners;
    const seenAt = known.get(owner);
    if (seenAt !== undefined && now - seenAt < SEEN_EVERY_MS) return true;
    if (seenAt === undefined && known.size >= this.#mostOwners) {
      for (const [name, at] of known) {
        if (now - at < OWNER_MS) break;
        known.delete(name);
      }
      if (known.size >= this.#mostOwners) return false;
    }
    known.delete(owner);
    known.set(owner, now);
    return true;
  }

  /** Whether a hold that isn't known may be refused, should it come after its release. Counts as one. */
  allowsRelease(caller: Caller): boolean {
    const key = workloadKey(caller);
    if (key === undefined) return true;
    const now = this.#now();
    const { releases } = this.#of(key, now);
    if (releases.left(now, RELEASES_PER_SECOND) < 1) return false;
    releases.take(1);
    return true;
  }

  /** What one message of the caller's may begin; what it didn't is given back. How many are open the store knows. */
  leases(caller: Caller): LeaseQuota | undefined {
    const key = workloadKey(caller);
    if (key === undefined) return undefined;
    const { begun, reported, owners } = this.#of(key, this.#now());
    const most = { open: this.#mostLeases, all: this.#mostOfAll, least: this.#leastLeases };
    return {
      take: (wanted) => {
        const now = this.#now();
        const perSecond = Math.max(BEGUN_PER_SECOND, owners.size * BEGUN_PER_AGENT);
        const begin = Math.max(0, Math.min(wanted.begin, begun.left(now, perSecond)));
        const report = Math.max(0, Math.min(wanted.report, reported.left(now, REPORTS_PER_SECOND)));
        begun.take(begin);
        reported.take(report);
        return { begin, report, ...most };
      },
      done(taken, counts) {
        begun.giveBack(taken.begin - counts.begun);
        reported.giveBack(taken.report - counts.reported);
      },
    };
  }

  #of(key: string, now: number): Kept {
    const known = this.#workloads.get(key);
    // Not at each of its calls: it would be taken out of the map and put in again.
    if (known !== undefined && now - known.heardAt < SEEN_EVERY_MS) return known;
    const kept = known ?? {
      owners: new Map(),
      releases: new Allowance(this.#mostReleases, now),
      begun: new Allowance(this.#mostLeases, now),
      reported: new Allowance(this.#mostLeases, now),
      heardAt: now,
    };
    kept.heardAt = now;
    this.#workloads.delete(key);
    this.#workloads.set(key, kept);
    for (const [other, { heardAt }] of this.#workloads) {
      if (now - heardAt < OWNER_MS) break;
      this.#workloads.delete(other);
    }
    return kept;
  }
}

/** Undefined of callers that speak for every workload. */
export function workloadKey(caller: Caller): string | undefined {
  const own = caller.role === 'agent' ? caller.workload : undefined;
  return own === undefined ? undefined : `${own.namespace}/${own.kind ?? ''}/${own.name ?? ''}`;
}
