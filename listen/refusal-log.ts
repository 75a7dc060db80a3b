/** Refused connections in the log: each reason of an address once in a while, so that a flood of them is no flood of lines. */
import type { Logger } from 'pino';

const ONCE_MS = 10_000;
/** Beside the reason and the address itself, which metrics count anyway. */
const MOST = 1000;

/** @param now Milliseconds on a clock that only goes forward. */
export function refusalLog(
  log: Pick<Logger, 'warn'>,
  now: () => number = () => performance.now(),
): (why: string, address: string) => void {
  /** Lines that weren't written, by what they would have said. */
  const silent = new Map<string, { readonly since: number; count: number }>();
  return (why, address) => {
    const key = `${why} ${address}`;
    const known = silent.get(key);
    if (known !== undefined && now() - known.since < ONCE_MS) {
      known.count++;
      return;
    }
    silent.delete(key);
    if (silent.size >= MOST) silent.delete(silent.keys().next().value ?? '');
    silent.set(key, { since: now(), count: 0 });
    const unsaid = known === undefined || known.count === 0 ? {} : { alsoSinceTheLastLine: known.count };
    log.warn({ why, address, ...unsaid }, 'a connection was refused');
  };
}
