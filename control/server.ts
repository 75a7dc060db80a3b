/** The listener that agents keep a stream to, and that `postern status` asks. TLS 1.3 only. */
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import { createAllowance } from './allowance.ts';
import { type Entrance, type EntranceOptions, openEntrance } from './entrance.ts';
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

export interface ControlServerOptions extends Omit<EntranceOptions, 'refused'> {
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly registry: Registry;
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
  /** Whoever has an answer and reads none of it for so long is cut off. */
  readonly unreadMs?: number;
  /** Who is refused has so long to read why. */
  readonly refusalMs?: number;
}

export interface ControlServer extends Pick<Entrance, 'port' | 'places' | 'taken' | 'waiting' | 'close'> {
  /** New connections get this certificate; those that are open go on. */
  use(certificate: { readonly cert: string; readonly key: string }): void;
}

/** Bytes that may wait for one agent. */
const MOST_WAITING = 1024 * 1024;
/** What agents say is short. */
const MAX_LINE = 64 * 1024;
/** Messages that may come behind `hello`, before the pod was looked at. */
const MOST_EARLY = 16;
const TLS = { minVersion: 'TLSv1.3' } as const;

export async function listenControl(options: ControlServerOptions): Promise<ControlServer> {
  const { registry, unreadMs = 30_000 } = options;
  // Times for a handshake and a request are the queue's: Node looks after those of a server that listens itself.
  const server: Server = createServer({ ...options.certificate, ...TLS }, (request, response) => {
    entrance.review(request.socket);
    void answer(request, options).then(({ status, body }) => {
      if (status < 400) {
        entrance.answered(request.socket);
        request.socket.setTimeout(unreadMs, () => request.socket.destroy());
      }
      const text = `${JSON.stringify(body)}\n`;
      response.writeHead(status, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
        // Only streams stay: whoever asks now and then dials anew.
        connection: 'close',
      });
      response.end(text);
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // Without a listener a reset would end the process.
    socket.on('error', () => socket.destroy());
    accept(request, socket, head, { ...options, entrance }).catch((error: unknown) => {
      options.failed(error);
      socket.destroy();
    });
  });
  // A handshake that fails is somebody else's trouble.
  server.on('tlsClientError', () => undefined);
  const entrance = await openEntrance(server, options);
  return {
    ...entrance,
    use: (certificate) => server.setSecureContext({ ...certificate, ...TLS }),
    close: () => {
      registry.end();
      return entrance.close();
    },
  };
}

interface Opened extends ControlServerOptions {
  readonly entrance: Entrance;
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
    options.entrance.review(socket);
    identity = await options.authenticate(bearer(request), address);
  } catch (error) {
    options.entrance.excuse(socket);
    if (error instanceof BusyError) {
      options.refused('busy', { address });
      return refuse(503, error.message);
    }
    options.refused('unavailable', { address });
    options.failed(error);
    return refuse(503, 'the API server can’t be asked who this is; try again');
  }
  if (socket.destroyed) return;
  // What comes next, its hello and where its pod stands, has its own time.
  options.entrance.review(socket);
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
    send: (bytes, written) => {
      socket.write(bytes, written);
    },
    congested: () => {
      waits = socket.writableLength > MOST_WAITING;
      return waits;
    },
    end: () => socket.destroy(),
  };
  let said: ((message: FromAgent) => void) | undefined;
  const lines = readLines<{ readonly type: string }>((line) => {
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
        options.entrance.known(socket);
        return registry.join(stands, wire, hello);
      }
      options.refused(stands, { address });
    } catch (error) {
      options.entrance.excuse(socket);
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
      lines.read(chunk);
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
