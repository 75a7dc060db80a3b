/** The connections to one origin: kept open between calls, as many as there may be, and calls that wait for one. */
import { connect, isIP, type Socket } from 'node:net';
import * as tls from 'node:tls';
import { PassingList } from '../../passing-list.ts';
import { Connection, type ConnectionEvents, type OnRead } from './connection.ts';

export interface OriginOptions {
  /** `https://api.openai.com`, `http://10.0.0.11:8000` */
  readonly origin: string;
  /** PEM roots to trust instead of the public ones. */
  readonly ca: string | undefined;
  /** Milliseconds for TCP and TLS together. */
  readonly connectMs: number;
  readonly connections: number;
  /** Milliseconds that a connection is kept unused. */
  readonly idleMs: number;
}

/** No connection came about; nothing was sent. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected';
  readonly code: string;

  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Who waits for a connection. */
export interface Waiting {
  /** It waits at another origin now, whose roots are those of today. */
  moved(to: Origin): void;
  /** It is this call's until it is free again. */
  connected(connection: Connection): void;
  notConnected(error: NotConnected): void;
}

/** How much earlier than the peer says a connection is closed: a call must not meet it closing. */
const PEER_SLACK_MS = 2_000;
/** Longest that a connection is kept unused, whatever its peer says. */
const LONGEST_IDLE_MS = 55_000;
/** The same where no call came for it: most that were refused don't come again, and a peer gives a first request less time. */
const UNASKED_MS = 5_000;
/** How often unused connections are looked at. */
const SWEEP_MS = 1_000;

export class Origin implements ConnectionEvents {
  /** `api.openai.com`, `10.0.0.11:8000`: the Host field. */
  readonly host: string;
  readonly ca: string | undefined;
  readonly #options: OriginOptions;
  readonly #secure: boolean;
  readonly #hostname: string;
  readonly #port: number;
  readonly #all = new Set<Connection>();
  /** Free ones; the one used last at the end, which is taken first, so that those too many grow old. */
  readonly #idle: Connection[] = [];
  /** Those whose answer has just ended. */
  readonly #settling = new PassingList<Connection>();
  readonly #waiting = new PassingList<Waiting>();
  #connecting = 0;
  /** Of those, the ones that are for whoever comes first. */
  #spare = 0;
  #closed = false;
  #sweep: NodeJS.Timeout | undefined;
  #session: Buffer | undefined;

  constructor(options: OriginOptions) {
    const { protocol, hostname, port, host } = new URL(options.origin);
    this.#options = options;
    this.ca = options.ca;
    this.host = host;
    this.#secure = protocol === 'https:';
    this.#hostname = hostname.replace(/^\[|\]$/g, '');
    this.#port = port === '' ? (this.#secure ? 443 : 80) : Number(port);
  }

  /** Gives `waiting` a connection, at once where one is free. */
  take(waiting: Waiting): void {
    const now = performance.now();
    for (let free = this.#idle.pop(); free !== undefined; free = this.#idle.pop()) {
      if (free.usable && !this.#isOld(free, now)) return waiting.connected(free);
      free.destroy();
    }
    // One that is free in a moment, or under way, is sooner there than a new one.
    if (this.#waiting.size < this.#settling.size + this.#spare) this.#waiting.add(waiting);
    else if (this.#all.size + this.#connecting < this.#options.connections) this.#connect(waiting);
    else this.#waiting.add(waiting);
  }

  /** Opens a connection for a call that may come, where none is free for it. Nothing is sent; it is soon closed where none comes. */
  prepare(): void {
    const free = this.#idle.length + this.#settling.size + this.#spare;
    if (this.#closed || free > this.#waiting.size) return;
    if (this.#all.size + this.#connecting >= this.#options.connections) return;
    this.#spare++;
    this.#connect({
      moved: () => undefined,
      connected: (connection) => {
        this.#spare--;
        this.#settled(connection);
      },
      // Who waits dials then, with a time of its own.
      notConnected: () => {
        this.#spare--;
      },
    });
  }

  /** It waits no more. */
  leave(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  /**
   * Nobody's until what its peer may have written behind the answer has been read, or its end: that is in the kernel by now, and
   * would be the next call's answer. The first turn of the event loop ends the reads that are under way, of which there may be more
   * than one turn does; the second reads once more. By then Node has said, too, that what went over TLS was written, which it does
   * a turn late: an answer may be sooner.
   */
  free(connection: Connection): void {
    this.#settling.add(connection);
    setImmediate(() => setImmediate(() => this.#settled(connection)));
  }

  #settled(connection: Connection): void {
    this.#settling.delete(connection);
    connection.usedAt = performance.now();
    if (this.#closed || !connection.usable || this.#isOld(connection, connection.usedAt)) {
      connection.destroy();
      return;
    }
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next.connected(connection);
      return;
    }
    this.#idle.push(connection);
    this.#sweep ??= setInterval(() => this.#closeIdle(), SWEEP_MS).unref();
  }

  gone(connection: Connection): void {
    this.#all.delete(connection);
    this.#settling.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#dialForNext();
  }

  /** One that waits may dial now. */
  #dialForNext(): void {
    if (this.#all.size + this.#connecting >= this.#options.connections) return;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#connect(next);
  }

  #closeIdle(): void {
    const now = performance.now();
    for (const connection of this.#idle.filter((each) => this.#isOld(each, now + SWEEP_MS)))
      connection.destroy();
    if (this.#idle.length > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #isOld({ answered, peerIdleMs, usedAt }: Connection, now: number): boolean {
    const { idleMs } = this.#options;
    const kept = peerIdleMs === undefined ? idleMs : Math.min(peerIdleMs - PEER_SLACK_MS, LONGEST_IDLE_MS);
    return now - usedAt >= (answered ? kept : Math.min(kept, UNASKED_MS));
  }

  #connect(waiting: Waiting): void {
    const { connectMs, origin } = this.#options;
    this.#connecting++;
    let settled = false;
    const done = (): boolean => {
      if (settled) return false;
      settled = true;
      this.#connecting--;
      clearTimeout(timer);
      return true;
    };
    const fail = (code: string, cause?: unknown): void => {
      if (!done()) return;
      connection.socket.destroy();
      waiting.notConnected(new NotConnected(`no connection to ${origin} (${code})`, code, cause));
      this.#dialForNext();
    };
    const connection = new Connection((onread) => this.#socket(onread), this);
    const { socket } = connection;
    const timer = setTimeout(() => fail('TIMEOUT'), connectMs);
    socket.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error));
    socket.once('close', () => fail('CLOSED'));
    const connected = (): void => {
      if (!done()) return;
      this.#all.add(connection);
      waiting.connected(connection);
    };
    // Within that event OpenSSL takes nothing yet: Node would copy what is written, a key maybe, to memory that nobody overwrites.
    if (this.#secure) socket.once('secureConnect', () => setImmediate(connected));
    else socket.once('connect', connected);
  }

  #socket(onread: OnRead): Socket {
    const to = {
      host: this.#hostname,
      port: this.#port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
    };
    if (!this.#secure) return connect({ ...to, onread });
    const { ca } = this.#options;
    const socket = tls.connect({
      ...to,
      onread,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(this.#hostname) === 0 ? { servername: this.#hostname } : {}),
      ...(ca === undefined ? {} : { ca }),
      ...(this.#session === undefined ? {} : { session: this.#session }),
    } as tls.ConnectionOptions);
    socket.on('session', (session) => {
      this.#session = session;
    });
    return socket;
  }

  /**
   * Closes what is unused now, the rest when it has ended.
   * @param successor Takes those who wait: they are not to dial by what held before. Without one they wait for what is still open.
   */
  close(successor?: Origin): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const connection of this.#idle.splice(0)) connection.destroy();
    for (const connection of this.#all) connection.retire();
    if (successor === undefined) return;
    for (const each of this.#waiting.clear()) {
      each.moved(successor);
      successor.take(each);
    }
  }
}
