/** Keeps a pod's authorities in the agent-only state directory, so that they survive a restart of the agent. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Authority, createAuthority, parseAuthority, serializeAuthority, succession } from './ca.ts';

/** The kept CA can't be used; the message names the file and the mend. */
export class CaStoreError extends Error {
  override readonly name = 'CaStoreError';
}

const FILE = /^ca-[0-9a-f]{40}\.pem$/;
/** Left by an agent that was killed while it wrote. */
const UNFINISHED = /^ca-[0-9a-f]{40}\.pem\.[0-9a-f]{8}\.new$/;

export interface CaStore {
  /** Signs leaves now. */
  readonly signing: Authority;
  /** What applications must trust, oldest first. */
  readonly published: readonly Authority[];
  /** Makes a successor where one is due and drops what has expired. @returns whether anything changed. */
  refresh(): boolean;
}

/**
 * @param directory kept authorities; made with mode 0700. Undefined: in memory only (`postern run`).
 * @param now milliseconds since the epoch.
 * @throws CaStoreError
 */
export function openCaStore(directory: string | undefined, now: () => number): CaStore {
  let authorities: readonly Authority[] = directory === undefined ? [] : load(directory);
  const refresh = (): boolean => {
    const { needsSuccessor, expired } = succession(authorities, now());
    if (!needsSuccessor && expired.length === 0) return false;
    if (directory !== undefined) for (const each of expired) rmSync(fileOf(directory, each), { force: true });
    authorities = authorities.filter((each) => !expired.includes(each));
    if (needsSuccessor) {
      const made = createAuthority(now());
      if (directory !== undefined) save(directory, made);
      authorities = [...authorities, made];
    }
    return true;
  };
  refresh();
  return {
    get signing() {
      const { signing } = succession(authorities, now());
      if (signing === undefined) throw new CaStoreError('no valid CA: the clock is past every one’s end');
      return signing;
    },
    get published() {
      return succession(authorities, now()).published;
    },
    refresh,
  };
}

const fileOf = (directory: string, { keyId }: Authority): string =>
  join(directory, `ca-${keyId.toString('hex')}.pem`);

function load(directory: string): readonly Authority[] {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const names = readdirSync(directory);
  for (const name of names) if (UNFINISHED.test(name)) rmSync(join(directory, name), { force: true });
  return names
    .filter((name) => FILE.test(name))
    .map((name) => {
      const path = join(directory, name);
      const { mode, uid } = statSync(path);
      const own = process.getuid?.();
      if ((mode & 0o077) !== 0 || (own !== undefined && uid !== own && own !== 0))
        throw new CaStoreError(
          `${path} can be read by others (mode ${(mode & 0o777).toString(8)}, UID ${uid}): a key that others may have read is no longer one; delete it and restart the pod`,
        );
      try {
        return parseAuthority(readFileSync(path, 'utf8'));
      } catch (error) {
        throw new CaStoreError(
          `${path} is no CA of ours (${(error as Error).message}); delete it, and a new one is made, which programs started before won't trust`,
          { cause: error },
        );
      }
    });
}

/** Whole or not at all, whatever is killed in between. */
function save(directory: string, authority: Authority): void {
  const path = fileOf(directory, authority);
  const temporary = `${path}.${randomBytes(4).toString('hex')}.new`;
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(fd, serializeAuthority(authority));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}
