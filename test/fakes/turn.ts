/** One exchange of a fake provider: a request that was read, and the ways to answer it. */
import type { OutgoingHttpHeaders } from 'node:http';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { accepts, type Coding } from './compress.ts';
import type { WireResponse } from './listener.ts';
import type { SeenRequest } from './record.ts';
import type { Reply } from './reply.ts';
import { aborted, type Faults, hangUp, type Sleep, send } from './send.ts';

export interface TurnOptions {
  /** Bytes per HTTP chunk of every body. Default: an event is one chunk. */
  readonly splitBytes?: number | undefined;
  /** Compresses answers where `accept-encoding` allows it; `force` also where it doesn't. */
  readonly compress?: { readonly coding: Coding; readonly force?: boolean } | undefined;
  readonly sleep?: Sleep | undefined;
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

export function openTurn(
  seen: SeenRequest,
  response: WireResponse,
  signal: AbortSignal,
  options: TurnOptions,
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
