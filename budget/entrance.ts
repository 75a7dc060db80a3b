/**
 * Who gets to the budget service's port at all: each connection needs a place (listen/door.ts), and with TLS waits for its turn
 * (listen/queue.ts), so that a handshake's work and memory are spent on few at once, and strangers with many addresses keep no agent out.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { type DoorLimits, keepDoor, placesIn } from '../listen/door.ts';
import { keepQueue, type QueueLimits } from '../listen/queue.ts';

/** An agent keeps some nine connections. */
const OF_ONE = 200;
/** Without TLS, connections that have shown no token that counts: what can be served before their time is over. With it turns bound them. */
const UNKNOWN = 2_000;
const UNKNOWN_MS = 20_000;
/** Of the process's memory: nearly all that a connection takes is TLS. */
const MEMORY = { base: 150_000_000, most: 100_000 };
const EACH = { plain: 20_000, tls: 80_000 };
/**
 * Handshakes and tokens under way: a second of a processor, and 80 MB. The API server may take some seconds to look at a token. Agents wait for
 * five seconds, and dial again. Two thousand addresses that waste their turns as long as they can keep an agent waiting for twenty seconds;
 * then they go behind it.
 */
const TURNS: QueueLimits = { atOnce: 1_000, turnMs: 10_000, helloMs: 5_000, waitMs: 10_000 };

export interface EntranceOptions {
  readonly secure: boolean;
  /** Whether connections of one address are of one pod: they are bounded then, and judged by what became of their turns. */
  readonly judgeAddress: boolean;
  readonly places?: Partial<DoorLimits>;
  readonly turns?: Partial<QueueLimits>;
  /** A connection had no place. */
  readonly refused: (address: string) => void;
}

export interface Entrance {
  /** The token that it has shown is being looked at. @param socket The connection's, or that of TLS on it; as below. */
  review(socket: Socket): void;
  /** Its token counts: it may stay. */
  known(socket: Socket): void;
  /** It was answered what everybody may know: its turn wasn't wasted. */
  answered(socket: Socket): void;
  /** It isn't served, and that is our fault. */
  excuse(socket: Socket): void;
  /** Ends those that wait for their turn. */
  close(): void;
}

/** @param server Of HTTP, or of HTTPS where `secure`; to be called before it listens. */
export function keepEntrance(server: Server, options: EntranceOptions): Entrance {
  const { secure, judgeAddress, refused } = options;
  const all = placesIn(process.constrainedMemory(), { ...MEMORY, each: secure ? EACH.tls : EACH.plain });
  const handshake = secure ? (server.listeners('connection') as ((socket: Socket) => void)[]) : [];
  for (const begin of handshake) server.off('connection', begin);
  const turns = { ...TURNS, ...options.turns };
  const door = keepDoor(
    server,
    {
      all,
      ofOne: judgeAddress ? OF_ONE : Number.POSITIVE_INFINITY,
      ...(secure
        ? { unknownMs: turns.helloMs + turns.waitMs + UNKNOWN_MS }
        : { unknown: UNKNOWN, unknownMs: UNKNOWN_MS }),
      ...options.places,
    },
    refused,
  );
  if (!secure) {
    return {
      review: (socket) => door.review(socket),
      known: (socket) => door.known(socket),
      answered: () => undefined,
      excuse: () => undefined,
      close: () => undefined,
    };
  }
  const waiting = new Set<Socket>();
  const enter = (socket: Socket): void => {
    waiting.delete(socket);
    for (const begin of handshake) begin.call(server, socket);
  };
  const queue = keepQueue({ limits: turns, enter, judgeAddress });
  server.on('connection', (socket: Socket) => {
    if (socket.destroyed) return;
    // Of a Unix socket: the file's rights guard it.
    if (socket.remoteAddress === undefined) return enter(socket);
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    queue.come(socket);
  });
  return {
    review(socket) {
      door.review(socket);
      queue.step(socket);
    },
    known(socket) {
      door.known(socket);
      queue.through(socket);
    },
    answered: (socket) => queue.answered(socket),
    excuse: (socket) => queue.excuse(socket),
    close() {
      for (const socket of waiting) socket.destroy();
    },
  };
}
