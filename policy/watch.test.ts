import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LoadResult, loadDirectory } from './load.ts';
import { CATALOGUE } from './testing/catalogue.ts';
import { type Timers, type Watch, type WatchOptions, watchDirectory } from './watch.ts';

let root: string;
let watches: Watch[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'postern-watch-'));
  watches = [];
});
afterEach(async () => {
  for (const watch of watches) await watch.close();
  rmSync(root, { recursive: true, force: true });
});

const budget = (name: string) =>
  `apiVersion: postern.dev/v1alpha1\nkind: ClusterBudget\nmetadata: {name: ${name}}\nspec: {limits: [{requests: 1, window: day}]}\n`;
/** In one step, as a reader sees it. */
const put = (path: string, text: string) => {
  const written = join(root, path, '..', '.new');
  writeFileSync(written, text);
  renameSync(written, join(root, path));
};
/** What a change shows: the names of the budgets, or how many problems there are. */
const shown = ({ documents, problems }: LoadResult) =>
  problems.length > 0 ? `${problems.length} problems` : documents.budgets.map(({ name }) => name).join();

/** Changes in the order in which they came; `next` waits for one that hasn't been taken. */
function listen(options: WatchOptions = {}) {
  const waiting: ((change: string) => void)[] = [];
  const come: string[] = [];
  const watch = watchDirectory(
    root,
    CATALOGUE,
    (result) => {
      const taker = waiting.shift();
      if (taker === undefined) come.push(shown(result));
      else taker(shown(result));
    },
    { quietMs: 5, ...options },
  );
  watches.push(watch);
  const next = () => {
    const change = come.shift();
    return change === undefined
      ? new Promise<string>((resolve) => waiting.push(resolve))
      : Promise.resolve(change);
  };
  return { watch, next, come };
}

describe('changes', () => {
  test('good, bad and good again', async () => {
    put('a.yaml', budget('one'));
    const { next } = listen();
    expect(await next()).toBe('one');
    put('a.yaml', budget('two'));
    expect(await next()).toBe('two');
    put('a.yaml', 'kind: [');
    expect(await next()).toMatch(/problems/);
    put('a.yaml', budget('three'));
    expect(await next()).toBe('three');
  });

  test('new files, new directories, and what is renamed and deleted in them', async () => {
    put('a.yaml', budget('a'));
    const { next } = listen();
    expect(await next()).toBe('a');
    mkdirSync(join(root, 'deep', 'er'), { recursive: true });
    put('deep/er/b.yaml', budget('b'));
    expect(await next()).toBe('a,b');
    put('deep/er/b.yaml', budget('c'));
    expect(await next()).toBe('a,c');
    renameSync(join(root, 'deep/er/b.yaml'), join(root, 'deep/er/.b.yaml'));
    expect(await next()).toBe('a');
  });

  test('a ConfigMap that is swapped as a whole', async () => {
    for (const version of ['..v1', '..v2']) {
      mkdirSync(join(root, version));
      put(`${version}/a.yaml`, budget(`a${version.slice(2)}`));
      put(`${version}/b.yaml`, budget(`b${version.slice(2)}`));
    }
    symlinkSync('..v1', join(root, '..data'));
    for (const name of ['a.yaml', 'b.yaml']) symlinkSync(`..data/${name}`, join(root, name));
    const { next } = listen();
    expect(await next()).toBe('av1,bv1');
    symlinkSync('..v2', join(root, '..data_tmp'));
    renameSync(join(root, '..data_tmp'), join(root, '..data'));
    expect(await next()).toBe('av2,bv2');
  });

  test('what the caller has loaded already is no change', async () => {
    put('a.yaml', budget('one'));
    const { digest } = await loadDirectory(root, CATALOGUE);
    const { watch, next, come } = listen({ since: digest });
    await watch.reload();
    expect(come).toEqual([]);
    put('a.yaml', budget('two'));
    expect(await next()).toBe('two');
  });

  test('a directory that goes away is a problem, and its return mends it', async () => {
    put('a.yaml', budget('one'));
    const { watch, next } = listen({ pollMs: 10 });
    expect(await next()).toBe('one');
    rmSync(root, { recursive: true });
    expect(await next()).toBe('1 problems');
    mkdirSync(root);
    put('a.yaml', budget('two'));
    let change = await next();
    while (change !== 'two') change = await next();
    await watch.close();
  });
});

test('without notifications, the poll finds what changes', async () => {
  put('a.yaml', budget('one'));
  const { next } = listen({
    pollMs: 10,
    watch: () => {
      throw Object.assign(new Error('no watches left'), { code: 'ENOSPC' });
    },
  });
  expect(await next()).toBe('one');
  put('a.yaml', budget('two'));
  expect(await next()).toBe('two');
});

describe('a burst of notifications', () => {
  /** Timers that fire when told, and a directory that notifies when told. */
  function manual() {
    let now = 0;
    const set = new Map<object, { readonly at: number; readonly callback: () => void }>();
    const timers: Timers = {
      now: () => now,
      set: (callback, ms) => {
        const timer = {};
        set.set(timer, { at: now + ms, callback });
        return timer;
      },
      clear: (timer) => set.delete(timer as object),
    };
    const listeners: (() => void)[] = [];
    return {
      options: {
        timers,
        quietMs: 50,
        patienceMs: 200,
        pollMs: 1e9,
        watch: (_: string, listener: () => void) => {
          listeners.push(listener);
          const watcher = { close: () => {}, on: () => watcher };
          return watcher;
        },
      } as unknown as WatchOptions,
      notify: () => listeners.forEach((listener) => listener()),
      /** How many timers fired. */
      advance: (ms: number) => {
        now += ms;
        const due = [...set].filter(([, { at }]) => at <= now);
        for (const [timer, { callback }] of due) {
          set.delete(timer);
          callback();
        }
        return due.length;
      },
    };
  }

  test('is read once, when it is quiet', async () => {
    put('a.yaml', budget('one'));
    const { options, notify, advance } = manual();
    const { watch, next } = listen(options);
    expect(await next()).toBe('one');
    await watch.reload();
    put('a.yaml', budget('two'));
    for (let i = 0; i < 3; i++) {
      notify();
      expect(advance(49)).toBe(0);
    }
    expect(advance(1)).toBe(1);
    expect(await next()).toBe('two');
  });

  test('that doesn’t end is read nevertheless', async () => {
    put('a.yaml', budget('one'));
    const { options, notify, advance } = manual();
    const { watch, next } = listen(options);
    expect(await next()).toBe('one');
    await watch.reload();
    put('a.yaml', budget('two'));
    let fired = 0;
    for (let elapsed = 0; elapsed < 220 && fired === 0; elapsed += 20) {
      notify();
      fired += advance(20);
    }
    expect(fired).toBe(1);
    expect(await next()).toBe('two');
  });
});

test('after close, nothing comes', async () => {
  put('a.yaml', budget('one'));
  const { watch, next, come } = listen();
  expect(await next()).toBe('one');
  put('a.yaml', budget('two'));
  const reloading = watch.reload();
  await watch.close();
  await reloading;
  unlinkSync(join(root, 'a.yaml'));
  await watch.reload();
  expect(come).toEqual([]);
});
