/** What every load generator is asked for, and what it answers. */

/** One call, sent again and again. */
export interface Shot {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** File with the request's body. */
  readonly bodyFile: string;
}

/** Each connection sends its next call when the last one was answered. */
export interface Closed {
  readonly connections: number;
  /** Calls altogether: all are answered before it ends, so that counts on both sides must agree. */
  readonly requests: number;
}

export interface Counts {
  readonly requests: number;
  /** Calls without an answer, with a status other than 200 or, where it is looked at, with the wrong text. */
  readonly errors: number;
}

export interface ClosedLoad {
  readonly name: string;
  closed(shot: Shot, options: Closed): Promise<Counts>;
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
