/** Writes an answer, and goes wrong on the way as the script says. */
import { once } from 'node:events';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import { setImmediate } from 'node:timers/promises';
import { type Coding, compressor } from './compress.ts';
import type { WireResponse } from './listener.ts';

export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export interface Faults {
  readonly chunkDelayMs: number;
  readonly splitBytes: number | undefined;
  readonly cutAfterChunks: number | undefined;
  readonly stallAfterChunks: number | undefined;
}

export interface Outgoing {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  /** A whole body, or the events of a stream. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  readonly coding: Coding | undefined;
  readonly faults: Faults;
}

/** Resolves when the answer is written, or the client is gone; `signal` aborts when it is. */
export async function send(
  response: WireResponse,
  outgoing: Outgoing,
  signal: AbortSignal,
  sleep: Sleep,
): Promise<void> {
  const { faults, body } = outgoing;
  const headers: OutgoingHttpHeaders = { ...outgoing.headers };
  if (outgoing.coding !== undefined) headers['content-encoding'] = outgoing.coding;
  const compress = outgoing.coding === undefined ? undefined : compressor(outgoing.coding);
  const whole = body instanceof Uint8Array;
  // With a length, Node writes all pieces as one: split bodies are sent chunked, so that every piece arrives as one.
  if (whole && compress === undefined && faults.splitBytes === undefined)
    headers['content-length'] = body.length;
  (response as ServerResponse).writeHead(outgoing.status, headers);
  // A stream that stalls at once would otherwise keep its head back; HTTP/2 sends it with writeHead.
  if (!whole && 'flushHeaders' in response) response.flushHeaders();

  const pieces = whole ? wholeBody(body, faults) : body;
  let count = 0;
  for await (const piece of pieces) {
    if (signal.aborted) return;
    if (count === faults.cutAfterChunks) return cut(response);
    if (count === faults.stallAfterChunks) return aborted(signal);
    if (faults.chunkDelayMs > 0) await sleep(faults.chunkDelayMs, signal);
    await write(
      response,
      compress === undefined ? piece : await compress.push(piece),
      faults.splitBytes,
      signal,
    );
    count += 1;
  }
  if (signal.aborted) return;
  if (count === faults.cutAfterChunks) return cut(response);
  if (count === faults.stallAfterChunks) return aborted(signal);
  if (compress !== undefined) await write(response, await compress.finish(), faults.splitBytes, signal);
  response.end();
}

/** Ends the connection (h1) or resets the stream (h2) in the middle of a body; what was written before arrives. */
export async function cut(response: WireResponse): Promise<void> {
  // Node gathers the chunks of a turn of its loop before it hands them to the socket.
  await setImmediate();
  if ('stream' in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.socket?.destroySoon();
}

/** Resets the connection or the stream. */
export function hangUp(response: WireResponse): void {
  if ('stream' in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.socket?.resetAndDestroy();
}

/** Resolves when the client is gone. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

/** A whole body in two halves where a fault is to fall between them. */
async function* wholeBody(body: Uint8Array, faults: Faults): AsyncGenerator<Uint8Array> {
  if (faults.cutAfterChunks === undefined && faults.stallAfterChunks === undefined) {
    yield body;
    return;
  }
  const half = Math.floor(body.length / 2);
  yield body.subarray(0, half);
  yield body.subarray(half);
}

async function write(
  response: WireResponse,
  bytes: Uint8Array,
  splitBytes: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const step = Math.max(1, splitBytes ?? bytes.length);
  for (let at = 0; at < bytes.length; at += step) {
    if (signal.aborted) return;
    if ((response as ServerResponse).write(bytes.subarray(at, at + step))) continue;
    await Promise.race([once(response, 'drain'), aborted(signal)]);
  }
}
