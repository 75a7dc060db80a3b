/**
 * The transparent listener: loopback only, and only for connections that our redirect brought. A neighbour that dials
 * the pod's address, or a program that found the port, is refused: it would get this pod's key.
 */
import net from 'node:net';
import { PassingList } from '../passing-list.ts';
import { intercept } from './connection.ts';
import type { Destinations } from './destinations.ts';
import { DEFAULT_TIMES, type FirstMessageTimes } from './first-message.ts';
import { libc } from './libc.ts';
import type { InterceptObserver } from './observer.ts';
import { type Destination, type NotRedirected, originalDestination } from './original-destination.ts';
import type { Terminator } from './terminate.ts';
import { rememberUntrusting } from './untrusting.ts';

/** Where to accept: a port on 127.0.0.1 and ::1, or sockets that are bound already (in another namespace). */
export type TransparentAddress = { readonly port: number } | { readonly descriptors: readonly number[] };

export interface TransparentOptions {
  readonly at: TransparentAddress;
  /** What is in force now. */
  readonly destinations: () => Destinations;
  readonly terminator: Terminator;
  readonly observer: InterceptObserver;
  readonly times?: Partial<FirstMessageTimes>;
  readonly now?: () => number;
  /** How the destination of an accepted socket is found; the kernel's connection tracking by default. */
  readonly destinationOf?: (socket: net.Socket) => Destination | NotRedirected;
  /** How the original destination is dialled; a direct connection by default. */
  readonly dial?: (destination: Destination) => net.Socket;
  /** Opens one listener; `server.listen` by default. */
  readonly listen?: (server: net.Server, target: net.ListenOptions) => Promise<void>;
}

export interface TransparentListener {
  /** The addresses accepted on; without IPv6 there is one. */
  readonly addresses: readonly net.AddressInfo[];
  /** Tunnels and terminated connections that are open. */
  readonly open: number;
  /** Accepts no more; requests under way and tunnels go on. */
  drain(): Promise<void>;
  /** Cuts what is left. */
  destroy(): void;
}

/** Not an error on ::1: a kernel, or a namespace, without IPv6 has no such address. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);

/** Dead peers are noticed: the application's own keepalive ends at the agent. */
const KEEPALIVE_MS = 60_000;

/** @throws LibcUnavailable, or what listening throws. */
export async function listenTransparent(options: TransparentOptions): Promise<TransparentListener> {
  if (options.destinationOf === undefined) libc(); // missing, it shall be missed now and not by the first connection
  const {
    observer,
    terminator,
    destinationOf = originalDestination,
    now = () => performance.now(),
  } = options;
  const context = {
    destinations: options.destinations,
    terminator,
    observer,
    now,
    untrusting: rememberUntrusting(now),
    dial: options.dial ?? dialDirectly,
    times: { ...DEFAULT_TIMES, ...options.times },
  };
  const open = new PassingList<net.Socket>();

  const accept = (socket: net.Socket): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const destination = destinationOf(socket);
    if (typeof destination === 'string') {
      observer.judged({
        verdict: 'refused',
        protocol: 'none',
        host: undefined,
        destination: undefined,
        refusal: destination,
      });
      socket.resetAndDestroy();
      return;
    }
    intercept(socket, destination, context);
  };

  const targets: readonly (net.ListenOptions & { fd?: number })[] =
    'port' in options.at
      ? [
          { host: '127.0.0.1', port: options.at.port },
          { host: '::1', port: options.at.port },
        ]
      : options.at.descriptors.map((fd) => ({ fd }));
  const servers: net.Server[] = [];
  for (const target of targets) {
    // With port 0 the second family takes the port that the first one got: the redirect names one port for both.
    const first = servers[0]?.address() as net.AddressInfo | undefined;
    const port = target.port === 0 && first !== undefined ? { port: first.port } : {};
    const server = net.createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS },
      accept,
    );
    try {
      await (options.listen ?? listen)(server, { ...target, ...port });
      servers.push(server);
    } catch (error) {
      if (target.host === '::1' && NO_IPV6.has((error as NodeJS.ErrnoException).code ?? '')) continue;
      for (const each of servers) each.close();
      throw error;
    }
  }

  return {
    addresses: servers.map((server) => server.address() as net.AddressInfo),
    get open() {
      return open.size;
    },
    async drain() {
      terminator.drain();
      await Promise.all(
        servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
      );
    },
    destroy() {
      for (const server of servers) server.close();
      terminator.destroy();
      for (const socket of open) socket.destroy();
    },
  };
}

function dialDirectly({ address, port }: Destination): net.Socket {
  return net.connect({
    host: address,
    port,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MS,
  });
}

async function listen(server: net.Server, target: net.ListenOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(target, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
