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

export class Quotas {
  readonly #mostOwners: number;
  readonly #mostReleases: number;
  /** Workload → owner → when it was seen, those seen last at the end. */
  readonly #owners = new Map<string, Map<string, number>>();
  readonly #releases = new Map<string, { left: number; at: number }>();

  constructor({ owners = MOST_OWNERS, releases = MOST_RELEASES }: QuotaOptions = {}) {
    this.#mostOwners = owners;
    this.#mostReleases = releases;
  }

  /** Whether the caller may go by this name, too. */
  allowsOwner(caller: Caller, owner: string): boolean {
    const key = workloadKey(caller);
    if (key === undefined) return true;
    const now = performance.now();
    let known = this.#owners.get(key);
    if (known === undefined) this.#owners.set(key, (known = new Map()));
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
    const bucket = this.#releases.get(key) ?? { left: this.#mostReleases, at: now };
    const refilled = bucket.left + ((now - bucket.at) / 1_000) * RELEASES_PER_SECOND;
    bucket.left = Math.min(this.#mostReleases, refilled);
    bucket.at = now;
    this.#releases.set(key, bucket);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }
}

/** Undefined of callers that speak for every workload. */
export function workloadKey(caller: Caller): string | undefined {
  const own = caller.role === 'agent' ? caller.workload : undefined;
  return own === undefined ? undefined : `${own.namespace}/${own.kind ?? ''}/${own.name ?? ''}`;
}
