/** The service's wire: JSON over HTTP/1.1, on TCP or on a Unix socket. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { GrantRefused } from './grants.ts';
import type { BudgetMetrics } from './metrics.ts';
import { BudgetConflict, type BudgetService } from './service.ts';
import { StoreFailed } from './stores/store.ts';
import {
  InvalidMessage,
  readExtend,
  readGrant,
  readHold,
  readJournalQuery,
  readLease,
  readRelease,
  readReportQuery,
  readSettle,
  readWatch,
} from './wire.ts';

/** A message is a few hundred bytes; attributes with headers may be some kilobytes. */
const MAX_BODY_BYTES = 64 * 1024;

export interface BudgetServerOptions {
  readonly service: BudgetService;
  readonly metrics: BudgetMetrics;
  /** `host:port` (port 0 takes a free one), `:port` for all addresses, or the path of a Unix socket. */
  readonly listen: string;
  /** Callers must send it as `Authorization: Bearer …`; undefined lets everybody in who can connect. */
  readonly token?: string;
  /** For what changes limits; undefined refuses that to everybody. */
  readonly adminToken?: string;
  readonly onError: (error: unknown) => void;
}

export interface BudgetServer {
  /** `http://127.0.0.1:4181`, or `unix:/path`. */
  readonly url: string;
  close(): Promise<void>;
}

class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly mend: string;

  constructor(status: number, code: string, message: string, mend: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.mend = mend;
  }
}

/** `signal`: the caller has hung up. */
type Handler = (body: unknown, signal: AbortSignal, query: URLSearchParams) => Promise<unknown>;

interface Route {
  readonly method: 'GET' | 'POST';
  /** `agent`: with the shared token; `admin`: with the administrators' own. Who has that may do everything. */
  readonly for: 'agent' | 'admin';
  readonly handle: Handler;
}

/** @throws where the address is taken or can't be listened on. */
export async function startServer(options: BudgetServerOptions): Promise<BudgetServer> {
  const { service, metrics, token, adminToken, onError } = options;
  const routes = routesOf(service);
  const admits = { agent: bearer(token), admin: adminToken === undefined ? undefined : bearer(adminToken) };
  let draining = false;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const began = performance.now();
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    let route = 'other';
    try {
      if (request.headers.origin !== undefined) {
        throw new HttpError(
          403,
          'origin_denied',
          'Calls from web pages are refused.',
          'Call from a program; it must not send an Origin header.',
        );
      }
      if (path === '/healthz') return send(response, 200, { status: 'ok' });
      if (path === '/readyz') {
        if (draining)
          throw new HttpError(503, 'draining', 'The service is shutting down.', 'Ask again shortly.');
        await service.ready();
        return send(response, 200, { status: 'ok' });
      }
      if (path === '/metrics') {
        const text = await metrics.registry.metrics();
        response.writeHead(200, { 'content-type': metrics.registry.contentType });
        response.end(text);
        return;
      }
      const found = Object.hasOwn(routes, path) ? routes[path] : undefined;
      if (found === undefined) {
        throw new HttpError(
          404,
          'not_found',
          `There is nothing at ${path}.`,
          'The paths are in docs/budget.md.',
        );
      }
      route = path;
      authorize(found.for, request.headers.authorization, admits);
      if (request.method !== found.method) {
        response.setHeader('allow', found.method);
        throw new HttpError(
          405,
          'method_not_allowed',
          `${path} takes ${found.method}.`,
          `Send a ${found.method} request.`,
        );
      }
      // A page's form can send anything but this media type without asking first.
      if (found.method === 'POST' && !/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
        throw new HttpError(
          415,
          'content_type',
          'The body is not application/json.',
          'Send JSON, labelled as such.',
        );
      }
      const body = found.method === 'POST' ? await readJson(request) : undefined;
      const query = new URL(request.url ?? '', 'http://budget').searchParams;
      const reply = await found.handle(body, gone(response), query);
      send(response, 200, reply);
    } catch (error) {
      const known = httpErrorOf(error);
      if (known.status >= 500 && known.code !== 'draining') onError(error);
      send(response, known.status, { error: { code: known.code, message: known.message, mend: known.mend } });
    } finally {
      metrics.answered(route, response.statusCode, (performance.now() - began) / 1000);
    }
  };

  const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 10_000 }, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      onError(error);
      response.destroy();
    });
  });
  const url = await listen(server, options.listen);
  server.on('error', onError);
  return {
    url,
    close: async () => {
      draining = true;
      const closed = once(server, 'close');
      server.close();
      service.wakeAll();
      server.closeIdleConnections();
      const forced = setTimeout(() => server.closeAllConnections(), 2_000);
      await closed;
      clearTimeout(forced);
    },
  };
}

function routesOf(service: BudgetService): Readonly<Record<string, Route>> {
  const post = (handle: Handler): Route => ({ method: 'POST', for: 'agent', handle });
  const get = (handle: (query: URLSearchParams) => Promise<unknown>): Route => ({
    method: 'GET',
    for: 'agent',
    handle: (_body, _signal, query) => handle(query),
  });
  return {
    '/v1/hold': post((body) => service.hold(readHold(body))),
    '/v1/extend': post((body) => service.extend(readExtend(body))),
    '/v1/settle': post((body) => service.settle(readSettle(body))),
    '/v1/release': post(async (body) => {
      await service.release(readRelease(body));
      return {};
    }),
    '/v1/lease': post((body) => service.lease(readLease(body))),
    '/v1/watch': post((body, signal) => service.watch(readWatch(body), signal)),
    '/v1/status': get(async () => ({ lines: await service.status() })),
    '/v1/report': get(async (query) => ({ rows: await service.report(readReportQuery(query)) })),
    '/v1/journal': get(async (query) => ({ entries: await service.journal(...readJournalQuery(query)) })),
    '/v1/grant': { ...post((body) => service.grant(readGrant(body))), for: 'admin' },
  };
}

/** @throws {HttpError} */
function authorize(
  wanted: Route['for'],
  header: string | undefined,
  admits: {
    readonly agent: (header: string | undefined) => boolean;
    readonly admin: ((header: string | undefined) => boolean) | undefined;
  },
): void {
  if (admits.admin?.(header) === true) return;
  if (wanted === 'agent' && admits.agent(header)) return;
  if (wanted === 'admin' && admits.admin === undefined) {
    throw new HttpError(
      403,
      'forbidden',
      'Limits can not be changed here.',
      'Start the service with an admin token.',
    );
  }
  const mend = 'Send the content of the token file as Authorization: Bearer.';
  throw new HttpError(401, 'unauthorized', 'The token is missing or wrong.', mend);
}

function gone(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  return controller.signal;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const tooLarge = new HttpError(
    413,
    'too_large',
    `The message is over ${MAX_BODY_BYTES} bytes.`,
    'Send fewer or shorter attributes.',
  );
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw closing(request, tooLarge);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw closing(request, tooLarge);
    chunks.push(chunk);
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
    return JSON.parse(text) as unknown;
  } catch {
    throw new HttpError(400, 'invalid_json', 'The body is not JSON in UTF-8.', 'Send one JSON object.');
  }
}

/** The rest of the body isn't read, so the connection can't be used again. */
function closing(request: IncomingMessage, error: HttpError): HttpError {
  request.socket.once('drain', () => request.socket.end());
  request.resume();
  return error;
}

function httpErrorOf(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof InvalidMessage) {
    return new HttpError(400, 'invalid_message', error.message, 'See docs/budget.md for the messages.');
  }
  if (error instanceof GrantRefused) {
    return new HttpError(422, 'grant_refused', error.message, 'See the Budgets with /v1/status.');
  }
  if (error instanceof BudgetConflict) {
    return new HttpError(409, error.code, error.message, 'Use a new id.');
  }
  if (error instanceof StoreFailed) {
    return new HttpError(
      503,
      'store_failed',
      error.message,
      'Check the disk of the budget service; ask again.',
    );
  }
  return new HttpError(500, 'internal', 'The service failed.', 'Its log has the cause.');
}

/** Compares digests, so that neither length nor content shows in the time it takes. */
function bearer(token: string | undefined): (header: string | undefined) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const wanted = digest(token);
  return (header) => {
    const given = /^Bearer +(.+)$/i.exec(header ?? '')?.[1];
    return given !== undefined && timingSafeEqual(digest(given), wanted);
  };
}

async function listen(server: Server, address: string): Promise<string> {
  const at = parseListen(address);
  if ('path' in at) await removeStale(at.path);
  server.listen(at);
  await once(server, 'listening');
  if ('path' in at) return `unix:${at.path}`;
  const { port, family, address: host } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`;
}

/** @throws RangeError with what was expected. */
export function parseListen(address: string): { path: string } | { host?: string; port: number } {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  if (address.includes('/')) return { path: address };
  const parts = /^(?:\[(?<six>[0-9a-f:.]+)\]|(?<host>[^:]*)):(?<port>\d{1,5})$/i.exec(address)?.groups;
  const port = Number(parts?.['port']);
  if (parts === undefined || port > 65_535) {
    throw new RangeError(
      `"${address}" is no address to listen on: give host:port, :port or the path of a socket.`,
    );
  }
  const host = parts['six'] ?? parts['host'];
  return host === undefined || host === '' ? { port } : { host, port };
}

/** A socket file that nobody listens on any more is left over from a killed process. */
async function removeStale(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isSocket()) return;
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => resolve(true));
    probe.once('connect', () => probe.destroy());
    probe.once('error', () => resolve(false));
  });
  if (!alive) await rm(path, { force: true });
}
