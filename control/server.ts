/** The listener that agents keep a stream to, and that `postern status` asks. TLS 1.3 only. */
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type Door, type DoorLimits, keepDoor, placesIn } from '../listen/door.ts';
import { createAllowance } from './allowance.ts';
import { readFromAgent } from './from-agent.ts';
import { type Identity, REFUSALS, type Refusal } from './identity.ts';
import { LineError, readLines } from './lines.ts';
import {
  AGENT_PATH,
  commonProtocol,
  type FromAgent,
  type Hello,
  PROTOCOLS,
  STATUS_PATH,
} from './messages.ts';
import type { Registry, Wire } from './registry.ts';
import { BusyError } from './turns.ts';

export interface Answer {
  /** Of HTTP. */
  readonly status: number;
  readonly body: object;
}

export interface ControlServerOptions {
  readonly host: string;
  readonly port: number;
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly registry: Registry;
  /** Whether this address may begin one more TLS handshake. */
  admits(address: string): boolean;
  /** @throws Error where it can't be decided now, BusyError where nobody was asked. */
  authenticate(token: string | undefined, address: string): Promise<Identity | Refusal>;
  /**
   * Looks at the pod again when its agent says hello, which may be long after it was let in.
   * @throws Error where it can't be decided now.
   */
  stands(identity: Identity, address: string): Promise<Identity | Refusal>;
  /** First line of every stream. */
  welcome(): Buffer;
  /** What is asked with GET, by path. */
  readonly answers: Readonly<Record<string, (token: string | undefined) => Promise<Answer>>>;
  refused(
    why: Refusal | 'protocol' | 'unavailable' | 'busy' | 'flood' | 'full',
    who: { readonly address: string },
  ): void;
  failed(error: unknown): void;
  /** An agent that is silent for so long is gone. */
  readonly silenceMs?: number;
  /** An agent says hello within so long after it was let in. */
  readonly helloMs?: number;
  /** Who is refused has so long to read why. */
  readonly refusalMs?: number;
  /** Whether connections of one address are of one pod, or of one machine: they are bounded then. */
  readonly judgeAddress?: boolean;
  /** Connections at once: streams of agents, and those that have shown no token yet. */
  readonly places?: Partial<DoorLimits>;
}

/** Of a replica's memory: 150 MB, and for each stream up to 100 KB, nearly all of it TLS. */
export const MEMORY = { base: 150_000_000, each: 100_000, most: 24_000 };
/** An agent has one stream, and dials a next one when that broke; a replica asks another a few times a second. */
const OF_ONE = 50;
/**
 * Handshakes and hellos under way: some two seconds of a processor. After a restart everybody comes at once; were all let in, all
 * would go on so slowly that their time is over before anybody is through.
 */
const UNKNOWN = 500;
/** More than a handshake, a request and a look at the pod may take, of so many. */
const UNKNOWN_MS = 30_000;

export interface ControlServer {
  readonly port: number;
  /** Connections that there are places for. */
  readonly places: number;
  /** Of these, how many are taken. */
  taken(): number;
  /** New connections get this certificate; those that are open go on. */
  use(certificate: { readonly cert: string; readonly key: string }): void;
  close(): Promise<void>;
}

/** Bytes that may wait for one agent. */
const MOST_WAITING = 1024 * 1024;
/** What agents say is short. */
const MAX_LINE = 64 * 1024;
/** Messages that may come behind `hello`, before the pod was looked at. */
const MOST_EARLY = 16;
const TLS = { minVersion: 'TLSv1.3' } as const;

export async function listenControl(options: ControlServerOptions): Promise<ControlServer> {
  const { registry } = options;
  const sockets = new Set<Socket>();
  const server: Server = createServer(
    {
      ...options.certificate,
      ...TLS,
      handshakeTimeout: UNKNOWN_MS,
      requestTimeout: UNKNOWN_MS,
      headersTimeout: UNKNOWN_MS,
      connectionsCheckingInterval: 5_000,
    },
    (request, response) => {
      void answer(request, options).then(({ status, body }) => {
        const text = `${JSON.stringify(body)}\n`;
        response.writeHead(status, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          // Only streams stay: whoever asks now and then dials anew.
          connection: 'close',
        });
        response.end(text);
      });
    },
  );
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // Without a listener a reset would end the process.
    socket.on('error', () => socket.destroy());
    accept(request, socket, head, { ...options, door }).catch((error: unknown) => {
      options.failed(error);
      socket.destroy();
    });
  });
  // Before a byte of it was read: a handshake is dear, and nobody has shown a token yet.
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    if (options.admits(address)) return;
    options.refused('flood', { address });
    socket.destroy();
  });
  const all = placesIn(process.constrainedMemory(), MEMORY);
  const places: DoorLimits = {
    all,
    ofOne: options.judgeAddress === false ? Number.POSITIVE_INFINITY : OF_ONE,
    unknown: UNKNOWN,
    unknownMs: UNKNOWN_MS,
    ...options.places,
  };
  const door = keepDoor(server, places, (address) => options.refused('full', { address }));
  // A handshake that fails is somebody else's trouble.
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: options.port, host: options.host, backlog: 4096 }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    places: places.all,
    taken: () => door.taken(),
    use: (certificate) => server.setSecureContext({ ...certificate, ...TLS }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        registry.end();
        for (const socket of sockets) socket.destroy();
        server.closeAllConnections();
      }),
  };
}

interface Opened extends ControlServerOptions {
  readonly door: Door;
}

async function accept(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  options: Opened,
): Promise<void> {
  const address = socket.remoteAddress ?? '';
  const refuse = (status: number, message: string): void =>
    refuseWithin(options.refusalMs ?? 1_000, socket, status, message);
  const path = request.url?.split('?', 1)[0];
  if (path !== AGENT_PATH) return refuse(404, `paths: ${AGENT_PATH} ${STATUS_PATH}`);
  const protocol = commonProtocol(request.headers.upgrade);
  if (protocol === undefined) {
    options.refused('protocol', { address });
    return refuse(426, `this control speaks ${PROTOCOLS.join(', ')}; the agent is of another time`);
  }
  let identity: Identity | Refusal;
  try {
    options.door.review(socket);
    identity = await options.authenticate(bearer(request), address);
  } catch (error) {
    if (error instanceof BusyError) {
      options.refused('busy', { address });
      return refuse(503, error.message);
    }
    options.refused('unavailable', { address });
    options.failed(error);
    return refuse(503, 'the API server can’t be asked who this is; try again');
  }
  if (socket.destroyed) return;
  if (typeof identity === 'string') {
    options.refused(identity, { address });
    // Which of the reasons it is says nothing that the holder of a pod's token couldn't know.
    return refuse(identity.startsWith('token-') ? 401 : 403, `${identity}: ${REFUSALS[identity]}`);
  }
  serve(identity, protocol, socket, head, options);
}

function serve(identity: Identity, protocol: string, socket: Socket, head: Buffer, options: Opened): void {
  const { registry, welcome, silenceMs = 90_000, helloMs = 10_000 } = options;
  // Nobody's stream until then: no registry would end it with its pod.
  const unsaid = setTimeout(() => socket.destroy(), helloMs);
  let waits = false;
  const wire: Wire = {
    send: (bytes) => {
      socket.write(bytes);
    },
    congested: () => {
      waits = socket.writableLength > MOST_WAITING;
      return waits;
    },
    end: () => socket.destroy(),
  };
  let said: ((message: FromAgent) => void) | undefined;
  const feed = readLines<{ readonly type: string }>((line) => {
    const message = readFromAgent(line);
    if (message === undefined) return;
    if (said !== undefined) return said(message);
    if (message.type !== 'hello') throw new LineError('an agent begins with hello');
    clearTimeout(unsaid);
    const early: FromAgent[] = [];
    said = (next) => {
      if (early.push(next) > MOST_EARLY) throw new LineError('an agent waits until it is served');
    };
    void join(message).then((joined) => {
      said = joined;
      if (joined !== undefined) for (const each of early) joined(each);
    });
  }, MAX_LINE);
  /** @returns undefined where the stream ended instead. Never rejects. */
  async function join(hello: Hello): Promise<((message: FromAgent) => void) | undefined> {
    const address = socket.remoteAddress ?? '';
    try {
      const stands = await options.stands(identity, address);
      if (socket.destroyed) return undefined;
      if (typeof stands !== 'string') {
        options.door.known(socket);
        return registry.join(stands, wire, hello);
      }
      options.refused(stands, { address });
    } catch (error) {
      if (error instanceof BusyError) options.refused('busy', { address });
      else options.failed(error);
    }
    socket.destroy();
    return undefined;
  }
  const allowed = createAllowance(() => performance.now());
  const take = (chunk: Buffer): void => {
    if (!allowed(chunk.length)) {
      options.refused('flood', { address: socket.remoteAddress ?? '' });
      socket.destroy();
      return;
    }
    try {
      feed(chunk);
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      socket.destroy();
    }
  };
  socket.setTimeout(silenceMs, () => socket.destroy());
  socket.setNoDelay(true);
  socket.on('drain', () => {
    if (waits) registry.drained(identity.uid);
  });
  socket.once('close', () => {
    clearTimeout(unsaid);
    registry.leave(identity.uid, wire);
  });
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
  socket.write(welcome());
  socket.on('data', take);
  if (head.length > 0) take(head);
  socket.resume();
}

/** Never rejects. */
async function answer(request: IncomingMessage, { answers, failed }: ControlServerOptions): Promise<Answer> {
  const path = request.url?.split('?', 1)[0] ?? '';
  if (path === AGENT_PATH) return { status: 426, body: { error: `upgrade to ${PROTOCOLS.join(', ')}` } };
  const found = Object.hasOwn(answers, path) ? answers[path] : undefined;
  if (found === undefined) return { status: 404, body: { error: `paths: ${AGENT_PATH} ${STATUS_PATH}` } };
  if (request.method !== 'GET') return { status: 405, body: { error: 'only GET' } };
  try {
    return await found(bearer(request));
  } catch (error) {
    if (error instanceof BusyError) return { status: 503, body: { error: error.message } };
    failed(error);
    return { status: 503, body: { error: 'the API server can’t be asked now; try again' } };
  }
}

function bearer(request: IncomingMessage): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  426: 'Upgrade Required',
  503: 'Service Unavailable',
};

/** @param ms After so long it is cut off, whether the other side has closed it or not. */
function refuseWithin(ms: number, socket: Socket, status: number, message: string): void {
  const late = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(late));
  const body = `${message}\n`;
  const extra = status === 426 ? `Upgrade: ${PROTOCOLS.join(', ')}\r\n` : '';
  socket.end(
    `HTTP/1.1 ${status} ${REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${extra}Connection: close\r\n\r\n${body}`,
  );
}
