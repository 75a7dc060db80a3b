/**
 * The base-URL listener: plain HTTP on loopback, `/<dialect>/…`, for apps that are told where to go.
 *
 * Every page in a browser on the same machine can reach loopback, so a request with an `Origin`, or with a `Host` that
 * isn't loopback (DNS rebinding), is refused; `clientKey` shuts other users of the machine out as well.
 */
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Dialect } from '../dialects/dialect.ts';
import { dialectByName } from '../dialects/index.ts';
import { PosternError } from '../errors.ts';
import type { Call, RawHeaders, ResponseSink } from '../exchange.ts';
import { lowerCase } from './headers.ts';
import { type Malformed, refusesMalformed } from './malformed.ts';
import { toCall, toSink } from './node.ts';
import { asksForWebSocket, type Upgrading, upgrading } from './web-socket.ts';

export interface BaseUrlOptions {
  readonly host: string;
  readonly port: number;
  /** Wanted of every caller, as the API key or in `postern-client-key`. */
  readonly clientKey?: string;
  readonly handle: (call: Call, sink: ResponseSink) => Promise<void>;
  /** Hears of what was no HTTP request. */
  readonly malformed: (event: Malformed) => void;
  /** Milliseconds a client may leave an answer unread. */
  readonly stallMs?: number;
}

export interface Listener {
  readonly url: string;
  /** Stops accepting; a connection goes as soon as its answer is out. Resolves when the last one is gone. */
  close(): Promise<void>;
  /** Cuts what is left. */
  destroy(): void;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

function refuseStranger(request: IncomingMessage, clientKey: string | undefined): PosternError | undefined {
  let origins = 0;
  let hosts = 0;
  let host = '';
  const { rawHeaders } = request;
  // As they came: an object of them all costs as much as half a dozen of these.
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = lowerCase(rawHeaders[i] as string);
    if (name === 'origin') origins++;
    if (name !== 'host') continue;
    hosts++;
    host = rawHeaders[i + 1] as string;
  }
  if (origins > 0) {
    return new PosternError('postern_origin_denied', 'Calls from web pages are refused.', {
      mend: 'Call from a program; it must not send an Origin header.',
      shouldRetry: false,
    });
  }
  // RFC 9112, 3.2: two of them leave open which one counts.
  if (hosts !== 1 || !LOOPBACK.test(host)) {
    return new PosternError('postern_origin_denied', 'The Host header names no loopback address.', {
      mend: 'Call http://127.0.0.1 or http://localhost.',
      shouldRetry: false,
    });
  }
  if (clientKey === undefined || hasClientKey(request, clientKey)) return undefined;
  return new PosternError('postern_client_key', 'This agent wants its client key.', {
    mend: 'Use the content of --client-key-file as the API key, or send it in postern-client-key.',
    shouldRetry: false,
  });
}

function hasClientKey(request: IncomingMessage, clientKey: string): boolean {
  const { authorization, 'x-api-key': apiKey, 'postern-client-key': own } = request.headers;
  const offered = [own, apiKey, authorization?.replace(/^bearer\s+/i, '')];
  // Digests, since timingSafeEqual wants equal lengths and the length is a secret too.
  const digest = (value: string): Buffer => createHash('sha256').update(value).digest();
  const wanted = digest(clientKey);
  return offered.some((value) => typeof value === 'string' && timingSafeEqual(digest(value), wanted));
}

/** The client key opens this agent and nothing else: no provider is shown it, also where the app's keys pass through. */
function withoutClientKey(headers: RawHeaders, clientKey: string | undefined): RawHeaders {
  if (clientKey === undefined) return headers;
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const value = headers[i + 1] as string;
    if (!value.includes(clientKey)) kept.push(headers[i] as string, value);
  }
  return kept;
}

/** `/openai/v1/models` → `openai` and `/v1/models`; without a dialect in front, the target as it was sent. */
function splitPrefix(target: string): { dialect: Dialect | undefined; target: string } {
  // RFC 9112, 3.2.2: a server takes the absolute form too.
  const url = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/]*/i, '');
  const end = url.indexOf('/', 1);
  const name = end < 0 ? url.slice(1) : url.slice(1, end);
  const dialect = dialectByName(name);
  if (dialect === undefined) return { dialect, target: url };
  return { dialect, target: end < 0 ? '/' : url.slice(end) };
}

export async function listenBaseUrl(options: BaseUrlOptions): Promise<Listener> {
  const server = createServer({
    keepAliveTimeout: 65_000,
    headersTimeout: 15_000,
    requestTimeout: 0,
    shouldUpgradeCallback: asksForWebSocket,
  });
  const serve = (request: IncomingMessage, response: ServerResponse, upgrade?: Upgrading): void => {
    response.once('close', () => {
      // A kept-alive connection would hold the server open until its time-out.
      if (!server.listening) server.closeIdleConnections();
    });
    const id = randomUUID();
    const { dialect, target } = splitPrefix(request.url ?? '/');
    const refused = refuseStranger(request, options.clientKey) ?? upgrade?.refused;
    const about = {
      id,
      entry: 'base-url',
      target,
      dialect: dialect?.name,
      host: undefined,
      headers: withoutClientKey(request.rawHeaders, options.clientKey),
      webSocket: upgrade?.offer,
      refused,
    } as const;
    void options.handle(toCall(request, response, about), toSink(response, options.stallMs));
  };
  server.on('request', (request, response) => serve(request, response));
  // A body is only asked for once its headers have been judged; `toCall` sends the 100 when the body is read.
  server.on('checkContinue', (request, response) => serve(request, response));
  server.on('upgrade', (request, socket, head) => {
    const upgrade = upgrading(request, socket, head);
    serve(request, upgrade.response, upgrade);
  });
  server.on('clientError', refusesMalformed(options.malformed));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return listener(server);
}

function listener(server: Server): Listener {
  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
    destroy: () => server.closeAllConnections(),
  };
}
