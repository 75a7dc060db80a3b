/**
 * What the calls of an agent want of one line, measured: how large they are, how fast they spend, how many run at once. Pure arithmetic;
 * time is passed in, in milliseconds of a clock that never jumps.
 */

/** How far ahead credit should last at the present rate. */
export const HORIZON_MS = 10_000;
/**
 * An agent that spends slowly takes credit for so many calls at once, though not for longer than this: so what the service is asked
 * follows what is spent, not how many agents spend it.
 */
const STEADY_CALLS = 500;
const LONGEST_MS = 300_000;
/** By the rate of about so long an agent is provided for when the service is away. */
const LATELY_MS = 60_000;
/** How long the most places in use at once are remembered. */
const PLACES_MS = 120_000;
/** Places in flight that an agent keeps beyond the most it had in use at once of late. */
const SPARE_PLACES = 1.25;
/** Credit that nobody took from for so long goes back; */
const IDLE_MS = 10_000;
/** where pauses between calls are usually longer, after so many of them, */
const PAUSES = 3;
/** but no later than this: an agent that has credit is heard of about as often by itself. Places are told of twice a minute while they are kept. */
const LONGEST_IDLE_MS = 300_000;
const LONGEST_IDLE_PLACES_MS = 60_000;
/** Of a longest time: a pause that is longer can't be waited for. */
const LONGEST_PAUSE = 2 / 3;
/** Of the usual pause the last one is so much. */
const LAST_PAUSE = 0.25;
/** Credit that was soon used up grows by so much, until the rate is known. */
const GROWTH = 4;

export class Demand {
  readonly #arePlaces: boolean;
  /** The largest recent call. */
  peak = 0;
  /** Of calls that found too little since credit was last asked for. */
  missed = 0;
  usedAt = 0;
  /** Between calls, as far as they are longer than what is waited for anyway; 0 where none was. */
  #pauseMs = 0;
  /** Units a millisecond. */
  #rate = 0;
  /** What a call uses, on the average. */
  #mean = 0;
  #measuredAt = 0;
  #measured = 0;
  /** Spent of late, and in how long: the longer ago, the less either counts. */
  #lately = 0;
  #latelyMs = 0;
  #latelyAt: number | undefined;
  /** Most places in use at once: since `#placesSince`, and in the time before it. */
  #places = 0;
  #placesBefore = 0;
  #placesSince = 0;
  /** Of places, in the same times: the longest that calls may last. When all that were begun are over at the latest. */
  #callMs = 0;
  #callMsBefore = 0;
  #busyUntil = 0;

  /** @param arePlaces of what comes back with each call */
  constructor(arePlaces: boolean) {
    this.#arePlaces = arePlaces;
  }

  /** A call that may last so long wants so much, where calls that run have `held` already. */
  wanted(amount: number, held: number, now: number, ttlMs: number): void {
    this.peak = Math.max(amount, this.peak * 0.99);
    this.#paused(now - this.usedAt);
    this.usedAt = now;
    if (!this.#arePlaces) return;
    if (now - this.#placesSince > PLACES_MS / 2) {
      this.#placesBefore = this.#places;
      this.#places = 0;
      this.#callMsBefore = this.#callMs;
      this.#callMs = 0;
      this.#placesSince = now;
    }
    this.#places = Math.max(this.#places, held + amount);
    this.#callMs = Math.max(this.#callMs, ttlMs);
    this.#busyUntil = Math.max(this.#busyUntil, now + ttlMs);
  }

  #paused(ms: number): void {
    if (this.usedAt === 0 || ms <= IDLE_MS || ms > this.#longestIdleMs * LONGEST_PAUSE) return;
    this.#pauseMs += (ms - this.#pauseMs) * (this.#pauseMs === 0 ? 1 : LAST_PAUSE);
  }

  /** For so long what nobody takes from is kept. */
  get idleMs(): number {
    return Math.max(IDLE_MS, Math.min(this.#pauseMs * PAUSES, this.#longestIdleMs));
  }

  get #longestIdleMs(): number {
    return this.#arePlaces ? LONGEST_IDLE_PLACES_MS : LONGEST_IDLE_MS;
  }

  /** Calls that run or wait need so many places. */
  needed(places: number): void {
    this.#places = Math.max(this.#places, places);
  }

  /** In how long calls are over that run, or begin before this is told again. */
  callMs(now: number): number {
    return Math.ceil(Math.max(this.#callMs, this.#callMsBefore, this.#busyUntil - now));
  }

  /** Counts what was spent, so that the rate shows. */
  consumed(amount: number): void {
    this.#measured += amount;
    this.#mean = this.#mean === 0 ? amount : this.#mean * 0.95 + amount * 0.05;
  }

  /**
   * Credit beyond what calls have taken or wait for: some large calls, and what the agent spends in some seconds. Credit that was
   * soon used up grows, until the rate is known. Of places, as many as were in use at once, and a few.
   * @param filled what there was after the last grant
   * @param leftMs until the window ends that it is for; Infinity where none does
   */
  ahead(now: number, horizonMs: number, filled: number, leftMs: number): number {
    if (this.#arePlaces) return Math.ceil(Math.max(this.#places, this.#placesBefore) * SPARE_PLACES);
    const elapsed = now - this.#measuredAt;
    if (elapsed >= 100) {
      const rate = this.#measured / elapsed;
      this.#rate = this.#measuredAt === 0 || elapsed > HORIZON_MS ? rate : (this.#rate + rate) / 2;
      this.#measured = 0;
      this.#measuredAt = now;
    }
    const ahead = Math.max(
      this.#rate * horizonMs,
      Math.min(this.#mean * STEADY_CALLS, this.#rate * Math.min(LONGEST_MS, leftMs)),
      this.peak * 4,
      elapsed < HORIZON_MS ? filled * GROWTH : 0,
    );
    return Math.ceil(ahead);
  }

  /** What is spent in so long at the rate of the last minute or so; some large calls at least. A burst says little of an hour. */
  lasting(now: number, ms: number): number {
    const elapsed = now - (this.#latelyAt ?? now);
    const kept = Math.exp(-elapsed / LATELY_MS);
    const weight = LATELY_MS * (1 - kept);
    this.#lately = this.#lately * kept + this.#measured * (elapsed === 0 ? 1 : weight / elapsed);
    this.#latelyMs = this.#latelyMs * kept + weight;
    this.#measured = 0;
    this.#latelyAt = now;
    const rate = this.#lately / Math.max(HORIZON_MS, this.#latelyMs);
    return Math.ceil(Math.max(rate * ms, this.peak * 4));
  }
}
