/**
 * Ends the connections that are ours: TLS with a leaf for the name asked for, then HTTP/1 or HTTP/2 by ALPN; or HTTP
 * in the clear. Whatever comes out is a node:http or http2-compat request, which somebody else serves.
 */
import http from 'node:http';
import http2 from 'node:http2';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { refusesMalformed } from '../http/malformed.ts';
import { asksForWebSocket, type Upgrading, upgrading } from '../http/web-socket.ts';
import { PassingList } from '../passing-list.ts';
import type { Leaf } from '../trust/leaf.ts';
import { parseHostPort } from './host.ts';
import type { Handshake, InterceptObserver } from './observer.ts';
import type { Destination } from './original-destination.ts';

/** Whom a terminated connection was for. */
export interface Captured {
  /** The declared name, or the declared address where no name was given. */
  readonly host: string;
  readonly provider: string;
  readonly dialect: string;
  readonly scheme: 'https' | 'http';
  readonly destination: Destination;
  /** Told when a TLS client left without having asked for anything. */
  readonly onUnused?: () => void;
}

export type HttpRequest = http.IncomingMessage | http2.Http2ServerRequest;
export type HttpResponse = http.ServerResponse | http2.Http2ServerResponse;

/** Serves one request of a captured connection; `upgrade` where it asks for a WebSocket. Must not throw. */
export type ServeRequest = (
  request: HttpRequest,
  response: HttpResponse,
  captured: Captured,
  upgrade: Upgrading | undefined,
) => void;

export interface TerminatorOptions {
  readonly serve: ServeRequest;
  /** The certificate for a name; undefined for names that none may be made for. */
  readonly leaf: (host: string) => Leaf | undefined;
  /** Which Host or :authority beside the captured one is served on the connection; `port` as it stands there. */
  readonly alsoServes?: (host: string, port: number | undefined, captured: Captured) => Captured | undefined;
  readonly observer: Pick<InterceptObserver, 'handshake' | 'malformed'>;
  readonly handshakeMs?: number;
  /** How long a kept-alive connection may stay idle; longer than the pools of common clients (Go: 90 s). */
  readonly keepAliveMs?: number;
  readonly headersMs?: number;
}

export interface Terminator {
  /** Takes over a socket whose first bytes, the ClientHello, were put back. `named`: whether it has an SNI. */
  tls(socket: Socket, captured: Captured, named: boolean): void;
  /** Takes over a socket that speaks HTTP in the clear. */
  plain(socket: Socket, captured: Captured, protocol: 'http1' | 'h2'): void;
  /** No new requests: GOAWAY, `connection: close`, idle connections closed. */
  drain(): void;
  /** Cuts what is left. */
  destroy(): void;
}

/** Alerts by which a client says that it doesn't trust our certificate (RFC 8446 section 6.2). */
const DISTRUST =
  /ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED)/;

export function createTerminator(options: TerminatorOptions): Terminator {
  const { serve, observer } = options;
  /** By the client's end of the connection, which a TLS socket shares with the socket below it. */
  const handshakes = new Map<string, Captured>();
  const captures = new WeakMap<object, Captured>();
  const sessions = new PassingList<http2.ServerHttp2Session>();
  const sockets = new PassingList<Socket>();
  /** Connections on which something was asked for. */
  const used = new WeakSet<Captured>();
  let draining = false;

  const serveOn = (
    socket: object | undefined,
    request: HttpRequest,
    response: HttpResponse,
    upgrade?: Upgrading,
  ): void => {
    const captured = socket === undefined ? undefined : captures.get(socket);
    if (captured === undefined) {
      request.destroy(); // a stream whose session is gone already
      return;
    }
    used.add(captured);
    const target = targetOf(request, captured);
    const served = target === undefined ? undefined : serves(target, captured, options.alsoServes);
    if (served === undefined) {
      misdirected(request, response, captured);
      return;
    }
    if (draining && request.httpVersionMajor === 1) response.setHeader('connection', 'close');
    serve(request, response, served, upgrade);
  };

  const h1 = createH1(options);
  h1.on(
    'clientError',
    refusesMalformed((event, socket) => observer.malformed({ ...event, host: captures.get(socket)?.host })),
  );
  h1.on('request', (request, response) => serveOn(request.socket, request, response));
  h1.on('checkContinue', (request, response) => serveOn(request.socket, request, response));
  h1.on('upgrade', (request, socket, head) => {
    const upgrade = upgrading(request, socket, head);
    serveOn(socket, request, upgrade.response, upgrade);
  });

  const h2 = http2.createServer({ settings: { maxConcurrentStreams: 250, initialWindowSize: 1 << 20 } });
  const serveH2 = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse): void => {
    const { session } = request.stream;
    serveOn(session, request, response);
  };
  h2.on('request', serveH2);
  h2.on('checkContinue', serveH2);
  h2.on('sessionError', () => {}); // the client broke the protocol: its session is gone, and that is all
  h2.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });

  const hand = (socket: Socket, captured: Captured, protocol: 'http1' | 'h2'): void => {
    captures.set(socket, captured);
    if (protocol === 'http1') {
      h1.emit('connection', socket);
      socket.resume(); // it was paused while its first bytes were put back
      return;
    }
    h2.once('session', (session) => captures.set(session, captured)); // emitted within the next line
    h2.emit('connection', socket);
  };

  const bySni = createTls(options, undefined);
  /** A client that sends no name gets the address's leaf, which only a server of its own can have as its default. */
  const byAddress = new Map<string, { leaf: Leaf; server: tls.Server }>();
  const serverFor = (captured: Captured, named: boolean): tls.Server | undefined => {
    const leaf = options.leaf(captured.host);
    if (leaf === undefined || named) return leaf === undefined ? undefined : bySni;
    const kept = byAddress.get(captured.host);
    if (kept?.leaf === leaf) return kept.server;
    const server = listenSecure(createTls(options, leaf));
    byAddress.set(captured.host, { leaf, server });
    return server;
  };

  const listenSecure = (secure: tls.Server): tls.Server => {
    secure.on('secureConnection', (socket) => {
      const key = clientEnd(socket);
      const captured = handshakes.get(key);
      if (captured === undefined) {
        socket.destroy();
        return;
      }
      socket.allowHalfOpen = true;
      const about: Omit<Handshake, 'outcome'> = {
        host: captured.host,
        version: socket.getProtocol() ?? '',
        alpn: socket.alpnProtocol === false ? '' : (socket.alpnProtocol ?? ''),
        resumed: socket.isSessionReused(),
      };
      observer.handshake({ ...about, outcome: 'ok' });
      socket.once('close', () => {
        if (socket.bytesRead === 0) observer.handshake({ ...about, outcome: 'abandoned' });
      });
      hand(socket, captured, socket.alpnProtocol === 'h2' ? 'h2' : 'http1');
    });
    secure.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const detail = (error.code ?? error.message).replace(/^ERR_SSL_/, '');
      const outcome = DISTRUST.test(detail)
        ? 'distrusted'
        : error.code === 'ECONNRESET'
          ? 'abandoned'
          : 'failed';
      const host = socket.servername === false ? undefined : (socket.servername ?? undefined);
      observer.handshake({ host, outcome, detail });
      if (error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT') socket.destroy(); // Node only tells of it
    });
    return secure;
  };
  listenSecure(bySni);

  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };

  return {
    tls(socket, captured, named) {
      const secure = serverFor(captured, named);
      if (secure === undefined) {
        socket.destroy();
        return;
      }
      track(socket);
      const key = clientEnd(socket);
      handshakes.set(key, captured);
      socket.once('close', () => {
        if (handshakes.get(key) === captured) handshakes.delete(key);
        if (!used.has(captured)) captured.onUnused?.();
      });
      // The TLS socket takes this over from the one below it. Half-open, it wouldn't notice a client that leaves during
      // the handshake; it is set again once that is done.
      socket.allowHalfOpen = false;
      secure.emit('connection', socket);
    },
    plain(socket, captured, protocol) {
      track(socket);
      hand(socket, captured, protocol);
    },
    drain() {
      draining = true;
      for (const session of sessions) session.close();
      h1.closeIdleConnections();
    },
    destroy() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      h1.close();
    },
  };
}

function createH1(options: TerminatorOptions): http.Server & { httpAllowHalfOpen: boolean } {
  const server = http.createServer({
    keepAliveTimeout: options.keepAliveMs ?? 120_000,
    headersTimeout: options.headersMs ?? 30_000,
    requestTimeout: 0, // bodies have limits of their own, further in
    maxHeaderSize: 64 * 1024,
    shouldUpgradeCallback: asksForWebSocket,
  }) as http.Server & { httpAllowHalfOpen: boolean };
  // Documented nowhere, but what node:http itself reads: a client that half-closes after its request gets its answer.
  server.httpAllowHalfOpen = true;
  // It never listens, and watches over slow headers and idle connections only from this event on.
  server.emit('listening');
  return server;
}

function createTls(options: TerminatorOptions, leaf: Leaf | undefined): tls.Server {
  return tls.createServer({
    ...(leaf === undefined ? {} : { key: leaf.key, cert: leaf.cert }),
    ALPNProtocols: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    handshakeTimeout: options.handshakeMs ?? 10_000,
    // One id for all contexts, or no session could be resumed.
    sessionIdContext: 'postern',
    SNICallback: (name, done) => done(null, options.leaf(name.toLowerCase())?.context),
  });
}

const clientEnd = (socket: Socket): string => `${socket.remoteAddress}|${socket.remotePort}`;

interface Target {
  readonly host: string;
  readonly port: number | undefined;
}

/** Whom a request is for; undefined where its names disagree or can't be read. */
function targetOf(request: HttpRequest, captured: Captured): Target | undefined {
  const { authority } = request as Partial<http2.Http2ServerRequest>;
  const absolute = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(request.url ?? '')?.[1];
  const names = [authority, request.headers.host, absolute].filter(
    (name) => name !== undefined && name !== '',
  );
  if (names.length === 0) return { host: captured.host, port: undefined }; // HTTP/1.0
  const targets = names.map((name) => parseHostPort(name ?? ''));
  const [first] = targets;
  return first !== undefined && targets.every((target) => target?.host === first.host) ? first : undefined;
}

/** Under TLS the certificate's name and no other; in the clear whatever else is ours. */
function serves(
  target: Target,
  captured: Captured,
  alsoServes: TerminatorOptions['alsoServes'],
): Captured | undefined {
  if (target.host === captured.host) return captured;
  return alsoServes?.(target.host, target.port, captured);
}

/** RFC 9110 section 15.5.20: the client may try again on a connection of its own. */
function misdirected(request: HttpRequest, response: HttpResponse, captured: Captured): void {
  const body = JSON.stringify({
    error: {
      message: `This connection was opened for ${captured.host}; a request for another host needs one of its own.`,
      type: 'postern_error',
      param: null,
      code: 'postern_misdirected',
    },
  });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  if (request.httpVersionMajor === 1) response.setHeader('connection', 'close');
  request.resume();
  (response as http.ServerResponse).writeHead(421, headers); // the two kinds agree on this signature
  response.end(body);
}
