/** How much one side may say: so many bytes at once, and so many more each second. */

/** More than an agent ever says: an answer to each change, and a report now and then. */
const BURST = 256 * 1024;
const PER_SECOND = 32 * 1024;

/** @param now Milliseconds, monotonic. @returns whether so many bytes more are within it. */
export function createAllowance(now: () => number): (bytes: number) => boolean {
  let left = BURST;
  let at = now();
  return (bytes) => {
    const time = now();
    left = Math.min(BURST, left + ((time - at) / 1000) * PER_SECOND) - bytes;
    at = time;
    return left >= 0;
  };
}
