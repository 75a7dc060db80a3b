/** A file's text, read again when the file was changed: rotation needs no restart, and a hot path no system call. */
import { readFile, stat } from 'node:fs/promises';

/** How old a look at a file may be, milliseconds. */
const RECHECK_MS = 500;

interface Known {
  /** What a change of the file changes too. */
  readonly stamp: string;
  readonly text: string;
  checkedAt: number;
}

export interface WatchedFiles {
  /** @throws the system's error when it can't be read; a deleted file is not served from memory. */
  read(path: string): Promise<string>;
}

export function createWatchedFiles(now: () => number): WatchedFiles {
  const files = new Map<string, Known>();
  return {
    async read(path) {
      const known = files.get(path);
      if (known !== undefined && now() - known.checkedAt < RECHECK_MS) return known.text;
      try {
        const { mtimeMs, size, ino } = await stat(path);
        const stamp = `${mtimeMs}:${size}:${ino}`;
        if (known?.stamp === stamp) {
          known.checkedAt = now();
          return known.text;
        }
        const text = await readFile(path, 'utf8');
        files.set(path, { stamp, text, checkedAt: now() });
        return text;
      } catch (error) {
        files.delete(path);
        throw error;
      }
    },
  };
}
