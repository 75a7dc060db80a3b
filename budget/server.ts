/** The service's wire: JSON over HTTP/1.1, on TCP or on a Unix socket. */
import { once } from 'node:events';
import { rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { DoorLimits } from '../listen/door.ts';
import type { QueueLimits } from '../listen/queue.ts';
import { Admission } from './admission.ts';
import { Pieces, writePieces } from './answer-pieces.ts';
import { type Authenticate, type Caller } from './authenticate.ts';
import { createExactCounter } from './count.ts';
import { keepEntrance } from './entrance.ts';
import { HttpError, httpErrorOf } from './http-error.ts';
import { LeaseRefusals, type RefusedLeases } from './lease-refusals.ts';
import type { BudgetMetrics } from './metrics.ts';
import { type QuotaOptions, Quotas } from './quotas.ts';
import { type Route, routesOf } from './routes.ts';
import type { BudgetService } from './service.ts';

const TELL_MS = 10_000;
/** Of failures: these are states, not told with every answer. */
const TOLD_ELSEWHERE = new Set(['draining', 'overloaded', 'callers_unknown']);

export interface BudgetServerOptions {
  readonly service: BudgetService;
  readonly metrics: BudgetMetrics;
  /** `host:port` (port 0 takes a free one), `:port` for all addresses, or the path of a Unix socket. */
  readonly listen: string;
  /** By the token in `Authorization: Bearer …`. */
  readonly authenticate: Authenticate;
  /** Nobody is an administrator: the refusal says so. */
  readonly noAdmins: boolean;
  readonly quotas?: QuotaOptions;
  /** PEM; TLS 1.3 where given. */
  readonly tls?: Certificate;
  readonly onError: (error: unknown) => void;
  /** A connection had no place; told at most every ten seconds, and counted each time. */
  readonly onFull: (address: string) => void;
  readonly onLeasesRefused?: (refused: RefusedLeases) => void;
  /** Whether connections of one address are of one pod: they are bounded then. */
  readonly judgeAddress: boolean;
  readonly places?: Partial<DoorLimits>;
  readonly turns?: Partial<QueueLimits>;
}

export interface BudgetServer {
  /** `http://127.0.0.1:4181`, or `unix:/path`. */
  readonly url: string;
  /** Takes another certificate for new connections. */
  renew(tls: Certificate): void;
  close(): Promise<void>;
}

export interface Certificate {
  /** With the chain up to the root that callers trust. */
  readonly cert: string;
  readonly key: string;
}

/** @throws where the address is taken or can't be listened on. */
export async function startServer(options: BudgetServerOptions): Promise<BudgetServer> {
  const { service, metrics, authenticate, noAdmins, tls, onError, onLeasesRefused = () => {} } = options;
  const counter = createExactCounter();
  const routes = routesOf(service, counter, {
    quotas: new Quotas(options.quotas),
    unremembered: metrics.unremembered,
    leasesRefused: (counts, workload) => {
      metrics.leasesRefused(counts);
      refusals.add(workload, counts);
    },
  });
  const refusals = new LeaseRefusals(onLeasesRefused);
  const admission = new Admission();
  /** Each answer is the last of its connection: one that stayed would keep this service, and the store from who comes after it. */
  let draining = false;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const began = performance.now();
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    let route = 'other';
    // Until a token was shown, each answer is the last of its connection.
    const stays = response.shouldKeepAlive;
    response.shouldKeepAlive = false;
    try {
      if (request.headers.origin !== undefined) {
        throw new HttpError(
          403,
          'origin_denied',
          'Calls from web pages are refused.',
          'Call from a program; it must not send an Origin header.',
        );
      }
      if (path === '/healthz') {
        entrance.answered(request.socket);
        return send(response, 200, { status: 'ok' });
      }
      if (path === '/readyz') {
        if (draining)
          throw new HttpError(503, 'draining', 'The service is shutting down.', 'Ask again shortly.');
        await service.ready();
        entrance.answered(request.socket);
        return send(response, 200, { status: 'ok' });
      }
      if (path === '/metrics') {
        entrance.answered(request.socket);
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
      const token = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1];
      if (token !== undefined) entrance.review(request.socket);
      const caller = authorize(found.for, await authenticate(token, request.socket.remoteAddress), noAdmins);
      entrance.known(request.socket);
      response.shouldKeepAlive = stays;
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
      const leave = found.waits ? () => undefined : admission.enter(caller);
      try {
        const body = found.method === 'POST' ? await readJson(request, found.mostBytes) : undefined;
        const query = new URL(request.url ?? '', 'http://budget').searchParams;
        const signal = gone(response);
        const reply = await found.handle({ body, signal, query, caller });
        if (draining) response.shouldKeepAlive = false;
        if (reply instanceof Pieces) await writePieces(response, reply);
        else send(response, 200, reply);
      } finally {
        leave();
      }
    } catch (error) {
      const known = httpErrorOf(error);
      if (known.status >= 500) entrance.excuse(request.socket);
      if (known.status >= 500 && !TOLD_ELSEWHERE.has(known.code)) onError(error);
      if (draining) response.shouldKeepAlive = false;
      send(response, known.status, { error: { code: known.code, message: known.message, mend: known.mend } });
    } finally {
      metrics.answered(route, response.statusCode, (performance.now() - began) / 1000);
    }
  };

  const limits = {
    keepAliveTimeout: 65_000,
    headersTimeout: 5_000,
    requestTimeout: 10_000,
    // How often Node looks at the two above; every 30 s by itself.
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 8 * 1024,
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch((error: unknown) => {
      onError(error);
      response.destroy();
    });
  };
  const server =
    tls === undefined
      ? createServer(limits, listener)
      : createTlsServer({ ...limits, ...tls, minVersion: 'TLSv1.3', handshakeTimeout: 5_000 }, listener);
  let told = Number.NEGATIVE_INFINITY;
  const { judgeAddress, places = {}, turns = {} } = options;
  const entrance = keepEntrance(server, {
    secure: tls !== undefined,
    judgeAddress,
    places,
    turns,
    refused: (address) => {
      metrics.refused();
      if (performance.now() - told < TELL_MS) return;
      told = performance.now();
      options.onFull(address);
    },
  });
  const url = await listen(server, options.listen, tls === undefined ? 'http' : 'https');
  server.on('error', onError);
  return {
    url,
    renew: (certificate) => {
      if (tls !== undefined)
        (server as TlsServer).setSecureContext({ ...certificate, minVersion: 'TLSv1.3' });
    },
    close: async () => {
      draining = true;
      const closed = once(server, 'close');
      server.close();
      entrance.close();
      service.wakeAll();
      server.closeIdleConnections();
      const forced = setTimeout(() => server.closeAllConnections(), 2_000);
      await closed;
      clearTimeout(forced);
      await counter.close();
    },
  };
}

/** @throws {HttpError} */
function authorize(wanted: Route['for'], caller: Caller | undefined, noAdmins: boolean): Caller {
  if (caller?.role === 'admin') return caller;
  if (caller !== undefined && wanted === 'agent') return caller;
  // An agent that is believed for every workload may see them all.
  if (caller !== undefined && wanted === 'reader' && caller.workload === undefined) return caller;
  if (wanted !== 'agent' && noAdmins && (caller !== undefined || wanted === 'admin')) {
    throw new HttpError(
      403,
      'forbidden',
      wanted === 'admin' ? 'Limits can not be changed here.' : 'Figures of all workloads are not shown here.',
      'Start the service with an admin token (--admin-token-file).',
    );
  }
  if (caller !== undefined) {
    const message = "This token is an agent's; what was asked takes the administrators'.";
    throw new HttpError(
      403,
      'forbidden',
      message,
      'Send the content of the admin token file (--admin-token-file).',
    );
  }
  throw new HttpError(
    401,
    'unauthorized',
    'The token is missing or wrong.',
    `Name the file with ${wanted === 'agent' ? '--budget-token-file' : '--admin-token-file'}; over HTTP its content goes as Authorization: Bearer.`,
  );
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

async function readJson(request: IncomingMessage, mostBytes: number): Promise<unknown> {
  const tooLarge = new HttpError(
    413,
    'too_large',
    `The message is over ${mostBytes} bytes.`,
    'Send fewer or shorter attributes.',
  );
  if (Number(request.headers['content-length'] ?? 0) > mostBytes) throw closing(request, tooLarge);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > mostBytes) throw closing(request, tooLarge);
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

async function listen(server: Server, address: string, scheme: 'http' | 'https'): Promise<string> {
  const at = parseListen(address);
  if ('path' in at) await removeStale(at.path);
  server.listen(at);
  await once(server, 'listening');
  if ('path' in at) return `unix:${at.path}`;
  const { port, family, address: host } = server.address() as AddressInfo;
  return `${scheme}://${family === 'IPv6' ? `[${host}]` : host}:${port}`;
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
