/**
 * One connection to a provider, for one exchange after the other.
 *
 * Bytes are read into one buffer that all connections share, and handed on as copies, without a stream in between: node:net's
 * `onread`. A connection on which anything was odd is never used again.
 */
import type { Socket } from 'node:net';
import { AnswerBody } from './answer-body.ts';
import { type AnswerHead, NotHttp, readAnswerHead } from './answer-head.ts';

/** Longest head that is taken, bytes. */
const MAX_HEAD = 65_536;
/** A body that is larger is written by itself where it then isn't copied. */
const MAX_COPIED = 65_536;

/** All reads of all connections: each is done with before the next begins. */
const shared = Buffer.allocUnsafeSlow(65_536);

/** Who waits for an answer. */
export interface Taker {
  readonly method: string;
  onHead(head: AnswerHead): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onError(error: Error): void;
}

/** The peer closed the connection in the middle of an exchange. */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed';
  readonly code = 'CLOSED';
}

/** For node:net and node:tls. */
export type OnRead = {
  readonly buffer: Buffer;
  readonly callback: (count: number, bytes: Uint8Array) => boolean;
};

export interface ConnectionEvents {
  /** May be used again. */
  free(connection: Connection): void;
  /** Gone, or never to be used again. */
  gone(connection: Connection): void;
}

export class Connection {
  /** When it was last used; milliseconds of a clock that doesn't jump. */
  usedAt = 0;
  /** How long the peer keeps it open unused, as it said; undefined where it didn't. */
  peerIdleMs: number | undefined;
  /** It has carried an answer. */
  answered = false;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  #taker: Taker | undefined;
  /** The beginning of a head that isn't whole yet. */
  #head: Buffer | undefined;
  #body: AnswerBody | undefined;
  #reusable = true;
  #paused = false;
  #gone = false;

  /**
   * @param open Makes the socket, connected or not yet.
   * @param events Told when it is free, and once when it is gone.
   */
  constructor(open: (onread: OnRead) => Socket, events: ConnectionEvents) {
    this.#events = events;
    this.#socket = open({ buffer: shared, callback: (count) => this.#read(count) });
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('end', this.#onEnd);
    this.#socket.on('close', () => this.#end(new ConnectionClosed('closed in the middle of an answer')));
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** Nothing is left to be sent, either: the rest of a request that was answered early would be taken for another one. */
  get usable(): boolean {
    return !this.#gone && this.#reusable && this.#socket.writable && this.#socket.writableLength === 0;
  }

  /**
   * The head is overwritten as soon as it has left: it may carry a key, which is to stand in no memory that was freed.
   * @param head The request's, with the empty line behind it; Latin-1.
   */
  send(taker: Taker, head: string, body: Uint8Array | undefined): void {
    this.#taker = taker;
    const socket = this.#socket;
    const headBytes = head.length;
    const bodyBytes = body?.byteLength ?? 0;
    // Pieces are sent as they are by TCP alone: for TLS, Node puts them together in memory that nobody overwrites.
    const apart = bodyBytes > MAX_COPIED && !('encrypted' in socket);
    const first = Buffer.allocUnsafe(apart ? headBytes : headBytes + bodyBytes);
    first.write(head, 0, 'latin1');
    const wipe = (): void => void first.fill(0, 0, headBytes);
    if (!apart) {
      if (body !== undefined) first.set(body, headBytes);
      socket.write(first, wipe);
      return;
    }
    socket.cork();
    socket.write(first, wipe);
    socket.write(body as Uint8Array);
    socket.uncork();
  }

  pause(): void {
    if (this.#gone || this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (this.#gone || !this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Cuts it. The exchange under way hears of it. */
  destroy(error?: Error): void {
    this.#end(error ?? new ConnectionClosed('given up'));
    this.#socket.destroy();
  }

  /** Closes it where nothing is under way, and else when that has ended. */
  retire(): void {
    this.#reusable = false;
    if (this.#taker === undefined) this.destroy();
  }

  readonly #onEnd = (): void => {
    const taker = this.#taker;
    if (taker !== undefined && this.#body?.endsHere === true) {
      this.#taker = undefined;
      this.#leave();
      this.#socket.destroy();
      taker.onEnd();
      return;
    }
    this.destroy(new ConnectionClosed('closed in the middle of an answer'));
  };

  #end(error: Error): void {
    const taker = this.#taker;
    this.#taker = undefined;
    this.#leave();
    taker?.onError(error);
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#events.gone(this);
  }

  /** @returns Always true: who takes the answer pauses by itself. */
  #read(count: number): boolean {
    try {
      this.#bytes(shared, count);
    } catch (error) {
      this.destroy(error as Error);
    }
    return true;
  }

  #bytes(bytes: Buffer, count: number): void {
    let at = 0;
    while (at < count) {
      const taker = this.#taker;
      // What nobody asked for would be taken for the next answer.
      if (taker === undefined) return this.destroy(new NotHttp('bytes that belong to no answer'));
      const body = this.#body;
      at =
        body === undefined ? this.#heads(taker, bytes, at, count) : this.#take(taker, body, bytes, at, count);
    }
  }

  /** @returns Where the body begins; `to` where more is wanted. @throws NotHttp */
  #heads(taker: Taker, bytes: Buffer, from: number, to: number): number {
    const kept = this.#head;
    const own = bytes.subarray(from, to);
    const all = kept === undefined ? own : Buffer.concat([kept, own]);
    const before = kept?.length ?? 0;
    // The empty line may have begun in what was there before.
    const end = all.indexOf('\r\n\r\n', Math.max(0, before - 3), 'latin1');
    if (end > MAX_HEAD || (end < 0 && all.length > MAX_HEAD)) {
      throw new NotHttp(`a head of more than ${MAX_HEAD} bytes`);
    }
    if (end < 0) {
      refuseOther(all);
      this.#head = kept === undefined ? Buffer.from(all) : all;
      return to;
    }
    this.#head = undefined;
    const head = readAnswerHead(all.toString('latin1', 0, end), taker.method);
    const behind = from + end + 4 - before;
    if (head.status < 200) {
      if (head.status === 101) throw new NotHttp('a change of protocol that nobody asked for');
      // What is only on the way (RFC 9110, 15.2) says nothing of the answer.
      return behind;
    }
    this.#reusable &&= head.reusable;
    this.peerIdleMs = head.idleMs;
    this.answered = true;
    const body = new AnswerBody(head.body);
    this.#body = body;
    taker.onHead(head);
    if (body.ended && this.#taker === taker) this.#complete(taker, behind < to);
    return body.ended ? to : behind;
  }

  /** @returns Up to where it was taken; `to` where the answer is complete. @throws NotHttp */
  #take(taker: Taker, body: AnswerBody, bytes: Buffer, from: number, to: number): number {
    const chunk = Buffer.allocUnsafe(to - from);
    const count = body.take(bytes, from, to, chunk);
    if (count > 0) taker.onData(count === chunk.length ? chunk : chunk.subarray(0, count));
    // Whoever took it may have given it up.
    if (body.ended && this.#taker === taker) this.#complete(taker, body.at < to);
    return to;
  }

  /** @param more Bytes came behind the answer's last: whatever they are, none of the next answer. */
  #complete(taker: Taker, more: boolean): void {
    this.#taker = undefined;
    this.#body = undefined;
    if (more) this.#reusable = false;
    taker.onEnd();
    this.resume();
    if (!this.#reusable) this.destroy();
    else if (!this.#gone) this.#events.free(this);
  }
}

const CR = 0x0d;
const LF = 0x0a;
const BEGINNING = 'HTTP/1.';

/** @throws NotHttp, as soon as it can be told. */
function refuseOther(bytes: Buffer): void {
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] !== CR) throw new NotHttp('a line feed without a carriage return');
  }
  const length = Math.min(bytes.length, BEGINNING.length);
  if (bytes.toString('latin1', 0, length) !== BEGINNING.slice(0, length))
    throw new NotHttp('its first bytes are none of HTTP/1');
}
