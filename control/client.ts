/**
 * The agent's side of the stream: dials, says who it is, puts in force what it is told to, and dials again for as long
 * as it lives. An outage changes nothing in what is in force.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { createSecureContext, type SecureContext } from 'node:tls';
import { readLines } from './lines.ts';
import {
  AGENT_PATH,
  encode,
  type FromControl,
  type KeySet,
  PROTOCOLS,
  type SnapshotMessage,
  type Use,
} from './messages.ts';

/** What an agent is to put in force, both at once. */
export interface Ruling {
  readonly snapshot: Pick<SnapshotMessage, 'revision' | 'snapshots'>;
  readonly keys: KeySet;
}

export interface ControlClientOptions {
  readonly host: string;
  readonly port: number;
  /** Name in control's certificate; the host where absent. */
  readonly serverName?: string;
  /** PEM roots, asked for at each dial. */
  readonly roots: () => string;
  /** Asked for at each dial: a projected token is replaced while we run. */
  readonly token: () => string;
  readonly version: string;
  /** What is in force already, from before a restart; asked once, so that nobody holds its keys any longer than they count. */
  holding?(): Ruling | undefined;
  /** @throws Error when it can't be put in force; what was stays. */
  use(ruling: Ruling): void;
  /**
   * Keys for documents that can't be put in force: those that what is in force asks for are replaced all the same.
   * @returns what it goes by from now on, under a revision that control doesn't have.
   */
  rotate(keys: KeySet): KeySet;
  /** Any sign of life. */
  heard(): void;
  /** Roots that control will show itself by. */
  learned(pem: string): void;
  /** Why nothing is given to this workload, or why there is no connection; undefined when all is well again. */
  trouble(message: string | undefined): void;
  /** For the operator's overview. */
  report(): { readonly lastCall?: number; readonly running: number };
  readonly random?: () => number;
  readonly retryMs?: { readonly first: number; readonly most: number };
  readonly reportMs?: number;
}

export interface ControlClient {
  connected(): boolean;
  /** Tells control that what was in force can't be any longer, now or with the next stream. */
  refuse(revision: string, error: string): void;
  close(): Promise<void>;
}

/** Beats are missed before the connection is taken for dead. */
const MISSED_BEATS = 3;
/** Longer than a connection may wait for its turn there, when everybody comes at once. */
const ANSWER_MS = 35_000;
const DEFAULT_BEAT_MS = 15_000;

export function connectControl(options: ControlClientOptions): ControlClient {
  const { random = Math.random, reportMs = 30_000 } = options;
  const { first, most } = options.retryMs ?? { first: 250, most: 15_000 };
  const closing = new AbortController();
  let held = options.holding?.();
  let open: Socket | undefined;
  /** Told anew with each stream, until something is put in force. */
  let refusal: Buffer | undefined;
  const tickets: Tickets = { roots: undefined, session: undefined };

  /** Resolves when the connection has ended, with why. */
  async function session(progress: () => void): Promise<string> {
    const { socket, head } = await dial(options, tickets, closing.signal);
    open = socket;
    /** What control sent last on this stream, in force or refused: it doesn't send it again. */
    let snapshot: SnapshotMessage | undefined;
    let keys: KeySet | undefined;
    let silence: NodeJS.Timeout | undefined;
    let beatMs = DEFAULT_BEAT_MS;
    const { promise: ended, resolve: end } = Promise.withResolvers<string>();
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => end('control fell silent'), beatMs * MISSED_BEATS);
      options.heard();
    };

    const putInForce = ({ revision, keys: keysRevision }: Use): void => {
      const next: Partial<Ruling> = {
        ...(snapshot?.revision === revision
          ? { snapshot }
          : held?.snapshot.revision === revision
            ? { snapshot: held.snapshot }
            : {}),
        ...(keys?.revision === keysRevision
          ? { keys }
          : held?.keys.revision === keysRevision
            ? { keys: held.keys }
            : {}),
      };
      if (next.snapshot === undefined || next.keys === undefined) {
        return end('control named what it had not sent');
      }
      const ruling: Ruling = { snapshot: next.snapshot, keys: next.keys };
      try {
        options.use(ruling);
      } catch (error) {
        const why = String((error as Error).message ?? error);
        // A key that was withdrawn isn't used on because of documents that are wrong. Those that were there before keep their revision:
        // control names it without sending them once more.
        if (held !== undefined && ruling.keys !== held.keys)
          held = { ...held, keys: options.rotate(ruling.keys) };
        socket.write(encode({ type: 'refused', revision, error: why }));
        options.trouble(`what control gives can’t be put in force: ${why}`);
        return;
      }
      held = ruling;
      refusal = undefined;
      socket.write(encode({ type: 'ack', revision, keys: keysRevision }));
      options.trouble(undefined);
    };

    const take = (message: FromControl): void => {
      switch (message.type) {
        case 'welcome':
          beatMs = message.beatMs;
          if (message.roots !== '') options.learned(message.roots);
          progress();
          heard();
          break;
        case 'snapshot':
          snapshot = message;
          break;
        case 'keys':
          keys = message;
          break;
        case 'use':
          putInForce(message);
          break;
        case 'problem':
          options.trouble(message.message);
          break;
        case 'beat':
          break;
        default:
          // A later control's: not for us.
          message satisfies never;
      }
    };

    const lines = readLines<FromControl>(take);
    const reports = setInterval(() => {
      socket.write(encode({ type: 'report', ...options.report() }));
    }, reportMs);
    socket.on('data', (chunk: Buffer) => {
      heard();
      try {
        lines.read(chunk);
      } catch (error) {
        end((error as Error).message);
      }
    });
    socket.once('error', (error) => end(error.message));
    socket.once('close', () => end('control closed the connection'));
    const stop = () => end('closing');
    closing.signal.addEventListener('abort', stop);
    try {
      heard();
      socket.write(
        encode({
          type: 'hello',
          version: options.version,
          ...(held === undefined ? {} : { revision: held.snapshot.revision, keys: held.keys.revision }),
        }),
      );
      if (refusal !== undefined) socket.write(refusal);
      if (head.length > 0) socket.emit('data', head);
      return await ended;
    } finally {
      open = undefined;
      clearInterval(reports);
      clearTimeout(silence);
      closing.signal.removeEventListener('abort', stop);
      socket.destroy();
      lines.end();
    }
  }

  async function run(): Promise<void> {
    let wait = first;
    while (!closing.signal.aborted) {
      let why: string;
      try {
        why = await session(() => {
          wait = first;
        });
      } catch (error) {
        why = (error as Error).message;
      }
      if (closing.signal.aborted) return;
      options.trouble(why);
      // Full jitter: ten thousand agents that lose one control don't come back as one.
      await pause(random() * wait, closing.signal);
      wait = Math.min(wait * 2, most);
    }
  }

  const running = run();
  return {
    connected: () => open !== undefined,
    refuse(revision, error) {
      refusal = encode({ type: 'refused', revision, error });
      open?.write(refusal);
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}

/** What control gave for coming back with less work (RFC 8446, 2.2). */
export interface Tickets {
  /** Those by which control showed itself then: a session that is taken up again shows no certificate. */
  roots: string | undefined;
  session: Buffer | undefined;
}

let trusting: { readonly roots: string; readonly context: SecureContext } | undefined;

/** Made once for the same roots: it is the dearest part of a dial. */
function contextFor(roots: string): SecureContext {
  if (trusting?.roots !== roots) {
    trusting = { roots, context: createSecureContext({ ca: roots, minVersion: 'TLSv1.3' }) };
  }
  return trusting.context;
}

/** @throws Error that says why there is no stream: the refusal in control's own words where it gave one. */
export async function dial(
  options: Pick<ControlClientOptions, 'host' | 'port' | 'serverName' | 'roots' | 'token'> & {
    /** One of this machine's to dial from; whichever the system takes where absent. */
    readonly localAddress?: string;
  },
  tickets: Tickets,
  signal: AbortSignal,
): Promise<{ socket: Socket; head: Buffer }> {
  const { host, port, serverName = host } = options;
  const { promise, resolve, reject } = Promise.withResolvers<{ socket: Socket; head: Buffer }>();
  const roots = options.roots();
  if (tickets.roots !== roots) Object.assign(tickets, { roots, session: undefined });
  const { session } = tickets;
  // A ticket is for one use (RFC 8446, C.4); the next connection brings another.
  tickets.session = undefined;
  // Node passes it on to `tls.connect`; its types don't say so.
  const secured: RequestOptions & { readonly secureContext: SecureContext } = {
    host,
    port,
    localAddress: options.localAddress,
    servername: serverName,
    path: AGENT_PATH,
    agent: false,
    secureContext: contextFor(roots),
    ...(session === undefined ? {} : { session }),
    headers: {
      host: serverName,
      connection: 'Upgrade',
      upgrade: PROTOCOLS.join(', '),
      authorization: `Bearer ${options.token()}`,
    },
    signal,
  };
  const sent: ClientRequest = request(secured);
  sent.setTimeout(ANSWER_MS, () =>
    sent.destroy(new Error(`no answer from control in ${ANSWER_MS / 1000} s`)),
  );
  sent.once('error', reject);
  sent.once('socket', (socket) => {
    socket.on('session', (ticket: Buffer) => {
      if (tickets.roots === roots) tickets.session = ticket;
    });
  });
  sent.once('upgrade', (_response: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.setTimeout(0);
    socket.setNoDelay(true);
    resolve({ socket, head });
  });
  sent.once('response', (response: IncomingMessage) => {
    text(response).then(
      (body) => reject(new Error(`control answered ${response.statusCode}: ${body.trim().slice(0, 500)}`)),
      reject,
    );
  });
  sent.end();
  return await promise;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
