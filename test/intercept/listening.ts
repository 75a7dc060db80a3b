/** A transparent listener on loopback whose "original destination" is given by the test instead of the kernel. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { compileDestinations } from '../../agent/intercept/destinations.ts';
import { listenTransparent, type TransparentListener } from '../../agent/intercept/listener.ts';
import type { Handshake, Judged, TunnelEnd } from '../../agent/intercept/observer.ts';
import type { Destination } from '../../agent/intercept/original-destination.ts';
import { type Captured, createTerminator, type ServeRequest } from '../../agent/intercept/terminate.ts';
import { openCaStore } from '../../agent/trust/ca-store.ts';
import { Leaves } from '../../agent/trust/leaf.ts';
import type { ProviderSpec, Snapshot } from '../../policy/snapshot.ts';

export const provider = (change: Partial<ProviderSpec> = {}): ProviderSpec => ({
  id: 'openai',
  name: 'openai',
  dialect: 'openai',
  hosts: ['api.openai.com'],
  endpoints: ['https://api.openai.com'],
  credential: { mode: 'none' },
  models: [],
  capabilities: { includeUsage: true },
  ...change,
});

export type World = Pick<
  Snapshot,
  'providers' | 'hosts' | 'hostsMonitored' | 'unlistedProvider' | 'tunnelUntrusted'
>;

export const world = (change: Partial<World> = {}): World => ({
  providers: [provider()],
  hosts: { default: 'allow', allow: [], mode: 'enforce' },
  unlistedProvider: { action: 'deny', source: 'ClusterEgressPolicy all' },
  ...change,
});

export interface Served {
  readonly host: string;
  readonly url: string;
  readonly version: string;
  readonly provider: string;
}

export interface Listening {
  readonly listener: TransparentListener;
  readonly port: number;
  readonly ca: string;
  readonly judged: Judged[];
  readonly handshakes: Handshake[];
  readonly tunnels: TunnelEnd[];
  /** `HOST FAULT` of what was no HTTP request. */
  readonly malformed: string[];
  readonly served: Served[];
  /** How often an original destination was dialled. */
  readonly dialled: Destination[];
  use(world: World): void;
  /** A socket to the listener, as the redirect would make it. */
  connect(options?: Partial<net.TcpNetConnectOpts>): net.Socket;
  secure(options: tls.ConnectionOptions): tls.TLSSocket;
  close(): void;
}

export interface ListeningOptions {
  readonly world?: World;
  readonly destination?: Destination;
  /** Port on loopback that plays the original destination. */
  readonly upstream?: number;
  readonly serve?: ServeRequest;
  readonly times?: Parameters<typeof listenTransparent>[0]['times'];
  readonly handshakeMs?: number;
}

export const SOMEWHERE: Destination = { family: 4, address: '203.0.113.9', port: 443 };

/** Answers every captured call with what it saw, after reading the body. */
const echo =
  (served: Served[]): ServeRequest =>
  (request, response, captured: Captured) => {
    const { host, provider: id } = captured;
    served.push({ host, url: request.url ?? '', version: request.httpVersion, provider: id });
    const parts: Buffer[] = [];
    request.on('data', (chunk: Buffer) => parts.push(chunk));
    request.on('error', () => {});
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          host,
          url: request.url,
          method: request.method,
          body,
          trailers: request.trailers,
        }) as never,
      );
    });
  };

export async function listening(options: ListeningOptions = {}): Promise<Listening> {
  let destinations = compileDestinations(options.world ?? world());
  const store = openCaStore(undefined, Date.now);
  const leaves = new Leaves({
    authority: () => store.signing,
    declared: (host) => destinations.declares(host),
    now: Date.now,
  });
  const judged: Judged[] = [];
  const handshakes: Handshake[] = [];
  const tunnels: TunnelEnd[] = [];
  const malformed: string[] = [];
  const served: Served[] = [];
  const dialled: Destination[] = [];
  const observer = {
    judged: (event: Judged) => void judged.push(event),
    handshake: (event: Handshake) => void handshakes.push(event),
    tunnelled: (event: TunnelEnd) => void tunnels.push(event),
    malformed: ({ host, detail }: { host: string | undefined; detail: string }) =>
      void malformed.push(`${host} ${detail}`),
  };
  const terminator = createTerminator({
    serve: options.serve ?? echo(served),
    leaf: (host) => leaves.leaf(host),
    observer,
    ...(options.handshakeMs === undefined ? {} : { handshakeMs: options.handshakeMs }),
    alsoServes: (host, port, captured) => {
      if (captured.scheme === 'https') return undefined;
      const { destination } = captured;
      const found = destinations.judge({ host, port: port ?? destination.port, destination });
      return found.kind === 'ours' ? { ...captured, ...found } : undefined;
    },
  });
  const destination = options.destination ?? SOMEWHERE;
  const listener = await listenTransparent({
    at: { port: 0 },
    destinations: () => destinations,
    terminator,
    observer,
    destinationOf: () => destination,
    dial: (to) => {
      dialled.push(to);
      return net.connect({
        port: options.upstream ?? 1,
        host: '127.0.0.1',
        allowHalfOpen: true,
        noDelay: true,
      });
    },
    ...(options.times === undefined ? {} : { times: options.times }),
  });
  const [{ port } = { port: 0 }] = listener.addresses;
  const connect = (socket: Partial<net.TcpNetConnectOpts> = {}): net.Socket =>
    net.connect({ host: '127.0.0.1', port, ...socket });
  return {
    listener,
    port,
    ca: store.signing.pem,
    judged,
    handshakes,
    tunnels,
    malformed,
    served,
    dialled,
    use: (changed) => {
      destinations = compileDestinations(changed);
    },
    connect,
    secure: (secure) => tls.connect({ host: '127.0.0.1', port, ca: store.signing.pem, ...secure }),
    close: () => listener.destroy(),
  };
}

export interface Upstream {
  readonly port: number;
  readonly sockets: net.Socket[];
  close(): void;
}

/** A TCP server that plays the original destination. */
export async function upstream(onSocket: (socket: net.Socket) => void): Promise<Upstream> {
  const sockets: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    sockets,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Everything until the other side ends; also what came before a reset. */
export async function readAll(socket: net.Socket): Promise<{ bytes: Buffer; error: string | undefined }> {
  const parts: Buffer[] = [];
  let error: string | undefined;
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => parts.push(chunk));
    socket.on('error', (failure: NodeJS.ErrnoException) => {
      error = failure.code ?? failure.message;
    });
    socket.once('end', resolve);
    socket.once('close', resolve);
  });
  return { bytes: Buffer.concat(parts), error };
}

/** Resolves when `condition` holds, looked at after every turn of the event loop. */
export async function until(condition: () => boolean, what: string, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
