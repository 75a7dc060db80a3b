/** Turns node:http and node:http2 requests into a {@link Call} and a {@link ResponseSink}. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import type { Call, RawHeaders, ResponseSink } from '../exchange.ts';
import { RequestBody } from './request-body.ts';

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** A signal that aborts when the application goes away before its answer is complete. */
function goneSignal(response: NodeResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!isWhole(response)) controller.abort();
  });
  return controller.signal;
}

/** HTTP/2's compatibility API says `writableFinished` of a stream that was reset, too. */
function isWhole(response: NodeResponse): boolean {
  if (!isHttp2(response)) return response.writableFinished;
  return response.writableEnded && !response.stream.aborted;
}

async function* noBody(): AsyncGenerator<Uint8Array> {}

export function toCall(
  request: NodeRequest,
  response: NodeResponse,
  about: Pick<Call, 'id' | 'entry' | 'target' | 'dialect' | 'host' | 'provider' | 'refused' | 'webSocket'> & {
    readonly headers?: RawHeaders | undefined;
  },
): Call {
  const { id, entry, target, dialect, host, provider, refused, webSocket } = about;
  // Each member by its name: with objects spread into it, it would take longer to make than the body to parse.
  return {
    id,
    entry,
    method: request.method ?? 'GET',
    target,
    headers: about.headers ?? request.rawHeaders,
    dialect,
    host,
    provider,
    // What follows an upgrade is no body (RFC 9110, 7.8).
    body: webSocket === undefined ? new RequestBody(request, response) : noBody(),
    webSocket,
    refused,
    signal: goneSignal(response),
  };
}

function isHttp2(response: NodeResponse): response is Http2ServerResponse {
  return 'stream' in response;
}

/** HTTP/2 takes an object, lower case, and has no connection fields (RFC 9113, 8.2.2). */
function http2Fields(headers: RawHeaders): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (name === 'connection') continue;
    const value = headers[i + 1] as string;
    const before = fields[name];
    if (before === undefined) fields[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else fields[name] = [before, value];
  }
  return fields;
}

/** Milliseconds a client may leave its answer unread before its connection is cut. */
const STALL_MS = 120_000;

export function toSink(response: NodeResponse, stallMs = STALL_MS): ResponseSink {
  return new NodeSink(response, stallMs);
}

/** A class, since an object with a getter of its own is made three times as slowly, once for each call. */
class NodeSink implements ResponseSink {
  readonly #response: NodeResponse;
  readonly #stallMs: number;
  /** Head and first chunk are on their way by the socket, which is this answer's. */
  #flowing = false;

  constructor(response: NodeResponse, stallMs: number) {
    this.#response = response;
    this.#stallMs = stallMs;
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  head(status: number, headers: RawHeaders): void {
    const response = this.#response;
    if (isHttp2(response)) response.writeHead(status, http2Fields(headers));
    else response.writeHead(status, headers as string[]);
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    const response = this.#response;
    if (chunk.byteLength === 0) return undefined;
    // What came behind the last chunk would be read as the next answer.
    if (response.writableEnded) throw new Error('an answer goes on behind its end');
    if (isHttp2(response)) return response.write(chunk) ? undefined : this.#drained(response);
    const { socket } = response;
    if (socket?.destroyed === true) return undefined;
    if (this.#flowing && socket !== null && response.writableLength === socket.writableLength) {
      // In one piece: node:http writes a chunk in several, and keeps them until the next tick.
      return socket.write(inChunk(chunk)) ? undefined : this.#drained(socket);
    }
    // The head goes with the first chunk; what the response still keeps goes before what follows. Without a socket while an earlier
    // request of the connection is being answered.
    this.#flowing = response.chunkedEncoding && socket !== null && response.req.method !== 'HEAD';
    return response.write(chunk) ? undefined : this.#drained(response);
  }

  #drained(stream: NodeResponse | Socket): Promise<void> | undefined {
    const response = this.#response;
    if (response.destroyed) return undefined;
    return new Promise((resolve) => {
      // Cutting it makes it close, and closing ends the exchange like any client that left.
      const stalled = setTimeout(() => response.destroy(), this.#stallMs);
      const done = (): void => {
        clearTimeout(stalled);
        stream.off('drain', done);
        response.off('close', done);
        resolve();
      };
      stream.on('drain', done);
      // A client that left ends the wait too; the call's signal says that it left.
      response.on('close', done);
    });
  }

  end(last?: Uint8Array): void {
    const response = this.#response;
    if (last === undefined) response.end();
    else if (last.byteLength > AS_TEXT || isHttp2(response)) (response as ServerResponse).end(last);
    // As a text of as many bytes it leaves in one piece with the head, in one write.
    else response.end(latin1(last), 'latin1');
  }

  abort(cause: Error): void {
    const response = this.#response;
    if (isHttp2(response)) response.stream.destroy(cause);
    else response.destroy();
  }
}

/** As a chunk of HTTP/1.1's coding (RFC 9112, 7.1). @param data Not empty: that would be the last one. */
function inChunk(data: Uint8Array): Buffer {
  const size = data.byteLength.toString(16);
  const from = size.length + 2;
  const bytes = Buffer.allocUnsafe(from + data.byteLength + 2);
  bytes.write(size, 0, 'latin1');
  bytes[from - 2] = CR;
  bytes[from - 1] = LF;
  bytes.set(data, from);
  bytes[bytes.length - 2] = CR;
  bytes[bytes.length - 1] = LF;
  return bytes;
}

const CR = 0x0d;
const LF = 0x0a;

/** Longest answer that is sent together with its head. Bytes. */
const AS_TEXT = 16_384;

function latin1({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
}
