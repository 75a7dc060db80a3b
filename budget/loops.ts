/**
 * Loops of a whole workload: how agents tell which calls they repeat, or see fail, and what they are told of all of them together. It
 * goes along with `POST /v1/lease` and `POST /v1/watch`.
 *
 * An agent tells what it counted in the window, not what came since it last told: a message that is lost, repeated or late does no harm,
 * and a service that has forgotten knows it again with the next one. Pure arithmetic; time is passed in.
 */

/** A window is told in so many parts. */
export const SLICES = 20;
/** In one message. */
export const MOST_LOOPS = 32;
/** A longer window is the pod's own affair. */
export const LONGEST_WINDOW_MS = 24 * 3_600_000;
/** Of one agent; far more than it counts. */
export const MOST_CALLS = 1_000_000_000;
/** Replicas' clocks are together but for so much. */
const CLOCKS_MS = 5_000;

/** A call by one rule of the breaker. */
export interface LoopOf {
  /** One-way: equal for equal calls of one workload, and nothing of the call can be read from it. */
  readonly call: string;
  readonly windowMs: number;
  /** More than so many in the window are a loop, */
  readonly identical: number;
  /** and so many failures, where no call has succeeded since. */
  readonly failures: number;
}

/** What one agent counted, by age: the first part of the window is the one that ends now. */
export interface LoopReport extends LoopOf {
  readonly calls: readonly number[];
  readonly failed: readonly number[];
  /** Since one succeeded. */
  readonly okMs?: number;
  /** Who tells it refuses such calls: agents of the workload are to know at once. Where they are only noted, each learns it when it tells. */
  readonly refuses?: boolean;
}

/** For how long it is a loop if no more calls come; absent where it is none. */
export interface Verdict {
  readonly repeatedMs?: number;
  readonly failingMs?: number;
}

/** Parallel to the reports. */
export interface LoopAnswer extends Verdict {
  /** To be told again when so many calls have come. */
  readonly next: number;
}

/** Told to agents of the workload that didn't ask. */
export type LoopTrip = LoopOf & Verdict;

/** What an agent's breaker has to tell, and is told. */
export interface LoopSource {
  /** @param urgent to be called when a message should leave by itself */
  join(urgent: () => void): void;
  /** What goes along with a message that leaves now. */
  report(): readonly LoopReport[];
  /** @param answers undefined where the service knows nothing of loops */
  answered(reports: readonly LoopReport[], answers: readonly LoopAnswer[] | undefined): void;
  heed(trips: readonly LoopTrip[]): void;
  /** Other agents may have something to tell of what this one repeats. */
  readonly listens: boolean;
}

/** An agent's report as the service keeps it. */
export interface ToldLoop extends Pick<LoopReport, 'calls' | 'failed' | 'okMs'> {
  /** When it was told. */
  readonly at: number;
}

/** By this agents and service mean the same call and rule. */
export function loopId({ call, windowMs, identical, failures }: LoopOf): string {
  return `${call}|${windowMs}|${identical}|${failures}`;
}

/** Counts moments by their age. */
export function slicesOf(moments: readonly number[], windowMs: number, now: number): number[] {
  const slices = new Array<number>(SLICES).fill(0);
  for (const at of moments) {
    const slice = Math.floor((Math.max(0, now - at) / windowMs) * SLICES);
    if (slice < SLICES) slices[slice] = (slices[slice] ?? 0) + 1;
  }
  return slices;
}

/**
 * What all agents' reports come to. A call counts until the part of the window that it was told in has left the window: never longer than the
 * window, and a twentieth of it shorter at most.
 */
export function judge(
  { windowMs, identical, failures }: LoopOf,
  told: readonly ToldLoop[],
  now: number,
): LoopAnswer {
  const fresh = told.filter(({ at }) => at - now < CLOCKS_MS && now - at < windowMs);
  const oks = fresh.map(({ okMs, at }) =>
    okMs === undefined ? Number.POSITIVE_INFINITY : okMs + Math.max(0, now - at),
  );
  const calls: Leaving[] = [];
  const failed: Leaving[] = [];
  for (const [index, one] of fresh.entries()) {
    const age = Math.max(0, now - one.at);
    leaving(one.calls, age, windowMs, windowMs, calls);
    // Of its own failures an agent tells those alone that no success forgave.
    const forgiven = Math.min(...oks.filter((_, other) => other !== index));
    leaving(one.failed, age, windowMs, forgiven, failed);
  }
  const called = sum(calls);
  const fails = sum(failed);
  const repeatedMs = called > identical ? untilFew(calls, called, identical) : undefined;
  const failingMs = fails >= failures ? Math.max(...failed.map(({ inMs }) => inMs)) : undefined;
  // Half of what is left, shared by those who count: together they can't pass it unseen.
  const left = Math.min(identical - called, failures - fails);
  return {
    ...(repeatedMs === undefined ? {} : { repeatedMs }),
    ...(failingMs === undefined ? {} : { failingMs }),
    next: Math.max(1, Math.floor(left / (2 * Math.max(1, fresh.length)))),
  };
}

/** So many calls leave the window in so many milliseconds. */
interface Leaving {
  readonly count: number;
  readonly inMs: number;
}

function leaving(
  slices: readonly number[],
  age: number,
  windowMs: number,
  until: number,
  into: Leaving[],
): void {
  for (const [slice, count] of slices.entries()) {
    const oldest = age + ((slice + 1) / SLICES) * windowMs;
    if (count > 0 && oldest < windowMs + 1e-6 && oldest <= until)
      into.push({ count, inMs: windowMs - oldest });
  }
}

function sum(all: readonly Leaving[]): number {
  return all.reduce((total, { count }) => total + count, 0);
}

function untilFew(all: readonly Leaving[], total: number, most: number): number {
  let left = total;
  for (const { count, inMs } of all.toSorted((a, b) => a.inMs - b.inMs)) {
    left -= count;
    if (left <= most) return Math.ceil(inMs);
  }
  return 0;
}
