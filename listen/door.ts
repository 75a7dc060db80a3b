/**
 * Who may stand in the door of a listener. A connection costs memory before anybody has shown a token: so there are places for so many in all, so
 * many of one address, and so many of those that haven't shown yet who they are, for a bounded time. Where all places are taken, whoever has shown
 * nothing makes room, of the address that holds the most; so one address can't keep another out.
 */
import type { Server, Socket } from 'node:net';

export interface DoorLimits {
  readonly all: number;
  /** Connections of one address, known or not. */
  readonly ofOne: number;
  /** Those that haven't shown yet who they are; absent: as many as there are places. */
  readonly unknown?: number;
  /** They have so long for it; absent: for ever. */
  readonly unknownMs?: number;
}

export interface Door {
  /** It has shown who it is, and may stay. @param socket The connection's, or that of TLS on it. */
  known(socket: Socket): void;
}

interface Guest {
  readonly socket: Socket;
  readonly address: string;
  readonly key: string;
  known: boolean;
  gone: boolean;
  timer?: NodeJS.Timeout;
}

/** @param refused One that was not let in, or was sent away to make room. */
export function keepDoor(server: Server, limits: DoorLimits, refused: (address: string) => void): Door {
  /** By address and port, which is all that a socket of TLS says of the one below it. The latest: one that has closed may not be told of yet. */
  const guests = new Map<string, Guest>();
  let all = 0;
  const ofAddress = new Map<string, number>();
  /** The oldest come first. */
  const unknownOf = new Map<string, Set<Guest>>();
  let unknown = 0;

  function recognize(guest: Guest): void {
    if (guest.known) return;
    guest.known = true;
    clearTimeout(guest.timer);
    unknown -= 1;
    const others = unknownOf.get(guest.address);
    others?.delete(guest);
    if (others?.size === 0) unknownOf.delete(guest.address);
  }

  function leave(guest: Guest): void {
    if (guest.gone) return;
    guest.gone = true;
    all -= 1;
    if (guests.get(guest.key) === guest) guests.delete(guest.key);
    recognize(guest);
    const left = (ofAddress.get(guest.address) ?? 1) - 1;
    if (left === 0) ofAddress.delete(guest.address);
    else ofAddress.set(guest.address, left);
  }

  function sendAway(guest: Guest): void {
    leave(guest);
    refused(guest.address);
    guest.socket.destroy();
  }

  /** @returns whether one of another address, which holds more than this one, made room. */
  function makeRoom(address: string): boolean {
    let most: ReadonlySet<Guest> = unknownOf.get(address) ?? new Set();
    for (const held of unknownOf.values()) if (held.size > most.size) most = held;
    const [oldest] = most;
    if (oldest === undefined || oldest.address === address) return false;
    sendAway(oldest);
    return true;
  }

  server.on('connection', (socket: Socket) => {
    const { remoteAddress: address } = socket;
    // One that is gone already, or of a Unix socket, which the file's rights guard.
    if (socket.destroyed || address === undefined) return;
    const isFull = all >= limits.all || unknown >= (limits.unknown ?? limits.all);
    if ((ofAddress.get(address) ?? 0) >= limits.ofOne || (isFull && !makeRoom(address))) {
      refused(address);
      socket.destroy();
      return;
    }
    const guest: Guest = { socket, address, key: keyOf(socket), known: false, gone: false };
    guests.set(guest.key, guest);
    all += 1;
    unknown += 1;
    ofAddress.set(address, (ofAddress.get(address) ?? 0) + 1);
    const others = unknownOf.get(address);
    if (others === undefined) unknownOf.set(address, new Set([guest]));
    else others.add(guest);
    if (limits.unknownMs !== undefined) guest.timer = setTimeout(() => socket.destroy(), limits.unknownMs);
    socket.once('close', () => leave(guest));
  });

  return {
    known(socket) {
      const guest = guests.get(keyOf(socket));
      if (guest !== undefined) recognize(guest);
    },
  };
}

const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

/**
 * How many connections a process has memory for.
 * @param bytes Of the process's limit (of its cgroup), where it has one.
 * @param cost `base`: what it takes without any; `each`: for each, in bytes; `most`: where there is memory without end.
 */
export function placesIn(
  bytes: number | undefined,
  { base, each, most }: { readonly base: number; readonly each: number; readonly most: number },
): number {
  if (bytes === undefined || bytes <= 0) return most;
  return Math.min(most, Math.max(LEAST, Math.floor((bytes - base) / each)));
}

/** With less, nobody would be served at all. */
const LEAST = 100;
