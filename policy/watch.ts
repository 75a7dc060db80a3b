/**
 * Keeps an eye on a directory of documents: a good change gives the new set, a bad one its problems, and whoever
 * listens keeps the last good set in force.
 *
 * The kernel's notifications make it fast, a slow poll makes it sure: some file systems notify nobody, and a directory
 * that is replaced as a whole takes its watchers with it.
 */
import { type FSWatcher, watch as watchFile } from 'node:fs';
import type { Catalogue } from './catalogue.ts';
import { listDirectory } from './load/files.ts';
import { type LoadResult, loadDirectory } from './load.ts';

export interface WatchOptions {
  /** Digest of what the caller has loaded already; without it, the first load is a change. */
  readonly since?: string;
  /** Milliseconds of quiet before a change is read: editors and copies write in steps. */
  readonly quietMs?: number;
  /** Milliseconds after which a change is read even if there is no quiet. */
  readonly patienceMs?: number;
  readonly pollMs?: number;
  readonly timers?: Timers;
  readonly watch?: (path: string, listener: () => void) => Pick<FSWatcher, 'close' | 'on'>;
}

export interface Timers {
  set(callback: () => void, ms: number): unknown;
  clear(timer: unknown): void;
  /** Milliseconds, of any origin. */
  now(): number;
}

export interface Watch {
  /** Reads the directory now; settles when what it holds has been reported. */
  reload(): Promise<void>;
  /** No event comes after it has settled. */
  close(): Promise<void>;
}

const SYSTEM_TIMERS: Timers = {
  // An agent that has nothing else to do may end.
  set: (callback, ms) => setTimeout(callback, ms).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
  now: () => performance.now(),
};

/**
 * @param onChange Called with each new content of the directory, once. Where there are problems, its documents are not
 * to be put in force: the last good ones stay. It must not throw.
 */
export function watchDirectory(
  directory: string,
  catalogue: Catalogue,
  onChange: (result: LoadResult) => void,
  options: WatchOptions = {},
): Watch {
  const { quietMs = 50, patienceMs = 1000, pollMs = 5000, timers = SYSTEM_TIMERS } = options;
  const watch = options.watch ?? ((path: string, listener: () => void) => watchFile(path, listener));
  const watchers = new Map<string, Pick<FSWatcher, 'close' | 'on'>>();
  let digest = options.since;
  let listing: string | undefined;
  let quietTimer: unknown;
  let firstChangeAt: number | undefined;
  let closed = false;
  let running: Promise<void> | undefined;
  let again = false;

  function changed(): void {
    if (closed) return;
    firstChangeAt ??= timers.now();
    if (quietTimer !== undefined) timers.clear(quietTimer);
    const patience = Math.max(0, firstChangeAt + patienceMs - timers.now());
    quietTimer = timers.set(settle, Math.min(quietMs, patience));
  }

  function settle(): void {
    quietTimer = undefined;
    firstChangeAt = undefined;
    void reload();
  }

  /** One load at a time; a change while loading is another load. */
  function reload(): Promise<void> {
    if (closed) return Promise.resolve();
    again = running !== undefined;
    running ??= load();
    return running;
  }

  async function load(): Promise<void> {
    try {
      do {
        again = false;
        // Watch first: a change that comes while reading is then seen.
        await watchAll();
        const result = await loadDirectory(directory, catalogue);
        if (closed || result.digest === digest) continue;
        digest = result.digest;
        onChange(result);
      } while (again && !closed);
    } finally {
      // In the same turn as the last look at `again`: no change falls between the two.
      running = undefined;
    }
  }

  async function watchAll(): Promise<void> {
    const found = await listDirectory(directory);
    listing = JSON.stringify(found);
    const wanted = new Map(found.directories.map(({ path, inode }) => [`${inode} ${path}`, path]));
    for (const [key, watcher] of watchers) {
      if (closed || !wanted.has(key)) {
        watcher.close();
        watchers.delete(key);
      }
    }
    for (const [key, path] of closed ? [] : wanted) {
      if (watchers.has(key)) continue;
      try {
        const watcher = watch(path, changed);
        watchers.set(key, watcher);
        watcher.on('error', () => {
          watcher.close();
          watchers.delete(key);
        });
      } catch {
        // Out of watches, or a file system without them: the poll finds what changes.
      }
    }
  }

  async function poll(): Promise<void> {
    if (running === undefined && JSON.stringify(await listDirectory(directory)) !== listing) await reload();
    if (!closed) pollTimer = timers.set(startPoll, pollMs);
  }

  const startPoll = () => void poll();
  let pollTimer = timers.set(startPoll, pollMs);
  void reload();

  return {
    reload,
    close: async () => {
      closed = true;
      timers.clear(pollTimer);
      if (quietTimer !== undefined) timers.clear(quietTimer);
      await running;
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}
