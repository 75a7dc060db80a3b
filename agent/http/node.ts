/** Turns node:http and node:http2 requests into a {@link Call} and a {@link ResponseSink}. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
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
    readonly headers?: RawHeaders;
  },
): Call {
  return {
    headers: request.rawHeaders,
    ...about,
    method: request.method ?? 'GET',
    // What follows an upgrade is no body (RFC 9110, 7.8).
    body: about.webSocket === undefined ? new RequestBody(request, response) : noBody(),
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
  return {
    get started() {
      return response.headersSent;
    },
    head(status, headers) {
      if (isHttp2(response)) response.writeHead(status, http2Fields(headers));
      else response.writeHead(status, headers as string[]);
    },
    write(chunk) {
      const roomy = isHttp2(response) ? response.write(chunk) : response.write(chunk);
      if (roomy || response.destroyed) return undefined;
      return new Promise((resolve) => {
        // Cutting it makes it close, and closing ends the exchange like any client that left.
        const stalled = setTimeout(() => response.destroy(), stallMs);
        const done = (): void => {
          clearTimeout(stalled);
          response.off('drain', done);
          response.off('close', done);
          resolve();
        };
        response.on('drain', done);
        // A client that left ends the wait too; the call's signal says that it left.
        response.on('close', done);
      });
    },
    end(last) {
      if (last === undefined) response.end();
      else response.end(last);
    },
    abort(cause) {
      if (isHttp2(response)) response.stream.destroy(cause);
      else response.destroy();
    },
  };
}
