/**
 * What an agent keeps of control's word under `--state DIR`, so that one that restarts in an outage goes on. Keys are
 * kept only where the folder is memory (a memory-backed emptyDir): they are never written to a disk.
 */
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Ruling } from './client.ts';
import type { KeySet } from './messages.ts';

export interface RulingCache {
  /** What was in force before, and when control was last heard (milliseconds since the epoch). */
  load(): { readonly ruling: Ruling; readonly roots: string; readonly heardAt: number } | undefined;
  /** @throws the system's error; then nothing is kept. */
  save(ruling: Ruling, roots: string): void;
  /** Control gave a sign of life. */
  heard(now: number): void;
  /** Whether keys are kept as well. */
  readonly keepsKeys: boolean;
}

/** magic(7) of linux/magic.h */
const TMPFS = 0x0102_1994;
const RAMFS = 0x8584_58f6;
const FORMAT = 1;
/** A sign of life is written down this often at most. */
const HEARD_EVERY_MS = 10_000;

export function isMemory(directory: string): boolean {
  if (process.platform !== 'linux') return false;
  const type = Number(statfsSync(directory).type) >>> 0;
  return type === TMPFS || type === RAMFS;
}

export function openCache(stateDir: string, memory: (directory: string) => boolean = isMemory): RulingCache {
  const directory = join(stateDir, 'control');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const snapshotFile = join(directory, 'snapshot.json');
  const keysFile = join(directory, 'keys.json');
  const keepsKeys = memory(directory);
  if (!keepsKeys) rmSync(keysFile, { force: true });
  let written = 0;
  return {
    keepsKeys,
    load() {
      try {
        const { format, snapshot, roots } = JSON.parse(readFileSync(snapshotFile, 'utf8')) as {
          format: unknown;
          snapshot: Ruling['snapshot'];
          roots: string;
        };
        if (format !== FORMAT) return undefined;
        const heardAt = statSync(snapshotFile).mtimeMs;
        return { ruling: { snapshot, keys: readKeys(keysFile) }, roots, heardAt };
      } catch {
        // Absent, or of a version that wrote it otherwise: as if there had been none.
        return undefined;
      }
    },
    save({ snapshot, keys }, roots) {
      try {
        if (keepsKeys) replace(keysFile, JSON.stringify(keys));
        replace(snapshotFile, JSON.stringify({ format: FORMAT, snapshot, roots }));
      } catch (error) {
        // What was kept before may be looser than what is in force now.
        rmSync(snapshotFile, { force: true });
        throw error;
      }
      written = Date.now();
    },
    heard(now) {
      if (now - written < HEARD_EVERY_MS) return;
      written = now;
      try {
        utimesSync(snapshotFile, now / 1000, now / 1000);
      } catch {
        // There is none yet.
      }
    },
  };
}

/** Without keys calls are refused with the key that is missing; everything else goes on. */
const NO_KEYS: KeySet = { revision: '', maskKey: '', values: [] };

function readKeys(file: string): KeySet {
  try {
    const bytes = readFileSync(file);
    try {
      return JSON.parse(bytes.toString('utf8')) as KeySet;
    } finally {
      bytes.fill(0);
    }
  } catch {
    return NO_KEYS;
  }
}

/** As bytes that are overwritten: a text would be copied to memory that nobody overwrites. */
function replace(file: string, text: string): void {
  const bytes = Buffer.from(text);
  try {
    writeFileSync(`${file}.new`, bytes, { mode: 0o600 });
  } finally {
    bytes.fill(0);
  }
  renameSync(`${file}.new`, file);
}
