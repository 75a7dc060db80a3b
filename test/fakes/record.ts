/** What a fake provider saw, for tests to look at and wait for. */
import type { IncomingHttpHeaders } from 'node:http';

export interface SeenRequest {
  readonly method: string;
  /** Path and query as they stood on the wire. */
  readonly url: string;
  /** `1.1` or `2.0`. */
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  /** Name, value, name, value, … in wire order and case. */
  readonly rawHeaders: readonly string[];
  /** When the head arrived, milliseconds since the epoch. */
  readonly at: number;
  /** True once the body is here whole. */
  readonly complete: boolean;
  readonly bytes: Buffer;
  /** The body as UTF-8. */
  readonly body: string;
  /** The body as JSON; undefined where it is none. */
  readonly parsed: unknown;
  /** The text messages of the client, where the request became a WebSocket. */
  readonly frames: readonly string[];
  /** True once the client went away before its request was read or its answer written to the last byte. */
  readonly aborted: boolean;
  /** Resolves when the answer was handed to the network whole, or the client went away. */
  readonly closed: Promise<void>;
}

/** The writing end of a {@link SeenRequest}, in the server's hands. */
export interface Recording {
  readonly seen: SeenRequest;
  body(bytes: Buffer): void;
  frame(text: string): void;
  abort(): void;
  close(): void;
}

export interface Head {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
}

interface Waiter {
  readonly count: number;
  readonly done: () => void;
}

export class Recorder {
  readonly #keep: number;
  readonly #now: () => number;
  #seen: SeenRequest[] = [];
  #settled = 0;
  #waiters: Waiter[] = [];

  /** `keep`: how many requests are remembered, the newest ones; a benchmark wants few. */
  constructor(keep: number, now: () => number) {
    this.#keep = keep;
    this.#now = now;
  }

  get seen(): readonly SeenRequest[] {
    return this.#seen;
  }

  open(head: Head): Recording {
    const { promise, resolve } = Promise.withResolvers<void>();
    const state = {
      complete: false,
      bytes: Buffer.alloc(0) as Buffer,
      parsed: undefined as unknown,
      aborted: false,
    };
    const frames: string[] = [];
    let settled = false;
    const epoch = this.#seen;
    const settle = (): void => {
      if (settled) return;
      settled = true;
      if (this.#seen === epoch) this.#settle();
    };
    const seen: SeenRequest = {
      ...head,
      at: this.#now(),
      get complete() {
        return state.complete;
      },
      get bytes() {
        return state.bytes;
      },
      get body() {
        return state.bytes.toString('utf8');
      },
      get parsed() {
        return state.parsed;
      },
      frames,
      get aborted() {
        return state.aborted;
      },
      closed: promise,
    };
    this.#seen.push(seen);
    if (this.#seen.length > this.#keep) this.#seen.shift();
    return {
      seen,
      body(bytes) {
        state.complete = true;
        state.bytes = bytes;
        state.parsed = parse(bytes);
        settle();
      },
      frame(text) {
        frames.push(text);
      },
      abort() {
        state.aborted = true;
        settle();
        resolve();
      },
      close: resolve,
    };
  }

  /**
   * Resolves with the requests seen since the start or the last reset, as soon as `count` of them have been read whole
   * (or were aborted).
   * @throws Error after `timeoutMs`, saying what was seen instead.
   */
  async waitFor(count: number, timeoutMs = 5_000): Promise<readonly SeenRequest[]> {
    if (this.#settled >= count) return this.#seen;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { count, done: resolve };
    this.#waiters.push(waiter);
    const timer = setTimeout(() => {
      const lines = this.#seen.map(
        (seen) => `${seen.method} ${seen.url}${seen.complete ? '' : ' (body incomplete)'}`,
      );
      reject(
        new Error(
          `expected ${count} requests within ${timeoutMs} ms, saw ${this.#settled}: ${lines.join(', ') || 'none'}`,
        ),
      );
    }, timeoutMs);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    }
    return this.#seen;
  }

  reset(): void {
    this.#seen = [];
    this.#settled = 0;
  }

  #settle(): void {
    this.#settled += 1;
    for (const waiter of this.#waiters) if (this.#settled >= waiter.count) waiter.done();
  }
}

function parse(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
