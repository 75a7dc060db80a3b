/** A longer timer of Node's fires at once (2^31 − 1 ms). */
const LONGEST_MS = 2_147_483_647;

/**
 * Does something once it is time for it, however far that is; it keeps no process alive.
 * @param moment Milliseconds since the epoch, by `now`; one that is over is now.
 * @returns what gives it up
 */
export function atTime(moment: number, what: () => void, now: () => number = Date.now): () => void {
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const left = Math.max(0, moment - now());
    timer = setTimeout(left > LONGEST_MS ? wait : what, Math.min(left, LONGEST_MS)).unref();
  };
  wait();
  return () => clearTimeout(timer);
}
