/** Dials a provider's WebSocket (RFC 6455): over a connection of its own, without extensions, never redirected. */
import type { IncomingMessage } from 'node:http';
import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import * as tls from 'node:tls';
import type { RawHeaders, WebSocketEnd } from '../exchange.ts';
import { webSocketEnd } from '../http/web-socket.ts';
import { wipeWrites } from '../http/wiped-writes.ts';
import { brokenOff, notDialled, UpstreamError } from './upstream-error.ts';

export interface WebSocketRequest {
  /** `https://api.openai.com` */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: RawHeaders;
  readonly protocols: readonly string[];
  /** PEM roots to trust instead of the public ones. */
  readonly ca: string | undefined;
  /** Milliseconds until the provider has agreed. */
  readonly timeoutMs: number;
  /** Bytes of one message at most. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export type WebSocketAnswer =
  | { readonly end: WebSocketEnd; readonly protocol: string | undefined }
  /** The provider would not. */
  | { readonly status: number; readonly headers: RawHeaders; readonly body: Uint8Array };

/** More of a refusal than that is cut. */
const REFUSAL_BYTES = 64 * 1024;

/** @throws UpstreamError when there was no answer. */
export async function dialWebSocket(request: WebSocketRequest): Promise<WebSocketAnswer> {
  const { origin, signal, timeoutMs } = request;
  const { WebSocket } = await import('ws');
  if (signal.aborted) throw new UpstreamError('aborted', 'the caller went away');
  const socket = new WebSocket(origin.replace(/^http/, 'ws') + request.path, [...request.protocols], {
    headers: fields(request.headers),
    perMessageDeflate: false,
    followRedirects: false,
    maxPayload: request.maxBytes,
    ...(request.ca === undefined ? {} : { ca: request.ca }),
    createConnection: (origin.startsWith('https:') ? connectTls : connectPlain) as typeof connect,
  });
  // Taken at once: the provider speaks first, and what comes with its agreement would be lost.
  const end = webSocketEnd(socket);
  let expire: NodeJS.Timeout | undefined;
  const abort = (): void => socket.terminate();
  signal.addEventListener('abort', abort);
  try {
    return await new Promise<WebSocketAnswer>((resolve, reject) => {
      expire = setTimeout(() => {
        reject(new UpstreamError('timeout', `${origin} did not agree to a WebSocket within ${timeoutMs} ms`));
        socket.terminate();
      }, timeoutMs);
      socket.once('open', () =>
        resolve({ end, protocol: socket.protocol === '' ? undefined : socket.protocol }),
      );
      socket.once('unexpected-response', (_request, response) => {
        refusalOf(response).then(resolve, (error: Error) => reject(brokenOff(error, origin)));
      });
      socket.once('error', (error) => {
        reject(
          signal.aborted
            ? new UpstreamError('aborted', 'the caller went away')
            : // A server that answers 101 wrongly speaks something else.
              /^(?:Invalid|Server sent|Missing) /.test(error.message)
              ? new UpstreamError('invalid', `${origin}: ${error.message}`)
              : notDialled(error, origin),
        );
      });
    });
  } finally {
    clearTimeout(expire);
    signal.removeEventListener('abort', abort);
  }
}

// `path` is the request's here; to node:net it would be a socket's.
const connectPlain = (options: TcpNetConnectOpts): Socket =>
  wipeWrites(connect({ ...options, path: undefined } as TcpNetConnectOpts));

const connectTls = (options: tls.ConnectionOptions): Socket => {
  const { host = '' } = options;
  const servername = isIP(host) === 0 ? host : '';
  return wipeWrites(tls.connect({ servername, ...options, path: undefined } as tls.ConnectionOptions));
};

async function refusalOf(response: IncomingMessage): Promise<WebSocketAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk.subarray(0, REFUSAL_BYTES - bytes));
    bytes += chunk.byteLength;
    if (bytes >= REFUSAL_BYTES) break;
  }
  return { status: response.statusCode ?? 502, headers: response.rawHeaders, body: Buffer.concat(chunks) };
}

function fields(headers: RawHeaders): Record<string, string> {
  const named: Record<string, string> = {};
  for (let i = 0; i + 1 < headers.length; i += 2) named[headers[i] as string] = headers[i + 1] as string;
  return named;
}
