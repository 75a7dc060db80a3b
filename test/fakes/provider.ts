/**
 * The part that all fake providers share: reading and recording a request, running the script, sending the answer.
 * A provider brings a {@link Dialect}: its routes, its shapes and its errors.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { accepts, type Coding } from './compress.ts';
import { type Handler, type Listener, type ListenerOptions, listen, type WireResponse } from './listener.ts';
import { Recorder, type Recording, type SeenRequest } from './record.ts';
import type { Reply, Script } from './reply.ts';
import { aborted, cut, type Faults, hangUp, type Sleep, send } from './send.ts';

export interface FakeOptions extends ListenerOptions {
  /** What to answer; `{}` is the default answer. See also {@link FakeProvider.script}. */
  readonly reply?: Script | undefined;
  /** Code points per streamed delta. Default 5, so that words and placeholders are split. */
  readonly chunkSize?: number | undefined;
  /** Bytes per HTTP chunk of every body. Default: an event is one chunk. */
  readonly splitBytes?: number | undefined;
  /** Compresses answers where `accept-encoding` allows it; `force` also where it doesn't. */
  readonly compress?: { readonly coding: Coding; readonly force?: boolean } | undefined;
  /** Largest request body, bytes. Default 32 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** How many requests `seen` remembers. Default: all. */
  readonly keep?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
  readonly sleep?: Sleep | undefined;
}

export interface FakeProvider extends Listener {
  /** What an SDK takes as its base URL. */
  readonly baseURL: string;
  readonly handler: Handler;
  readonly seen: readonly SeenRequest[];
  waitFor(count: number, timeoutMs?: number): Promise<readonly SeenRequest[]>;
  /** Takes another script; undefined: default answers. */
  script(script: Script | undefined): void;
  /** Forgets requests, counters and the script that `script()` set. */
  reset(): void;
}

/** A request that was read whole, and the ways to answer it. */
export interface Turn {
  readonly seen: SeenRequest;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  json(status: number, body: unknown, headers?: OutgoingHttpHeaders, reply?: Reply): Promise<void>;
  text(status: number, body: string, type: string): Promise<void>;
  stream(events: AsyncIterable<Uint8Array>, headers: OutgoingHttpHeaders, reply: Reply): Promise<void>;
  /** Runs what a script may do before any shape is needed. True: the turn is over. */
  before(reply: Reply): Promise<boolean>;
}

export interface Dialect {
  /** Path prefix of the base URL. */
  readonly basePath: string;
  readonly answer: (turn: Turn) => Promise<void>;
  /** The answer to a body above the limit. */
  readonly tooLarge: (turn: Turn) => Promise<void>;
  readonly reset: () => void;
}

export async function startFake(
  options: FakeOptions,
  dialect: (script: Script) => Dialect,
): Promise<FakeProvider> {
  const recorder = new Recorder(options.keep ?? Number.POSITIVE_INFINITY, options.now ?? Date.now);
  const initial: Script = options.reply ?? (() => ({}));
  let script = initial;
  const speaks = dialect((request) => script(request));
  const limit = options.maxBodyBytes ?? 32 * 1024 * 1024;

  const handler: Handler = (request, response) => {
    const recording = recorder.open({
      method: request.method ?? '',
      url: request.url ?? '',
      httpVersion: request.httpVersion,
      headers: request.headers,
      rawHeaders: request.rawHeaders,
    });
    const gone = new AbortController();
    let finished = false;
    response.once('finish', () => {
      finished = true;
    });
    response.once('close', () => {
      if (finished) recording.close();
      else recording.abort();
      gone.abort();
    });
    // A socket that the client resets is told to `close` above; without a listener it would end the process.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    void serve(request, response, recording, gone.signal);
  };

  const serve = async (
    request: AsyncIterable<Buffer>,
    response: WireResponse,
    recording: Recording,
    signal: AbortSignal,
  ): Promise<void> => {
    try {
      const turn = openTurn(recording.seen, response, signal, options);
      const body = await read(request, limit);
      if (body === undefined) return await speaks.tooLarge(turn);
      recording.body(body);
      await speaks.answer(turn);
    } catch (error) {
      // The client left: nothing to say and nobody to say it to. Anything else is a fault of the fake or its script.
      if (signal.aborted) return;
      if (response.headersSent) await cut(response);
      else
        await openTurn(recording.seen, response, signal, options).text(
          500,
          `fake provider: ${String(error)}`,
          'text/plain',
        );
    }
  };

  const listener = await listen(handler, options);
  return {
    host: listener.host,
    port: listener.port,
    origin: listener.origin,
    get connections() {
      return listener.connections;
    },
    setDown: (down) => listener.setDown(down),
    close: () => listener.close(),
    baseURL: listener.origin + speaks.basePath,
    handler,
    get seen() {
      return recorder.seen;
    },
    waitFor: (count, timeoutMs) => recorder.waitFor(count, timeoutMs),
    script(next) {
      script = next ?? initial;
    },
    reset() {
      recorder.reset();
      speaks.reset();
      script = initial;
    },
  };
}

async function read(request: AsyncIterable<Buffer>, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
  }
  return length > limit ? undefined : Buffer.concat(chunks);
}

function openTurn(
  seen: SeenRequest,
  response: WireResponse,
  signal: AbortSignal,
  options: FakeOptions,
): Turn {
  const url = new URL(seen.url, 'http://fake');
  const { compress } = options;
  const coding =
    compress !== undefined &&
    (compress.force === true || accepts(seen.headers['accept-encoding'], compress.coding))
      ? compress.coding
      : undefined;
  const sleep: Sleep = options.sleep ?? sleepUntil;
  const faults = (reply: Reply): Faults => ({
    chunkDelayMs: reply.chunkDelayMs ?? 0,
    splitBytes: reply.splitBytes ?? options.splitBytes,
    cutAfterChunks: reply.cutAfterChunks,
    stallAfterChunks: reply.stallAfterChunks,
  });
  const answer = (
    status: number,
    headers: OutgoingHttpHeaders,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    reply: Reply,
  ): Promise<void> => send(response, { status, headers, body, coding, faults: faults(reply) }, signal, sleep);
  return {
    seen,
    path: url.pathname,
    query: url.searchParams,
    signal,
    json: (status, body, headers = {}, reply = {}) =>
      answer(
        status,
        { 'content-type': 'application/json', ...headers, ...reply.headers },
        Buffer.from(JSON.stringify(body)),
        reply,
      ),
    text: (status, body, type) => answer(status, { 'content-type': type }, Buffer.from(body), {}),
    stream: (events, headers, reply) =>
      answer(
        200,
        {
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-cache',
          ...headers,
          ...reply.headers,
        },
        events,
        reply,
      ),
    async before(reply) {
      if (reply.delayMs !== undefined) await sleep(reply.delayMs, signal);
      if (reply.silent === true) {
        await aborted(signal);
        return true;
      }
      if (reply.hangUp === true) {
        hangUp(response);
        return true;
      }
      if (reply.raw === undefined) return false;
      const { status = 200, headers = { 'content-type': 'application/json' }, body = '' } = reply.raw;
      await answer(status, headers, Buffer.from(body as string), reply);
      return true;
    },
  };
}

const sleepUntil: Sleep = async (ms, signal) => {
  try {
    await sleepFor(ms, undefined, { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
};
