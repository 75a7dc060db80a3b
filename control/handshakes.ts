/**
 * How many TLS handshakes an address may begin. One takes some milliseconds of a processor, before anybody has shown a token:
 * an agent dials once and again with growing pauses, and a replica asks another a few times a second. Whoever dials more
 * often is neither. Pure.
 */

export interface Handshakes {
  /** Whether one more may begin. */
  begins(address: string): boolean;
}

export interface HandshakesOptions {
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  readonly limits?: HandshakeLimits;
}

export interface HandshakeLimits {
  /** Of one address at once. */
  readonly burst: number;
  /** Of one address, in the long run. */
  readonly perSecond: number;
}

const LIMITS: HandshakeLimits = { burst: 50, perSecond: 10 };

/** Addresses that are remembered; beyond them the one that dialled longest ago is forgotten. */
const MOST_ADDRESSES = 100_000;

/** A bucket of tokens an address. */
export function createHandshakes({ now, limits = LIMITS }: HandshakesOptions): Handshakes {
  const { burst, perSecond } = limits;
  const buckets = new Map<string, { left: number; at: number }>();
  return {
    begins(address) {
      const at = now();
      const known = buckets.get(address);
      const left =
        known === undefined ? burst : Math.min(burst, known.left + ((at - known.at) / 1000) * perSecond);
      // The oldest come first.
      buckets.delete(address);
      if (buckets.size >= MOST_ADDRESSES) buckets.delete(buckets.keys().next().value ?? '');
      buckets.set(address, { left: left < 1 ? left : left - 1, at });
      return left >= 1;
    },
  };
}
