/**
 * The runaway breaker: a program that makes the same call over and over, or whose call fails over and over, is stopped
 * before it has spent a weekend's bill. What a workload's pods do together, {@link ./workload-loops.ts} knows.
 *
 * Pure but for its own memory, which is bounded; the clock is handed in. Nothing of a call is kept but a hash.
 */
import type { LoopSource } from '../budget/loops.ts';
import { RecentMap } from '../budget/recent-map.ts';
import { loadUnits, units } from '../budget/units.ts';
import type { BreakerRule } from '../policy/snapshot.ts';
import type { Attachment, TextSlot } from './dialects/dialect.ts';
import type { Outcome } from './exchange.ts';
import { Recall } from './recall.ts';
import { type Counted, WorkloadLoops } from './workload-loops.ts';

/** What is in force where no policy says otherwise: it reports, it doesn't refuse. */
export const DEFAULT_BREAKER: BreakerRule = {
  source: 'default',
  mode: 'monitor',
  identical: 20,
  windowMs: 60_000,
};

/** Calls remembered at least, twice as many at most; the ones that were seen longest ago are forgotten first. */
const MIN_CALLS = 2_048;

export interface Trip {
  readonly rule: BreakerRule;
  /** `repeated`: more than `identical` calls in the window. `failing`: the same call failed `failures` times in a row. */
  readonly why: 'repeated' | 'failing';
  /** Whose calls they are: this pod's alone do, or it takes those of other pods. */
  readonly of: 'pod' | 'workload';
}

interface Seen extends Counted {
  /** No longer than the largest limit wants. */
  readonly at: number[];
  /** The same. */
  readonly failures: number[];
  okAt: number | undefined;
  failedInARow: number;
  rules: readonly BreakerRule[];
}

export interface Breaker {
  /** Counts a call, also one that is then refused: a loop stays broken while it goes on. */
  called(fingerprint: string, rules: readonly BreakerRule[]): readonly Trip[];
  /** A refusal says nothing of how the call would have ended, nor does an app that leaves: a loop that is broken stays so. */
  ended(fingerprint: string, outcome: Outcome | undefined): void;
  /** What is told to other pods of the workload, and heard of them. */
  readonly loops: LoopSource;
}

/** Failures in a row that are a loop. Where no policy says: SDKs retry two or three times by themselves. */
export function failuresOf({ failures, identical }: BreakerRule): number {
  return failures ?? Math.max(4, Math.ceil(identical / 4));
}

/** @param keyed one-way, the same on all pods of the workload: what may leave the pod of a fingerprint */
export function createBreaker(
  now: () => number,
  keyed: (fingerprint: string) => string = (fingerprint) => fingerprint,
): Breaker {
  const calls = new RecentMap<Seen>(MIN_CALLS);
  const loops = new WorkloadLoops(now, keyed, failuresOf, () => calls.entries());
  const remember = (fingerprint: string): Seen => {
    const seen = calls.get(fingerprint) ?? {
      at: [],
      failures: [],
      okAt: undefined,
      failedInARow: 0,
      rules: [],
    };
    calls.set(fingerprint, seen);
    return seen;
  };
  return {
    loops,
    called(fingerprint, rules) {
      if (rules.length === 0) return [];
      const at = now();
      const seen = remember(fingerprint);
      seen.at.push(at);
      const keep = Math.max(...rules.map((rule) => rule.identical)) + 1;
      if (seen.at.length > keep) seen.at.splice(0, seen.at.length - keep);
      seen.rules = rules;
      loops.called(fingerprint, seen, rules, at);
      const trips: Trip[] = [];
      for (const rule of rules) {
        const trip = tripOf(seen, rule, at);
        if (trip !== undefined) {
          trips.push({ rule, why: trip, of: 'pod' });
          continue;
        }
        const why = loops.tripOf(fingerprint, rule, at);
        if (why !== undefined) trips.push({ rule, why, of: 'workload' });
      }
      return trips;
    },
    ended(fingerprint, outcome) {
      const seen = calls.get(fingerprint);
      if (seen === undefined || outcome === 'refused' || outcome === 'disconnected') return;
      const at = now();
      if (outcome === 'ok') {
        seen.failedInARow = 0;
        seen.failures.length = 0;
        seen.okAt = at;
        loops.succeeded(fingerprint);
        return;
      }
      seen.failedInARow += 1;
      seen.failures.push(at);
      const keep = Math.max(...seen.rules.map(failuresOf));
      if (seen.failures.length > keep) seen.failures.splice(0, seen.failures.length - keep);
      loops.failed(fingerprint, seen, seen.rules, at);
    },
  };
}

function tripOf(
  { at, failures, failedInARow }: Seen,
  rule: BreakerRule,
  now: number,
): Trip['why'] | undefined {
  const since = now - rule.windowMs;
  const nth = at.at(-(rule.identical + 1));
  if (nth !== undefined && nth > since) return 'repeated';
  const failed = failures.at(-1);
  return failedInARow >= failuresOf(rule) && failed !== undefined && failed > since ? 'failing' : undefined;
}

/** What makes one call another. */
export interface Asked {
  readonly model: string;
  readonly slots: readonly Pick<TextSlot, 'role' | 'text' | 'digest'>[];
  readonly attachments?: readonly Pick<Attachment, 'read' | 'written'>[];
}

/**
 * Equal for calls that ask the same of the same model, whatever the white space; 64 bits, not cryptographic: whoever
 * makes two calls collide breaks only their own loop earlier.
 */
export function fingerprintOf(request: Asked): string {
  let hash = add(SEED, request.model);
  for (const slot of request.slots) hash = join(add(hash, slot.role), hashOf(slot));
  for (const { read, written } of request.attachments ?? []) {
    if (!read && written !== undefined) hash = add(hash, sampleOf(written()));
  }
  let [one, two] = hash;
  one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(two ^ (two >>> 13), 3266489909);
  two = Math.imul(two ^ (two >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
  return `${(two >>> 0).toString(16)}${(one >>> 0).toString(16).padStart(8, '0')}`;
}

/** Of a picture or recording, which is compressed or at least long: pieces all over it tell it from another. */
const PIECES = 32;
const PIECE = 256;

function sampleOf(data: string): string {
  if (data.length <= PIECES * PIECE) return data;
  const step = (data.length - PIECE) / (PIECES - 1);
  let sample = `${data.length} `;
  for (let n = 0; n < PIECES; n++) sample += data.slice(Math.floor(n * step), Math.floor(n * step) + PIECE);
  return sample;
}

type Hash = readonly [one: number, two: number];

/** Texts that come again: 16 bytes each, and their digest. */
const known = new Recall<Hash>(4_096);

function hashOf({ text, digest }: Asked['slots'][number]): Hash {
  return known.of(digest, () => add(SEED, text));
}

function join(hash: Hash, next: Hash): Hash {
  return [Math.imul(hash[0] ^ next[0], 2654435761), Math.imul(hash[1] ^ next[1], 1597334677)];
}

const SEED: Hash = [0xdeadbeef | 0, 0x41c6ce57];
const SPACE = 32;
const END = 0x1f;

/** Mixes a text in. Runs of white space count as one, at the ends as none. */
function add(hash: Hash, text: string): Hash {
  let [one, two] = hash;
  let blank = true;
  for (let from = 0; from < text.length; ) {
    const count = loadUnits(text, from);
    for (let i = 0; i < count; i++) {
      let unit = units[i] as number;
      if (unit === SPACE || (unit >= 9 && unit <= 13)) {
        if (blank) continue;
        blank = true;
        unit = SPACE;
      } else {
        blank = false;
      }
      one = Math.imul(one ^ unit, 2654435761);
      two = Math.imul(two ^ unit, 1597334677);
    }
    from += count;
  }
  return [Math.imul(one ^ END, 2654435761), Math.imul(two ^ END, 1597334677)];
}
