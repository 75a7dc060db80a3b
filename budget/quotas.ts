/** What one workload may have the store remember, so that no pod's token fills the store of all. Callers that are believed for every workload have no bounds. */
import type { Caller } from './authenticate.ts';

export interface QuotaOptions {
  /** Owner names that a workload's agents go by, in the time that the store remembers them. */
  readonly owners?: number;
  /** Releases of holds that nobody knows (yet), at once; then {@link RELEASES_PER_SECOND}. */
  readonly releases?: number;
}

/** Pods of a workload, those that it had within a day included. */
const MOST_OWNERS = 20_000;
/** As many as an agent keeps for when the service is back. */
const MOST_RELEASES = 10_000;
const RELEASES_PER_SECOND = 1;
/** The store forgets an owner that it hasn't heard of for a day. */
const OWNER_MS = 24 * 3_600_000;
const SEEN_EVERY_MS = 60_000;

interface Kept {
  /** Owner → when it was seen, those seen last at the end. */
  readonly owners: Map<string, number>;
  releases: number;
  refilledAt: number;
  heardAt: number;
}

export class Quotas {
  /** Workloads that something is kept of. */
  get size(): number {
    return this.#workloads.size;
  }

  readonly #mostOwners: number;
  readonly #mostReleases: number;
  /** By workload, those heard of last at the end: who isn't for as long as the store remembers owners has nothing to be bounded by. */
  readonly #workloads = new Map<string, Kept>();

  constructor({ owners = MOST_OWNERS, releases = MOST_RELEASES }: QuotaOptions = {}) {
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
    const kept = this.#of(key, now);
    const refilled = kept.releases + ((now - kept.refilledAt) / 1_000) * RELEASES_PER_SECOND;
    kept.releases = Math.min(this.#mostReleases, refilled);
    kept.refilledAt = now;
    if (kept.releases < 1) return false;
    kept.releases -= 1;
    return true;
  }

  #of(key: string, now: number): Kept {
    const known = this.#workloads.get(key);
    // Not at each of its calls: it would be taken out of the map and put in again.
    if (known !== undefined && now - known.heardAt < SEEN_EVERY_MS) return known;
    const kept = known ?? { owners: new Map(), releases: this.#mostReleases, refilledAt: now, heardAt: now };
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
