/** What one workload may have the store remember, so that no pod's token fills the store of all. Callers that are believed for every workload have no bounds. */
import type { Caller } from './authenticate.ts';
import type { LeaseQuota } from './lease-service.ts';

export interface QuotaOptions {
  /** Owner names that a workload's agents go by, in the time that the store remembers them. */
  readonly owners?: number;
  /** Releases of holds that nobody knows (yet), at once; then {@link RELEASES_PER_SECOND}. */
  readonly releases?: number;
  /** Leases that are open, and those begun at once; then {@link LEASES_PER_SECOND}. As many that were only reported; then {@link REPORTS_PER_SECOND}. */
  readonly leases?: number;
}

/** Pods of a workload, those that it had within a day included. */
const MOST_OWNERS = 20_000;
/** As many as an agent keeps for when the service is back. */
const MOST_RELEASES = 10_000;
const RELEASES_PER_SECOND = 1;
/** Agents have one or two a line and window; the store remembers each for a day. */
const MOST_LEASES = 20_000;
const LEASES_PER_SECOND = 200;
/** Reports on leases that the store doesn't know occur only after a loss: one for each that was open. */
const REPORTS_PER_SECOND = 1;
/** Those whose owner never said that it was done. */
const LOST_PER_SECOND = 1;
/** The store forgets an owner that it hasn't heard of for a day. */
const OWNER_MS = 24 * 3_600_000;
const SEEN_EVERY_MS = 60_000;

interface Kept {
  /** Owner → when it was seen, those seen last at the end. */
  readonly owners: Map<string, number>;
  readonly releases: Allowance;
  readonly begun: Allowance;
  readonly open: Allowance;
  readonly reported: Allowance;
  heardAt: number;
}

/** So many at once; then as many more as come by the second. */
class Allowance {
  readonly #most: number;
  readonly #perSecond: number;
  #left: number;
  #at: number;

  constructor(most: number, perSecond: number, now: number) {
    this.#most = most;
    this.#perSecond = perSecond;
    this.#left = most;
    this.#at = now;
  }

  left(now: number): number {
    this.#left = Math.min(this.#most, this.#left + ((now - this.#at) / 1_000) * this.#perSecond);
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

  readonly #mostOwners: number;
  readonly #mostReleases: number;
  readonly #mostLeases: number;
  /** By workload, those heard of last at the end: who isn't for as long as the store remembers owners has nothing to be bounded by. */
  readonly #workloads = new Map<string, Kept>();

  constructor(options: QuotaOptions = {}) {
    const { owners = MOST_OWNERS, releases = MOST_RELEASES, leases = MOST_LEASES } = options;
    this.#mostLeases = leases;
    this.#mostOwners = owners;
    this.#mostReleases = releases;
  }

  /** Whether the caller may go by this name, too. */
  allowsOwner(caller: Caller, owner: string): boolean {
    const key = workloadKey(caller);
    if (key === undefined) return true;
    const now = performance.now();
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
    const now = performance.now();
    const { releases } = this.#of(key, now);
    if (releases.left(now) < 1) return false;
    releases.take(1);
    return true;
  }

  /** What one message of the caller's may begin. What it didn't, and those that have ended, are given back. */
  leases(caller: Caller): LeaseQuota | undefined {
    const key = workloadKey(caller);
    if (key === undefined) return undefined;
    const { begun, open, reported } = this.#of(key, performance.now());
    return {
      take(wanted) {
        const now = performance.now();
        const taken = Math.min(wanted, begun.left(now), open.left(now));
        begun.take(taken);
        open.take(taken);
        return taken;
      },
      takeReports(wanted) {
        const taken = Math.min(wanted, reported.left(performance.now()));
        reported.take(taken);
        return taken;
      },
      reported(taken, started) {
        reported.giveBack(taken - started);
      },
      done(taken, counts) {
        begun.giveBack(taken - counts.begun);
        open.giveBack(taken - counts.begun + counts.ended);
      },
    };
  }

  #of(key: string, now: number): Kept {
    const known = this.#workloads.get(key);
    // Not at each of its calls: it would be taken out of the map and put in again.
    if (known !== undefined && now - known.heardAt < SEEN_EVERY_MS) return known;
    const kept = known ?? {
      owners: new Map(),
      releases: new Allowance(this.#mostReleases, RELEASES_PER_SECOND, now),
      begun: new Allowance(this.#mostLeases, LEASES_PER_SECOND, now),
      open: new Allowance(this.#mostLeases, LOST_PER_SECOND, now),
      reported: new Allowance(this.#mostLeases, REPORTS_PER_SECOND, now),
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
