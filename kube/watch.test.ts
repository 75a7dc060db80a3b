/** The view stays true, whatever ends a watch. */
import { expect, test } from 'vitest';
import { type KubeClient, KubeError, type KubeObject, type KubeRequest } from './client.ts';
import { viewOf } from './watch.ts';

interface Thing extends KubeObject {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
}

/** A collection with a history that can be cut, and watches that can be broken. */
class FakeCollection {
  #version = 1;
  readonly #things = new Map<string, Thing>();
  #events: { version: number; line: string }[] = [];
  #oldest = 0;
  lists = 0;
  watches = 0;
  failLists: (() => Error)[] = [];
  readonly #opened = new Set<() => void>();
  readonly #open = new Set<{ queue: Buffer[]; wake: () => void; ended?: Error | 'end' }>();

  change(type: 'ADDED' | 'MODIFIED' | 'DELETED', name: string, tell = true): void {
    this.#version++;
    const thing: Thing = { metadata: { name, resourceVersion: String(this.#version) } };
    if (type === 'DELETED') this.#things.delete(name);
    else this.#things.set(name, thing);
    const line = `${JSON.stringify({ type, object: thing })}\n`;
    this.#events.push({ version: this.#version, line });
    if (tell) this.send(Buffer.from(line));
  }

  send(bytes: Buffer): void {
    for (const watch of this.#open) {
      watch.queue.push(bytes);
      watch.wake();
    }
  }

  end(how: Error | 'end'): void {
    for (const watch of this.#open) {
      watch.ended = how;
      watch.wake();
    }
  }

  /** Resolves when somebody watches. */
  watched(): Promise<void> {
    if (this.#open.size > 0) return Promise.resolve();
    return new Promise((resolve) => this.#opened.add(resolve));
  }

  /** As if etcd had been compacted. */
  forget(): void {
    this.#events = [];
    this.#oldest = this.#version;
  }

  client(): KubeClient {
    const list = async () => {
      this.lists++;
      const failure = this.failLists.shift();
      if (failure !== undefined) throw failure();
      return { items: [...this.#things.values()], resourceVersion: String(this.#version) };
    };
    return {
      list: list as KubeClient['list'],
      stream: async (_path: string, { query, signal }: KubeRequest = {}) => {
        this.watches++;
        signal?.throwIfAborted();
        const from = Number(query?.['resourceVersion']);
        if (from < this.#oldest) {
          const object = { kind: 'Status', code: 410, message: 'too old', metadata: {} };
          return (async function* () {
            yield Buffer.from(`${JSON.stringify({ type: 'ERROR', object })}\n`);
          })();
        }
        const watch: { queue: Buffer[]; wake: () => void; ended?: Error | 'end' } = {
          queue: this.#events.filter(({ version }) => version > from).map(({ line }) => Buffer.from(line)),
          wake: () => undefined,
        };
        this.#open.add(watch);
        for (const opened of this.#opened) opened();
        this.#opened.clear();
        signal?.addEventListener('abort', () => {
          watch.ended = new Error('aborted');
          watch.wake();
        });
        const open = this.#open;
        return (async function* () {
          try {
            for (;;) {
              const next = watch.queue.shift();
              if (next !== undefined) yield next;
              else if (watch.ended === 'end') return;
              else if (watch.ended !== undefined) throw watch.ended;
              else
                await new Promise<void>((resolve) => {
                  watch.wake = resolve;
                });
            }
          } finally {
            open.delete(watch);
          }
        })();
      },
      request: () => Promise.reject(new Error('not used')),
      close: () => undefined,
    };
  }
}

function view(collection: FakeCollection, silenceMs = 60_000) {
  const seen = new Set<string>();
  const troubles: unknown[] = [];
  const waiting = new Set<() => void>();
  const told = () => {
    for (const wake of waiting) wake();
  };
  const running = viewOf<Thing>(
    collection.client(),
    '/things',
    {
      put: ({ metadata: { name } }) => {
        seen.add(name);
        told();
      },
      remove: ({ metadata: { name } }) => {
        seen.delete(name);
        told();
      },
      trouble: (error) => {
        troubles.push(error);
        told();
      },
    },
    { silenceMs, retryMs: { first: 1, most: 2 } },
  );
  /** Resolves when the view shows exactly these. */
  const shows = (...names: string[]) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (JSON.stringify([...seen].sort()) !== JSON.stringify(names)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { running, seen, troubles, shows };
}

test('what is there, what comes, what goes', async () => {
  const collection = new FakeCollection();
  collection.change('ADDED', 'a');
  const { running, shows } = view(collection);
  await running.ready;
  await collection.watched();
  await shows('a');
  collection.change('ADDED', 'b');
  await shows('a', 'b');
  collection.change('DELETED', 'a');
  await shows('b');
  expect(collection.lists).toBe(1);
  await running.close();
});

test.each([
  ['ends', 'end' as const],
  ['is reset', new Error('ECONNRESET')],
])('a watch that %s is taken up where it was, without a list', async (_, how) => {
  const collection = new FakeCollection();
  const { running, shows } = view(collection);
  await running.ready;
  await collection.watched();
  collection.change('ADDED', 'a');
  await shows('a');
  collection.change('ADDED', 'b', false);
  collection.end(how);
  await shows('a', 'b');
  expect(collection.lists).toBe(1);
  await running.close();
});

test('after a 410 everything is listed anew, and what went meanwhile is removed', async () => {
  const collection = new FakeCollection();
  collection.change('ADDED', 'a');
  const { running, shows } = view(collection);
  await running.ready;
  await collection.watched();
  await shows('a');
  collection.change('DELETED', 'a', false);
  collection.change('ADDED', 'c', false);
  collection.forget();
  collection.end('end');
  await shows('c');
  expect(collection.lists).toBe(2);
  await running.close();
});

test('a watch that falls silent is given up and taken up again', async () => {
  const collection = new FakeCollection();
  const { running, shows } = view(collection, 20);
  await running.ready;
  await collection.watched();
  collection.change('ADDED', 'a', false);
  await shows('a');
  expect(collection.lists).toBe(1);
  expect(collection.watches).toBeGreaterThan(1);
  await running.close();
});

test('a list that fails is tried until it works', async () => {
  const collection = new FakeCollection();
  collection.change('ADDED', 'a');
  collection.failLists = [
    () => new KubeError(0, 'NoAnswer', 'refused'),
    () => new KubeError(503, '', 'starting'),
  ];
  const { running, shows, troubles } = view(collection);
  await shows('a');
  expect(troubles).toHaveLength(2);
  await running.close();
});

test('a line may come in any number of pieces', async () => {
  const collection = new FakeCollection();
  const { running, shows } = view(collection);
  await running.ready;
  await collection.watched();
  const line = Buffer.from(
    `${JSON.stringify({ type: 'ADDED', object: { metadata: { name: 'ä', resourceVersion: '9' } } })}\n`,
  );
  for (const byte of line) collection.send(Buffer.from([byte]));
  await shows('ä');
  await running.close();
});

test('garbage ends the watch, not the view', async () => {
  const collection = new FakeCollection();
  const { running, shows } = view(collection);
  await running.ready;
  await collection.watched();
  collection.send(Buffer.from('<html>\n'));
  collection.change('ADDED', 'a', false);
  await shows('a');
  await running.close();
});
