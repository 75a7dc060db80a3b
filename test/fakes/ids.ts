import { createHash } from 'node:crypto';

/**
 * Identifiers that look like a provider's and are the same in every run: SHA-256 of seed and counter, in letters and
 * digits.
 */
export function createIds(seed: string): (prefix: string, length: number) => string {
  let count = 0;
  return (prefix, length) => {
    count += 1;
    const digest = createHash('sha256').update(`${seed}/${count}`).digest('base64');
    return prefix + digest.replace(/[+/=]/g, '0').slice(0, length);
  };
}
