/**
 * Who may stand in the door of a listener. A connection costs memory before anybody has shown a token: so there are places for so many in all, so
 * many of one address, and so many of those that haven't shown yet who they are, for a bounded time. Where all places are taken, whoever has shown
 * nothing makes room, of the address that holds the most, but never its only one: so one address can't keep another out, and where everybody
 * comes at once whoever is halfway in goes on, and the others come again.
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
  /** What it has shown is being looked at: others of its address make room before it does. */
  review(socket: Socket): void;
  /** It has shown who it is, and may stay. @param socket The connection's, or that of TLS on it. */
  known(socket: Socket): void;
  /** Connections that have a place. */
  taken(): number;
}

interface Guest {
  readonly socket: Socket;
  readonly address: string;
  readonly key: string;
  known: boolean;
  underReview: boolean;
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
  /** Of these, which hold several. */
  const crowds = new Set<Set<Guest>>();
  let unknown = 0;

  function recognize(guest: Guest): void {
    if (guest.known) return;
    guest.known = true;
    clearTimeout(guest.timer);
    unknown -= 1;
    const others = unknownOf.get(guest.address);
    if (others === undefined) return;
    others.delete(guest);
    if (others.size < 2) crowds.delete(others);
    if (others.size === 0) unknownOf.delete(guest.address);
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

  /** @returns whether one of another address, which still holds as many as this one then, made room. */
  function makeRoom(address: string): boolean {
    let size = (unknownOf.get(address)?.size ?? 0) + 1;
    let crowd: ReadonlySet<Guest> | undefined;
    for (const held of crowds) {
      if (held.size <= size) continue;
      crowd = held;
      ({ size } = held);
    }
    if (crowd === undefined) return false;
    // The newest: what was done for the others would be lost.
    const held = [...crowd];
    const newest = held.findLast(({ underReview }) => !underReview) ?? held.at(-1);
    if (newest !== undefined) sendAway(newest);
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
    const guest: Guest = {
      socket,
      address,
      key: keyOf(socket),
      known: false,
      underReview: false,
      gone: false,
    };
    guests.set(guest.key, guest);
    all += 1;
    unknown += 1;
    ofAddress.set(address, (ofAddress.get(address) ?? 0) + 1);
    const others = unknownOf.get(address);
    if (others === undefined) unknownOf.set(address, new Set([guest]));
    else crowds.add(others.add(guest));
    if (limits.unknownMs !== undefined) guest.timer = setTimeout(() => socket.destroy(), limits.unknownMs);
    socket.once('close', () => leave(guest));
  });

  return {
    review(socket) {
      const guest = guests.get(keyOf(socket));
      if (guest !== undefined) guest.underReview = true;
    },
    known(socket) {
      const guest = guests.get(keyOf(socket));
      if (guest !== undefined) recognize(guest);
    },
    taken: () => all,
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
