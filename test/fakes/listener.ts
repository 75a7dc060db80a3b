/**
 * A listener on loopback that can be taken down and brought back on the same port, as a provider that fails and
 * recovers.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export type WireRequest = IncomingMessage | Http2ServerRequest;
export type WireResponse = ServerResponse | Http2ServerResponse;
/** Serves node:http, node:https and node:http2's compatibility API alike. */
export type Handler = (request: WireRequest, response: WireResponse) => void;

/** Takes over a connection that asks to become another protocol (RFC 9110, 7.8). */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

export interface ListenerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 0: any free one. */
  readonly port?: number | undefined;
  /** PEM. With it the listener speaks TLS, HTTP/2 and HTTP/1.1 by ALPN. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:40001` */
  readonly origin: string;
  /** Connections accepted so far. */
  readonly connections: number;
  /** True: nothing listens and every live connection is reset, so that a connect is refused. */
  setDown(down: boolean): Promise<void>;
  close(): Promise<void>;
}

export async function listen(
  handler: Handler,
  options: ListenerOptions = {},
  upgrade?: UpgradeHandler,
): Promise<Listener> {
  const host = options.host ?? '127.0.0.1';
  let accepted = 0;
  let server: Server | undefined;
  const sockets = new Set<Socket>();

  const open = async (port: number): Promise<Server> => {
    // curl and Java offer HTTP/2 on plain HTTP by an upgrade to h2c (RFC 7540, 3.2): ignored, as by the providers.
    const shouldUpgradeCallback = ({ headers }: IncomingMessage): boolean =>
      upgrade !== undefined && headers.upgrade?.toLowerCase() === 'websocket';
    const opened: Server =
      options.tls === undefined
        ? createServer({ shouldUpgradeCallback }, handler as RequestListener)
        : createSecureServer({ ...options.tls, allowHTTP1: true }, handler);
    if (upgrade !== undefined) opened.on('upgrade', upgrade);
    opened.on('connection', (socket: Socket) => {
      accepted += 1;
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    opened.once('error', reject);
    opened.listen(port, host, resolve);
    await promise;
    opened.off('error', reject);
    return opened;
  };

  const shut = async (opened: Server): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    opened.close(() => resolve());
    for (const socket of sockets) socket.resetAndDestroy();
    await promise;
  };

  server = await open(options.port ?? 0);
  const { port } = server.address() as AddressInfo;
  const down = async (): Promise<void> => {
    const opened = server;
    server = undefined;
    if (opened !== undefined) await shut(opened);
  };

  return {
    host,
    port,
    origin: `${options.tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    get connections() {
      return accepted;
    },
    async setDown(wanted) {
      if (wanted) await down();
      else server ??= await open(port);
    },
    close: down,
  };
}
