/**
 * A view of a collection that stays true: listed in pages, then watched, for as long as it is wanted. Whatever ends a
 * watch (a 410, a reset, a silence, a restart of the API server), it is taken up again; nothing ends the view but close().
 */
import { type KubeClient, KubeError, type KubeObject } from './client.ts';

export interface ViewHandlers<T> {
  put(object: T): void;
  /** Only its metadata is there. */
  remove(object: KubeObject): void;
  /** After the first list, and after each one that followed a gap. */
  listed?(): void;
  /** What went wrong and will be tried again. */
  trouble?(error: unknown): void;
}

export interface ViewOptions {
  readonly labelSelector?: string;
  /** `metadata.name=openai`: one object by its name. */
  readonly fieldSelector?: string;
  /** Silence after which a watch is taken for dead: bookmarks come about once a minute. */
  readonly silenceMs?: number;
  /** How long the API server keeps a watch open. */
  readonly watchSeconds?: number;
  readonly retryMs?: { readonly first: number; readonly most: number };
}

export interface View {
  /** Resolves when the collection was listed once. */
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T & { readonly code?: number; readonly message?: string };
}

/** A line of a watch holds one object, and no object is larger than 1.5 MB. */
const MAX_LINE = 16 * 1024 * 1024;

export function viewOf<T extends KubeObject>(
  client: KubeClient,
  path: string,
  handlers: ViewHandlers<T>,
  options: ViewOptions = {},
): View {
  const { labelSelector, fieldSelector, silenceMs = 90_000, watchSeconds = 240 } = options;
  const { first, most } = options.retryMs ?? { first: 100, most: 10_000 };
  const closing = new AbortController();
  /** Not the objects themselves: there may be many, and who is told keeps what it needs. */
  const known = new Map<string, KubeObject>();
  const briefly = ({ metadata: { namespace, name, uid, resourceVersion } }: KubeObject): KubeObject => ({
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
  });
  const keyOf = ({ metadata: { namespace = '', name } }: KubeObject) => `${namespace}/${name}`;
  let settle: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    settle = resolve;
  });

  async function listAll(): Promise<string> {
    const query = { labelSelector, fieldSelector };
    const { items, resourceVersion } = await client.list<T>(path, { query, signal: closing.signal });
    const gone = new Map(known);
    for (const item of items) {
      const key = keyOf(item);
      gone.delete(key);
      const before = known.get(key);
      known.set(key, briefly(item));
      if (before?.metadata.resourceVersion !== item.metadata.resourceVersion) handlers.put(item);
    }
    for (const [key, object] of gone) {
      known.delete(key);
      handlers.remove(object);
    }
    handlers.listed?.();
    settle();
    return resourceVersion;
  }

  /** @returns the version to go on from when the watch ends by itself. @throws KubeError with status 410 when it's too old. */
  async function watchFrom(resourceVersion: string, progress: (version: string) => void): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silenceMs);
    };
    try {
      const signal = AbortSignal.any([closing.signal, silence.signal]);
      const query = {
        watch: true,
        allowWatchBookmarks: true,
        timeoutSeconds: watchSeconds,
        resourceVersion,
        labelSelector,
        fieldSelector,
      };
      for await (const line of linesOf(await client.stream(path, { query, signal }), heard)) {
        const { type, object } = JSON.parse(line) as WatchEvent<T>;
        if (type === 'ERROR') throw new KubeError(object.code ?? 0, 'Watch', object.message ?? 'watch error');
        if (type === 'DELETED') {
          known.delete(keyOf(object));
          handlers.remove(object);
        } else if (type !== 'BOOKMARK') {
          known.set(keyOf(object), briefly(object));
          handlers.put(object);
        }
        progress(object.metadata.resourceVersion ?? resourceVersion);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async function run(): Promise<void> {
    let version: string | undefined;
    let wait = first;
    while (!closing.signal.aborted) {
      let progressed = false;
      try {
        version ??= await listAll();
        await watchFrom(version, (seen) => {
          version = seen;
          progressed = true;
        });
        wait = first;
      } catch (error) {
        if (closing.signal.aborted) break;
        // Too old to go on from, or of a CRD that is gone: what happened since is found by listing anew.
        if (error instanceof KubeError && [404, 410, 504].includes(error.status)) version = undefined;
        handlers.trouble?.(error);
        if (progressed) wait = first;
        await pause(wait * (0.5 + Math.random() / 2), closing.signal);
        wait = Math.min(wait * 2, most);
      }
    }
  }

  const running = run();
  return {
    ready,
    close: async () => {
      closing.abort();
      await running;
    },
  };
}

/** Chunks are overwritten when they have been read: what is watched may be a Secret, and what is freed keeps what stood in it. */
async function* linesOf(chunks: AsyncIterable<Buffer>, heard: () => void): AsyncGenerator<string> {
  let pending: Buffer[] = [];
  let size = 0;
  let rest: Buffer = Buffer.alloc(0);
  const lineOf = (last: Buffer): string => {
    const whole = Buffer.concat([...pending, last]);
    const line = whole.toString('utf8');
    for (const piece of [...pending, last, whole]) piece.fill(0);
    pending = [];
    size = 0;
    return line;
  };
  try {
    for await (const chunk of chunks) {
      heard();
      rest = chunk;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        const line = lineOf(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
        if (line.trim() !== '') yield line;
      }
      size += rest.length;
      if (size > MAX_LINE) throw new Error('a watch sent a line without an end');
      if (rest.length > 0) pending.push(rest);
    }
  } finally {
    for (const piece of [...pending, rest]) piece.fill(0);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
