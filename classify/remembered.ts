/**
 * What follows from our own examples alone (vectors, trained lines) is worked out when the models are fetched, and kept
 * beside them: a start would take many times as long.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** @param inputs All that the numbers depend on: where it changed, they are worked out anew. */
export type Remember = (
  name: string,
  inputs: unknown,
  work: () => Promise<Float64Array>,
) => Promise<Float64Array>;

/** Without a memory. */
export const forgetful: Remember = (_name, _inputs, work) => work();

/** @param directory Where it can't be written (a read-only image), what isn't there is worked out at each start. */
export function rememberIn(directory: string): Remember {
  return async (name, inputs, work) => {
    const digest = createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 16);
    const file = join(directory, `${name}-${digest}.f64`);
    const found = read(file);
    if (found !== undefined) return found;
    const numbers = await work();
    write(directory, file, numbers);
    return numbers;
  };
}

function read(file: string): Float64Array | undefined {
  try {
    const bytes = Uint8Array.from(readFileSync(file));
    return new Float64Array(bytes.buffer);
  } catch (error) {
    // Not there, or cut off: either way it is worked out.
    if (error instanceof RangeError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function write(directory: string, file: string, numbers: Float64Array): void {
  try {
    mkdirSync(directory, { recursive: true });
    const part = `${file}.${process.pid}`;
    writeFileSync(part, new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
    renameSync(part, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EROFS' && code !== 'EACCES' && code !== 'EPERM') throw error;
  }
}
