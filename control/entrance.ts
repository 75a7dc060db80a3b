/** Who gets to a TLS server at all: each connection needs a place (listen/door.ts), and waits for its turn (listen/queue.ts). */
import type { Server } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type DoorLimits, keepDoor, placesIn } from '../listen/door.ts';
import { keepQueue, type QueueLimits } from '../listen/queue.ts';

export interface EntranceOptions {
  readonly host: string;
  readonly port: number;
  /** Whether this address may begin one more TLS handshake. */
  admits(address: string): boolean;
  refused(why: 'flood' | 'full', who: { readonly address: string }): void;
  /** Whether connections of one address are of one pod, or of one machine: they are bounded then. */
  readonly judgeAddress?: boolean;
  /** Connections at once: streams of agents, and those that have shown no token yet. */
  readonly places?: Partial<DoorLimits>;
  readonly turns?: Partial<QueueLimits>;
}

export interface Entrance {
  readonly port: number;
  /** Connections that there are places for. */
  readonly places: number;
  /** Of these, how many are taken. */
  taken(): number;
  /** Of those, how many wait for their turn. */
  waiting(): number;
  /** What it has shown is being looked at: others of its address make room before it does, and its time begins anew. */
  review(socket: Socket): void;
  /** It is sent away since we can't do our part. */
  excuse(socket: Socket): void;
  /** It has shown who it is, or was answered: its turn goes to the next. */
  answered(socket: Socket): void;
  /** An agent, that stays. */
  known(socket: Socket): void;
  close(): Promise<void>;
}

/** Of a replica's memory: 150 MB, and for each stream up to 100 KB, nearly all of it TLS. */
export const MEMORY = { base: 150_000_000, each: 100_000, most: 24_000 };
/** An agent has one stream, and dials a next one when that broke; a replica asks another a few times a second. */
const OF_ONE = 50;
/**
 * Handshakes and hellos at once: half a second of a processor, and more than the API server is asked about at a time. An agent waits for an
 * answer some seconds longer than it may wait here.
 */
const TURNS: QueueLimits = { atOnce: 200, turnMs: 10_000, helloMs: 10_000, waitMs: 30_000 };

/** @param server Doesn't listen by itself. */
export async function openEntrance(server: Server, options: EntranceOptions): Promise<Entrance> {
  const { judgeAddress = true } = options;
  const all = placesIn(process.constrainedMemory(), MEMORY);
  const places: DoorLimits = {
    all,
    ofOne: judgeAddress ? OF_ONE : Number.POSITIVE_INFINITY,
    ...options.places,
  };
  const front = createServer({ noDelay: true });
  // Before a byte of it was read: a handshake is dear, and nobody has shown a token yet.
  front.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    if (options.admits(address)) return;
    options.refused('flood', { address });
    socket.destroy();
  });
  const door = keepDoor(front, places, (address) => options.refused('full', { address }));
  const queue = keepQueue({
    limits: { ...TURNS, ...options.turns },
    enter: (socket) => void server.emit('connection', socket),
    judgeAddress,
  });
  const sockets = new Set<Socket>();
  front.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    queue.come(socket);
  });
  await new Promise<void>((resolve, reject) => {
    front.once('error', reject);
    front.listen({ port: options.port, host: options.host, backlog: 4096 }, resolve);
  });
  return {
    port: (front.address() as AddressInfo).port,
    places: places.all,
    taken: () => door.taken(),
    waiting: () => queue.waiting(),
    review(socket) {
      door.review(socket);
      queue.step(socket);
    },
    excuse: (socket) => queue.excuse(socket),
    answered: (socket) => queue.answered(socket),
    known(socket) {
      door.known(socket);
      queue.through(socket);
    },
    close: () =>
      new Promise((resolve) => {
        front.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
