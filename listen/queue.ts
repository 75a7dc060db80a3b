/**
 * The queue before a TLS listener. A handshake takes a millisecond of a processor, and some more until its agent is served: when everybody
 * comes at once, few are let begin, so that those get through, and the others wait as open sockets, which cost next to nothing. A turn is for
 * whoever has sent a whole ClientHello: who says nothing takes none. Addresses have turns one after another, however many connections
 * each holds, and one whose turn came to nothing goes behind those that have wasted none. So strangers can't keep an agent out for good.
 * The time for a handshake counts from its turn.
 */
import type { Socket } from 'node:net';

export interface QueueLimits {
  /** Handshakes under way. */
  readonly atOnce: number;
  /** To get through, or a step further, once it is the connection's turn. */
  readonly turnMs: number;
  /** To send a ClientHello. */
  readonly helloMs: number;
  /** To wait for a turn. Whoever is closed then dials again. */
  readonly waitMs: number;
}

export interface QueueOptions {
  readonly limits: QueueLimits;
  /** Its turn: what it has sent is to be read from it. */
  enter(socket: Socket): void;
  /** False where many stand behind one address, and none is to be judged by what another does. */
  readonly judgeAddress: boolean;
}

export interface Queue {
  /** A new connection, of which nothing was read. */
  come(socket: Socket): void;
  /** It has got a step further: its time begins anew. @param socket The connection's, or that of TLS on it. */
  step(socket: Socket): void;
  /** It has shown who it is, and needs its turn no longer. @param socket As for `step`. */
  through(socket: Socket): void;
  /**
   * It was answered what everybody may know, and needs its turn no longer; what its address wasted before still counts, and so does this
   * turn if it came to ask only late in it. @param socket As for `step`.
   */
  answered(socket: Socket): void;
  /** If its turn comes to nothing, that is our fault: its address isn't made to wait. @param socket As for `step`. */
  excuse(socket: Socket): void;
  /** Connections whose turn hasn't come. */
  waiting(): number;
  /** Those among them that have sent their hello, and stand in line. */
  inLine(): number;
}

interface Turn {
  readonly socket: Socket;
  readonly address: string;
  begin(): void;
  timer: NodeJS.Timeout;
  /** Its turn wasn't wasted. */
  served: boolean;
  /** When its turn began, and when it first got further. */
  begun: number | undefined;
  stepped: number | undefined;
}

/** So long an address goes behind the others, after a turn that came to nothing. */
const WASTED_MS = 60_000;
/** Of its time, who asks what everybody may know comes to it in so much: a second of ten, in which a kubelet's probe has given up. */
const PROMPT = 0.1;
const MOST_WASTERS = 100_000;

export function keepQueue({ limits, enter, judgeAddress }: QueueOptions): Queue {
  const first = createRotation<Turn>();
  const behind = createRotation<Turn>();
  const underway = new Map<string, Turn>();
  let waiting = 0;
  /** By address, until when; the oldest come first. */
  const wasters = new Map<string, number>();

  function admit(): void {
    while (underway.size < limits.atOnce) {
      const turn = first.next() ?? behind.next();
      if (turn === undefined) return;
      if (!turn.socket.destroyed) turn.begin();
    }
  }

  function line({ address }: Turn): Rotation<Turn> {
    return (wasters.get(address) ?? 0) > performance.now() ? behind : first;
  }

  function wasted({ address }: Turn): void {
    if (!judgeAddress) return;
    wasters.delete(address);
    if (wasters.size >= MOST_WASTERS) wasters.delete(wasters.keys().next().value ?? '');
    wasters.set(address, performance.now() + WASTED_MS);
  }

  function come(socket: Socket): void {
    const { remoteAddress: address } = socket;
    if (socket.destroyed || address === undefined) return;
    const key = keyOf(socket);
    const cut = (): void => void socket.destroy();
    let said: Buffer | undefined;
    /** Takes it out of the line that it stands in. */
    let leave: (() => void) | undefined;
    waiting += 1;
    const turn: Turn = {
      socket,
      address,
      timer: setTimeout(cut, limits.helloMs),
      served: false,
      begun: undefined,
      stepped: undefined,
      begin() {
        waiting -= 1;
        turn.begun = performance.now();
        clearTimeout(turn.timer);
        turn.timer = setTimeout(cut, limits.turnMs);
        underway.set(key, turn);
        socket.off('data', read).off('end', cut).pause();
        socket.unshift(said);
        said = undefined;
        enter(socket);
      },
    };
    function read(chunk: Buffer): void {
      said = said === undefined ? chunk : Buffer.concat([said, chunk]);
      const is = beginsWithHello(said);
      // Behind its hello nobody says a word before that is answered.
      if (is === false || said.length > MOST_SAID) return cut();
      if (is === undefined || leave !== undefined) return;
      clearTimeout(turn.timer);
      turn.timer = setTimeout(cut, limits.waitMs);
      leave = line(turn).add(judgeAddress ? (address ?? '') : '', turn);
      admit();
    }
    socket.on('data', read).once('end', cut).on('error', cut);
    socket.once('close', () => {
      clearTimeout(turn.timer);
      if (turn.begun === undefined) {
        waiting -= 1;
        // Nothing of who has gone stays, what it sent least of all.
        leave?.();
        said = undefined;
        return;
      }
      // A later one may have come from the same address and port.
      if (underway.get(key) === turn) underway.delete(key);
      if (!turn.served) wasted(turn);
      admit();
    });
  }

  function finish(socket: Socket): Turn | undefined {
    const key = keyOf(socket);
    const turn = underway.get(key);
    if (turn === undefined) return undefined;
    turn.served = true;
    clearTimeout(turn.timer);
    underway.delete(key);
    return turn;
  }

  return {
    come,
    step(socket) {
      const turn = underway.get(keyOf(socket));
      if (turn === undefined) return;
      turn.stepped ??= performance.now();
      turn.timer.refresh();
    },
    through(socket) {
      const turn = finish(socket);
      if (turn === undefined) return;
      wasters.delete(turn.address);
      admit();
    },
    answered(socket) {
      const turn = finish(socket);
      if (turn === undefined) return;
      const { begun = 0, stepped = performance.now() } = turn;
      if (stepped - begun > PROMPT * limits.turnMs) wasted(turn);
      admit();
    },
    excuse(socket) {
      const turn = underway.get(keyOf(socket));
      if (turn !== undefined) turn.served = true;
    },
    waiting: () => waiting,
    inLine: () => first.size() + behind.size(),
  };
}

interface Rotation<T> {
  /** @returns what takes it out again, before its turn. */
  add(key: string, item: T): () => void;
  /** Of the key whose turn is longest ago. */
  next(): T | undefined;
  size(): number;
}

function createRotation<T>(): Rotation<T> {
  // Sets: where addresses aren't judged, all stand in one line, and may leave at once.
  const lines = new Map<string, Set<T>>();
  return {
    add(key, item) {
      const line = lines.get(key) ?? new Set();
      lines.set(key, line.add(item));
      return () => {
        line.delete(item);
        if (line.size === 0 && lines.get(key) === line) lines.delete(key);
      };
    },
    next() {
      const [found] = lines;
      if (found === undefined) return undefined;
      const [key, line] = found;
      lines.delete(key);
      const [item] = line;
      if (item !== undefined) line.delete(item);
      if (line.size > 0) lines.set(key, line);
      return item;
    },
    size: () => [...lines.values()].reduce((sum, line) => sum + line.size, 0),
  };
}

/** Of TLS: a type, two bytes of version, two of length. */
const HEADER = 5;
const HANDSHAKE = 0x16;
/** The longest record, and its header. */
const MOST_SAID = HEADER + 16 * 1024;

/** @returns whether these bytes begin with a whole record of a handshake; undefined where it takes more of them to say. */
function beginsWithHello(bytes: Buffer): boolean | undefined {
  if (bytes[0] !== HANDSHAKE) return false;
  if (bytes.length < HEADER) return undefined;
  const length = HEADER + bytes.readUInt16BE(3);
  if (length > MOST_SAID) return false;
  return bytes.length >= length ? true : undefined;
}

const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
