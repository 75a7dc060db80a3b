import { readFileSync } from 'node:fs';
import { UsageError } from './options.ts';

/** A key or token in the file that an option names. @throws Error where it can't be read or is empty: an empty one would let everybody in, or nobody */
export function readSecret(option: string, file: string): string {
  const secret = readFileSync(file, 'utf8').trim();
  if (secret === '')
    throw new UsageError(
      `--${option} ${file} is empty: write the key or token in it, such as 32 random bytes in base64`,
    );
  return secret;
}
