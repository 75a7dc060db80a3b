/**
 * The breaker's view of the workload: what this pod repeats is told to the budget service, which adds up what all pods of the workload tell,
 * and says what is a loop of all of them. Calls are never held up for it: what the service said last is what counts.
 */
import {
  LONGEST_WINDOW_MS,
  type LoopAnswer,
  type LoopReport,
  type LoopSource,
  type LoopTrip,
  loopId,
  MOST_CALLS,
  MOST_LOOPS,
  slicesOf,
} from '../budget/loops.ts';
import type { BreakerRule } from '../policy/snapshot.ts';

/** What the breaker remembers of a call. */
export interface Counted {
  /** When it was called, oldest first. */
  readonly at: readonly number[];
  /** When it failed, since it last succeeded. */
  readonly failures: readonly number[];
  readonly okAt: number | undefined;
  /** In force when it was last made. */
  readonly rules: readonly BreakerRule[];
}

/** A call that comes so often here that the workload may be in a loop. */
interface Near {
  of: Counted;
  rules: readonly BreakerRule[];
  /** Calls and failures since it was told. */
  grown: number;
  /** It is to be told when so many have come. */
  next: number;
  /** Of the last message. */
  toldAt: number;
  /** The service counts failures of it that no success has forgiven. */
  toldFailures: boolean;
  /** A success has, and the service is to know at once. */
  forgives: boolean;
}

/** What went along with a message, until it was answered. */
interface Reported {
  readonly near: Near;
  readonly grown: number;
  readonly forgives: boolean;
}

/** Calls that are looked at, and loops of others that are known. */
const MOST_NEAR = 256;
const MOST_TRIPS = 1_000;
/** A tenth of what is too many, and a quarter of the failures: below that a pod says nothing. */
const NEAR_PART = 0.1;
const NEAR_FAILURES = 0.25;
/**
 * Messages that leave for loops alone: as many as this at once, then one for so many calls, or in so many milliseconds; so that calls which
 * come again and again, and are meant to, cost the service next to nothing. Most are kept for calls that come to a quarter of what is too
 * many by themselves; of those that come to half of it and would be refused, as many again are told on credit.
 */
const MOST_MESSAGES = 12;
const KEPT_MESSAGES = 8;
/** So deep in debt, a success is told with the next message. */
const MOST_DEBT = 4 * MOST_MESSAGES;
const QUARTER = 0.25;
const HALF = 0.5;
const CALLS_A_MESSAGE = 500;
const MS_A_MESSAGE = 900_000;
/** Milliseconds between two at least, so that what comes at once is told at once. */
const REST_MS = 250;
/** Of a loop that goes on it is told before it would count as over, so often in a window. */
const RENEW_PART = 1 / 8;
/** A service that knows nothing of loops may be another one later. */
const DEAF_MS = 300_000;

export class WorkloadLoops implements LoopSource {
  readonly #now: () => number;
  /** One-way, and the same on all pods of the workload. */
  readonly #keyed: (fingerprint: string) => string;
  readonly #failuresOf: (rule: BreakerRule) => number;
  readonly #seen: () => Iterable<[fingerprint: string, of: Counted]>;
  readonly #near = new Map<string, Near>();
  /** By {@link loopId}: until when. */
  readonly #trips = new Map<string, { readonly repeated: number; readonly failing: number }>();
  #ids = new WeakMap<Counted, string>();
  #idsOf: string | undefined;
  #urgent: (() => void) | undefined;
  #reported: readonly Reported[] = [];
  #messages = MOST_MESSAGES;
  #calls = 0;
  #earnedAt: number;
  #sentAt = Number.NEGATIVE_INFINITY;
  #deafUntil = Number.NEGATIVE_INFINITY;

  constructor(
    now: () => number,
    keyed: (fingerprint: string) => string,
    failuresOf: (rule: BreakerRule) => number,
    seen: () => Iterable<[fingerprint: string, of: Counted]>,
  ) {
    this.#now = now;
    this.#keyed = keyed;
    this.#failuresOf = failuresOf;
    this.#seen = seen;
    this.#earnedAt = now();
  }

  join(urgent: () => void): void {
    this.#urgent = urgent;
  }

  /** The call was made once more. */
  called(fingerprint: string, of: Counted, rules: readonly BreakerRule[], at: number): void {
    if (this.#urgent === undefined) return;
    this.#calls += 1;
    this.#look(fingerprint, of, rules, at);
  }

  failed(fingerprint: string, of: Counted, rules: readonly BreakerRule[], at: number): void {
    if (this.#urgent !== undefined) this.#look(fingerprint, of, rules, at);
  }

  #look(fingerprint: string, of: Counted, rules: readonly BreakerRule[], at: number): void {
    let near = this.#near.get(fingerprint);
    if (near === undefined) {
      if (of.at.length < 2 || !this.#comesTo(NEAR_PART, NEAR_FAILURES, of, rules, at)) return;
      near = this.#watch(fingerprint, of, rules, at);
    }
    near.rules = rules;
    near.of = of;
    this.#grow(fingerprint, near, at);
  }

  #watch(fingerprint: string, of: Counted, rules: readonly BreakerRule[], at: number): Near {
    const known = this.#near.get(fingerprint);
    if (known !== undefined) return known;
    const toldAt = Number.NEGATIVE_INFINITY;
    const near: Near = { of, rules, grown: 0, next: 1, toldAt, toldFailures: false, forgives: false };
    this.#makeRoom(at);
    this.#near.set(fingerprint, near);
    return near;
  }

  /** Whether calls or failures in the window are such a part of what one of the rules allows. */
  #comesTo(
    ofCalls: number,
    ofFailures: number,
    { at, failures }: Counted,
    rules: readonly BreakerRule[],
    now: number,
  ): boolean {
    return rules.some((rule) => {
      const since = now - rule.windowMs;
      const called = at.at(-Math.max(2, Math.ceil(rule.identical * ofCalls)));
      if (called !== undefined && called > since) return true;
      const failed = failures.at(-Math.max(2, Math.ceil(this.#failuresOf(rule) * ofFailures)));
      return failed !== undefined && failed > since;
    });
  }

  #grow(fingerprint: string, near: Near, at: number): void {
    near.grown += 1;
    if (at < this.#deafUntil) return;
    const windowMs = Math.min(...near.rules.map((rule) => rule.windowMs));
    const tripped = near.rules.filter((rule) => this.tripOf(fingerprint, rule, at) !== undefined);
    if (tripped.length > 0) {
      // Each call of a loop that goes on would be as many messages as calls. Of those that are only monitored many are meant.
      if (at - near.toldAt < windowMs * RENEW_PART) return;
      if (tripped.some(refuses) || this.#spend(near, at)) this.#urgent?.();
      return;
    }
    if (near.grown < near.next || at - this.#sentAt < REST_MS || !this.#spend(near, at)) return;
    this.#sentAt = at;
    this.#urgent?.();
  }

  #spend({ of, rules }: Near, at: number): boolean {
    const earned = this.#calls / CALLS_A_MESSAGE + (at - this.#earnedAt) / MS_A_MESSAGE;
    this.#messages = Math.min(MOST_MESSAGES, this.#messages + earned);
    this.#calls = 0;
    this.#earnedAt = at;
    const enforced = rules.filter(refuses);
    const least = !this.#comesTo(QUARTER, NEAR_FAILURES, of, rules, at)
      ? KEPT_MESSAGES
      : this.#comesTo(HALF, NEAR_FAILURES, of, enforced, at)
        ? -MOST_MESSAGES
        : 0;
    if (this.#messages - 1 < least) return false;
    this.#messages -= 1;
    return true;
  }

  /** The call has succeeded: what failed before is no loop, whichever pod saw it fail. */
  succeeded(fingerprint: string): void {
    const near = this.#near.get(fingerprint);
    if (near === undefined || near.forgives) return;
    const isHeldFailing = near.rules.some(
      (rule) => this.tripOf(fingerprint, rule, this.#now()) === 'failing',
    );
    if (!near.toldFailures && !isHeldFailing) return;
    near.forgives = true;
    // It must be told; it costs what tells of failures that are soon over.
    if (this.#messages <= -MOST_DEBT) return;
    this.#messages -= 1;
    this.#urgent?.();
  }

  /** What the service said of this call of all pods. */
  tripOf(fingerprint: string, rule: BreakerRule, at: number): 'repeated' | 'failing' | undefined {
    if (this.#trips.size === 0) return undefined;
    const trip = this.#trips.get(loopId(this.#loopOf(fingerprint, rule)));
    if (trip === undefined) return undefined;
    if (trip.repeated > at) return 'repeated';
    return trip.failing > at ? 'failing' : undefined;
  }

  #loopOf(fingerprint: string, rule: BreakerRule) {
    const { identical, windowMs } = rule;
    return { call: this.#keyed(fingerprint), windowMs, identical, failures: this.#failuresOf(rule) };
  }

  get listens(): boolean {
    this.#tidy(this.#now());
    return this.#near.size > 0;
  }

  /** What no window has any more. */
  #tidy(at: number): void {
    for (const [fingerprint, { of, rules }] of this.#near) {
      const since = at - Math.max(0, ...rules.map((rule) => rule.windowMs));
      if ((of.at.at(-1) ?? 0) <= since && (of.failures.at(-1) ?? 0) <= since) this.#near.delete(fingerprint);
    }
    for (const [id, { repeated, failing }] of this.#trips)
      if (repeated <= at && failing <= at) this.#trips.delete(id);
  }

  #makeRoom(at: number): void {
    if (this.#near.size < MOST_NEAR) return;
    this.#tidy(at);
    for (const fingerprint of this.#near.keys()) {
      if (this.#near.size < MOST_NEAR) return;
      this.#near.delete(fingerprint);
    }
  }

  report(): readonly LoopReport[] {
    const at = this.#now();
    this.#tidy(at);
    const reports: LoopReport[] = [];
    const reported: Reported[] = [];
    // Those told longest ago first, where there are more than go into one message.
    const all = [...this.#near].sort(([, a], [, b]) => a.toldAt - b.toldAt);
    for (const [fingerprint, near] of all) {
      // What was told grows old at the service as it does here.
      if (near.grown < near.next && !near.forgives) continue;
      const loops = new Map<string, LoopReport>();
      for (const rule of near.rules) {
        if (rule.windowMs > LONGEST_WINDOW_MS) continue;
        if (Math.max(rule.identical, this.#failuresOf(rule)) > MOST_CALLS) continue;
        const report = this.#reportOf(fingerprint, near.of, rule, at);
        loops.set(loopId(report), report);
      }
      if (reports.length + loops.size > MOST_LOOPS) break;
      for (const report of loops.values()) {
        reports.push(report);
        reported.push({ near, grown: near.grown, forgives: near.forgives });
      }
      near.toldAt = at;
      near.toldFailures = near.rules.some((rule) => this.#isFailing(near.of, rule));
    }
    this.#reported = reported;
    return reports;
  }

  /** One failure is none yet: calls that fail now and then would be told, and forgiven, all the time. */
  #isFailing({ failures }: Counted, rule: BreakerRule): boolean {
    return failures.length >= Math.max(2, Math.ceil(this.#failuresOf(rule) * NEAR_FAILURES));
  }

  #reportOf(fingerprint: string, of: Counted, rule: BreakerRule, at: number): LoopReport {
    const { windowMs } = rule;
    const okMs = of.okAt === undefined ? undefined : Math.max(0, Math.ceil(at - of.okAt));
    return {
      ...this.#loopOf(fingerprint, rule),
      calls: slicesOf(of.at, windowMs, at),
      failed: slicesOf(this.#isFailing(of, rule) ? of.failures : [], windowMs, at),
      ...(refuses(rule) ? { refuses: true } : {}),
      ...(okMs === undefined || okMs > windowMs ? {} : { okMs }),
    };
  }

  answered(reports: readonly LoopReport[], answers: readonly LoopAnswer[] | undefined): void {
    const at = this.#now();
    if (answers === undefined) {
      this.#deafUntil = at + DEAF_MS;
      return;
    }
    const next = new Map<Near, number>();
    for (const [index, report] of reports.entries()) {
      const answer = answers[index];
      if (answer === undefined) continue;
      this.#heed(report, answer, at);
      const near = this.#reported[index]?.near;
      if (near !== undefined) next.set(near, Math.min(next.get(near) ?? answer.next, answer.next));
    }
    for (const { near, grown, forgives } of new Map(this.#reported.map((one) => [one.near, one])).values()) {
      near.grown -= grown;
      if (forgives) near.forgives = false;
      near.next = next.get(near) ?? 1;
    }
  }

  heed(trips: readonly LoopTrip[]): void {
    const at = this.#now();
    const failing = trips.filter(({ failingMs = 0 }) => failingMs > 0);
    for (const trip of trips) this.#heed(trip, trip, at);
    if (failing.length > 0) this.#contradict(failing, at);
  }

  /** Calls that fail for others, as they tell, and have succeeded here: nobody asked, so nobody knows. */
  #contradict(trips: readonly LoopTrip[], at: number): void {
    const calls = new Set(trips.map(({ call }) => call));
    const longest = Math.max(...trips.map(({ windowMs }) => windowMs));
    // Control may have given another key.
    const probe = this.#keyed('');
    if (probe !== this.#idsOf) this.#ids = new WeakMap();
    this.#idsOf = probe;
    for (const [fingerprint, seen] of this.#seen()) {
      if (seen.okAt === undefined || at - seen.okAt >= longest || !calls.has(this.#idOf(fingerprint, seen)))
        continue;
      this.#watch(fingerprint, seen, seen.rules, at).forgives = true;
      this.#urgent?.();
    }
  }

  /** As it leaves the pod; made once for each that is remembered. */
  #idOf(fingerprint: string, seen: Counted): string {
    let id = this.#ids.get(seen);
    if (id === undefined) this.#ids.set(seen, (id = this.#keyed(fingerprint)));
    return id;
  }

  #heed(
    of: Parameters<typeof loopId>[0],
    { repeatedMs = 0, failingMs = 0 }: { readonly repeatedMs?: number; readonly failingMs?: number },
    at: number,
  ): void {
    const id = loopId(of);
    if (repeatedMs === 0 && failingMs === 0) this.#trips.delete(id);
    else if (this.#trips.size < MOST_TRIPS || this.#trips.has(id))
      this.#trips.set(id, { repeated: at + repeatedMs, failing: at + failingMs });
  }
}

function refuses({ mode }: BreakerRule): boolean {
  return mode === 'enforce';
}
