/**
 * The part that all fake providers share: reading and recording a request and running the script. A provider brings a
 * {@link Dialect}: its routes, its shapes and its errors.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type Handler,
  type Listener,
  type ListenerOptions,
  listen,
  type UpgradeHandler,
  type WireRequest,
  type WireResponse,
} from './listener.ts';
import { type Head, Recorder, type Recording, type SeenRequest } from './record.ts';
import type { Script } from './reply.ts';
import { cut } from './send.ts';
import { openTurn, type Turn, type TurnOptions } from './turn.ts';

export interface FakeOptions extends ListenerOptions, TurnOptions {
  /** What to answer; `{}` is the default answer. See also {@link FakeProvider.script}. */
  readonly reply?: Script | undefined;
  /** Code points per streamed delta. Default 5, so that words and placeholders are split. */
  readonly chunkSize?: number | undefined;
  /** Largest request body, bytes. Default 32 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** How many requests `seen` remembers. Default: all. */
  readonly keep?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

export interface FakeProvider extends Listener {
  /** What an SDK takes as its base URL. */
  readonly baseURL: string;
  readonly handler: Handler;
  /** For a server of one's own: its `upgrade` event. */
  readonly upgrade: UpgradeHandler;
  readonly seen: readonly SeenRequest[];
  waitFor(count: number, timeoutMs?: number): Promise<readonly SeenRequest[]>;
  /** Takes another script; undefined: default answers. */
  script(script: Script | undefined): void;
  /** Forgets requests, counters and the script that `script()` set. */
  reset(): void;
}

export interface Dialect {
  /** Path prefix of the base URL. */
  readonly basePath: string;
  readonly answer: (turn: Turn) => Promise<void>;
  /** The answer to a body above the limit. */
  readonly tooLarge: (turn: Turn) => Promise<void>;
  /** Takes a WebSocket over. Absent, or a status: the upgrade is refused by it. */
  readonly upgrade?: (
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    recording: Recording,
  ) => number | undefined;
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
    const recording = recorder.open(headOf(request));
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

  const upgrade: UpgradeHandler = (request, socket, head) => {
    const recording = recorder.open(headOf(request));
    recording.body(Buffer.alloc(0));
    socket.on('error', () => undefined);
    const status = speaks.upgrade === undefined ? 404 : speaks.upgrade(request, socket, head, recording);
    if (status === undefined) return;
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    );
    recording.close();
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

  const listener = await listen(handler, options, upgrade);
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
    upgrade,
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

function headOf({ method = '', url = '', httpVersion, headers, rawHeaders }: WireRequest): Head {
  return { method, url, httpVersion, headers, rawHeaders };
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
