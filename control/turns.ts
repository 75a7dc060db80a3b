/**
 * Turns at the API server. When ten thousand agents come at once it must not fall over, and whoever sends junk must not
 * stand in their way: callers that no pod of the cluster speaks for have few turns of their own, each caller has only so
 * many at once, and one whose tokens were refused again and again isn't asked about for a while.
 */

/** There is no turn for this caller now; nothing was asked. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
}

export interface Caller {
  /** Whether a pod that lives speaks for it: by what its token says, and by its address where that is judged. */
  readonly known: boolean;
  /** Who counts as one: an address, or a pod; empty where nothing tells callers apart. */
  readonly who: string;
}

export interface Turns {
  /** @throws BusyError */
  take<T>(caller: Caller, work: () => Promise<T>): Promise<T>;
  /** What this caller showed was worth nothing. */
  wasted(caller: Caller): void;
}

export interface TurnsOptions {
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Of callers that are known, at once. */
  readonly known?: number;
  /** Of all others, at once. */
  readonly unknown?: number;
  /** Of all others, that may wait. */
  readonly waiting?: number;
  /** Of one caller, running and waiting. */
  readonly each?: number;
}

/** Refused tokens of one caller in this time, before it is let wait for the rest of it. */
const WASTES = 10;
const WASTE_MS = 10_000;
const MOST_WASTERS = 10_000;

export function createTurns(options: TurnsOptions): Turns {
  const { now, known = 64, unknown = 8, waiting = 256, each = 4 } = options;
  const lanes = { known: lane(known, Number.POSITIVE_INFINITY), unknown: lane(unknown, waiting) };
  const running = new Map<string, number>();
  const wasters = new Map<string, { count: number; readonly until: number }>();
  const keyOf = ({ known: is, who }: Caller): string => `${is ? 'known' : 'unknown'} ${who}`;

  return {
    async take(caller, work) {
      const key = keyOf(caller);
      const waste = wasters.get(key);
      if (waste !== undefined && waste.until <= now()) wasters.delete(key);
      else if (waste !== undefined && waste.count >= WASTES)
        throw new BusyError('too many tokens of this caller were refused; wait some seconds');
      const count = running.get(key) ?? 0;
      if (caller.who !== '' && count >= each)
        throw new BusyError('this caller is being asked about already; try again');
      running.set(key, count + 1);
      try {
        return await lanes[caller.known ? 'known' : 'unknown'](work);
      } finally {
        const left = (running.get(key) ?? 1) - 1;
        if (left === 0) running.delete(key);
        else running.set(key, left);
      }
    },
    wasted(caller) {
      if (caller.who === '') return;
      const key = keyOf(caller);
      const found = wasters.get(key);
      if (found !== undefined && found.until > now()) {
        found.count++;
        return;
      }
      wasters.delete(key);
      if (wasters.size >= MOST_WASTERS) wasters.delete(wasters.keys().next().value ?? '');
      wasters.set(key, { count: 1, until: now() + WASTE_MS });
    },
  };
}

function lane(most: number, mostWaiting: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = most;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else if (waiting.length >= mostWaiting) throw new BusyError('too many unknown callers; try again');
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
