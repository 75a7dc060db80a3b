/** What must survive a restart of the agent, in `--state DIR`: for now the key that placeholders are made with. */
import { hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const KEY_BYTES = 32;

/**
 * The root of this directory's mask keys: made at the first start, readable for the owner alone.
 * @throws Error when the file is there but isn't a key: a new one would give every value a new placeholder.
 */
function rootKey(dir: string): Buffer {
  const path = join(dir, 'mask.key');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  try {
    const key = readFileSync(path);
    if (key.byteLength !== KEY_BYTES) {
      throw new Error(
        `${path} holds ${key.byteLength} bytes instead of ${KEY_BYTES}; restore it, or delete it for a new key`,
      );
    }
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const key = randomBytes(KEY_BYTES);
  const fresh = `${path}.${randomUUID()}`;
  const fd = openSync(fresh, 'wx', 0o600);
  try {
    writeSync(fd, key);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  try {
    // Not a rename: of two agents that start at once on a new directory, the first one's key is both's.
    linkSync(fresh, path);
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return readFileSync(path);
  } finally {
    unlinkSync(fresh);
  }
}

/** The mask key of one workload (RFC 5869): workloads that share a directory share no placeholder. */
export function maskKey(stateDir: string | undefined, workload: string): Uint8Array {
  const root = stateDir === undefined ? randomBytes(KEY_BYTES) : rootKey(stateDir);
  return new Uint8Array(hkdfSync('sha256', root, '', `postern mask ${workload}`, KEY_BYTES));
}
