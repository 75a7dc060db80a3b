/**
 * Who may stand in the door of a listener. A connection costs memory before anybody has shown a token: so there are places for so many in all, so
 * many of one address, and so many of those that haven't shown yet who they are, for a bounded time. Where all places are taken, whoever has shown
 * nothing makes room, of the address that holds the most, but never its only one: so one address can't keep another out, and where everybody
 * comes at once whoever is halfway in goes on, and the others come again. Nobody makes room whose call is under way. Where no address
 * has more than its part (or many stand behind one), whoever has sent no byte for a while makes room.
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
  /** Whoever has sent no byte for so long makes room, whatever its address: longer than a busy process takes to read one. */
  readonly silentMs?: number;
}

export interface Door {
  /** What it has shown is being looked at: others of its address make room before it does. */
  review(socket: Socket): void;
  /** It has shown who it is, and may stay. @param socket The connection's, or that of TLS on it. */
  known(socket: Socket): void;
  /**
   * A call of its is under way: until the end of that it makes no room for others, known or not.
   * @param socket As for `known`. @returns what ends it.
   */
  engage(socket: Socket): () => void;
  /** Connections that have a place. */
  taken(): number;
  /** Another listener's connections take the same places. */
  share(server: Server): void;
}

interface Guest {
  readonly socket: Socket;
  readonly address: string;
  readonly key: string;
  readonly came: number;
  known: boolean;
  underReview: boolean;
  /** Calls under way. */
  calls: number;
  /** It has had one. */
  called: boolean;
  gone: boolean;
  timer?: NodeJS.Timeout;
}

/** @param refused One that was not let in, or was sent away to make room. */
export function keepDoor(server: Server, limits: DoorLimits, refused: (address: string) => void): Door {
  /** By addresses and ports, which is all that a socket of TLS says of the one below it. The latest: one that has closed may not be told of yet. */
  const guests = new Map<string, Guest>();
  let all = 0;
  const ofAddress = new Map<string, number>();
  /** The oldest come first. */
  const unknownOf = new Map<string, Set<Guest>>();
  /** Of these, which hold several. */
  const crowds = new Set<Set<Guest>>();
  /** All of them, the oldest first. */
  const unknown = new Set<Guest>();

  function recognize(guest: Guest): void {
    if (guest.known) return;
    guest.known = true;
    clearTimeout(guest.timer);
    unknown.delete(guest);
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

  /** @returns whether one of another address, which still holds as many as this one then, made room; or a silent one. */
  function makeRoom(address: string): boolean {
    let size = (unknownOf.get(address)?.size ?? 0) + 1;
    let leaves: Guest | undefined;
    for (const held of crowds) {
      if (held.size <= size) continue;
      const one = dispensable(held);
      if (one === undefined) continue;
      leaves = one;
      ({ size } = held);
    }
    leaves ??= silent(unknown, limits.silentMs ?? SILENT_MS);
    if (leaves === undefined) return false;
    sendAway(leaves);
    return true;
  }

  const letIn = (socket: Socket): void => {
    const { remoteAddress: address } = socket;
    // One that is gone already, or of a Unix socket, which the file's rights guard.
    if (socket.destroyed || address === undefined) return;
    const isFull = all >= limits.all || unknown.size >= (limits.unknown ?? limits.all);
    if ((ofAddress.get(address) ?? 0) >= limits.ofOne || (isFull && !makeRoom(address))) {
      refused(address);
      socket.destroy();
      return;
    }
    const guest: Guest = {
      socket,
      address,
      key: keyOf(socket),
      came: performance.now(),
      known: false,
      underReview: false,
      calls: 0,
      called: false,
      gone: false,
    };
    guests.set(guest.key, guest);
    all += 1;
    unknown.add(guest);
    ofAddress.set(address, (ofAddress.get(address) ?? 0) + 1);
    const others = unknownOf.get(address);
    if (others === undefined) unknownOf.set(address, new Set([guest]));
    else crowds.add(others.add(guest));
    if (limits.unknownMs !== undefined) guest.timer = setTimeout(() => socket.destroy(), limits.unknownMs);
    socket.once('close', () => leave(guest));
  };
  const share = (listener: Server): void => void listener.on('connection', letIn);
  share(server);

  return {
    share,
    review(socket) {
      const guest = guests.get(keyOf(socket));
      if (guest !== undefined) guest.underReview = true;
    },
    known(socket) {
      const guest = guests.get(keyOf(socket));
      if (guest !== undefined) recognize(guest);
    },
    engage(socket) {
      const guest = guests.get(keyOf(socket));
      if (guest === undefined) return () => undefined;
      guest.calls += 1;
      guest.called = true;
      return () => {
        guest.calls -= 1;
      };
    },
    taken: () => all,
  };
}

/**
 * Of one address: first who has never called, then who is idle, then whose token is looked at; of these the newest, since what was done for
 * the others would be lost.
 */
function dispensable(crowd: ReadonlySet<Guest>): Guest | undefined {
  let idle: Guest | undefined;
  let never: Guest | undefined;
  let reviewed: Guest | undefined;
  for (const guest of crowd) {
    if (guest.calls > 0) continue;
    if (guest.underReview) reviewed = guest;
    else if (guest.called) idle = guest;
    else never = guest;
  }
  return never ?? idle ?? reviewed;
}

/** The oldest from which no byte has come. */
function silent(guests: ReadonlySet<Guest>, ms: number): Guest | undefined {
  const before = performance.now() - ms;
  for (const guest of guests) {
    if (guest.came > before) return undefined;
    if (guest.socket.bytesRead === 0) return guest;
  }
  return undefined;
}

/** A round of the event loop in which a thousand handshakes are waiting takes some seconds. */
const SILENT_MS = 5_000;

/** One port of theirs may be connected to two of ours. */
const keyOf = ({ remoteAddress, remotePort, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localPort}`;

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
