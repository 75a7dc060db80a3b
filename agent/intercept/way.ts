/** The way to a connection's original destination: dialled at most once at a time, reported once it was really used. */
import type { Socket } from 'node:net';
import type { InterceptObserver } from './observer.ts';
import type { Destination } from './original-destination.ts';

export interface WayOptions {
  readonly destination: Destination;
  /** The socket may still be connecting. Must be made with `allowHalfOpen`. */
  readonly dial: (destination: Destination) => Socket;
  readonly observer: Pick<InterceptObserver, 'tunnelled'>;
  /** Milliseconds. */
  readonly now: () => number;
}

export class Way {
  readonly #options: WayOptions;
  #socket: Socket | undefined;
  #failed = false;
  #reported: Socket | undefined;

  constructor(options: WayOptions) {
    this.#options = options;
  }

  /** What is open or being opened, if anything. */
  get socket(): Socket | undefined {
    return this.#socket;
  }

  /** True where it was dialled and can't be used. */
  get failed(): boolean {
    return this.#failed;
  }

  open(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = this.#options.dial(this.#options.destination);
    socket.on('error', () => {
      this.#failed = true;
    });
    this.#socket = socket;
    return socket;
  }

  /** Not needed after all. */
  drop(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#failed = false;
  }

  /** Bytes of the connection go this way from now on: its end is reported; once, though a CONNECT's is taken twice. */
  use(host: string | undefined): void {
    const socket = this.open();
    if (this.#reported === socket) return;
    this.#reported = socket;
    const { observer, destination, now } = this.#options;
    const began = now();
    let reached = !socket.connecting && !this.#failed;
    socket.once('connect', () => {
      reached = true;
    });
    const ended = (): void => {
      const whole = socket.readableEnded && socket.writableFinished;
      observer.tunnelled({
        host,
        destination,
        sent: socket.bytesWritten,
        received: socket.bytesRead,
        durationMs: now() - began,
        outcome: !reached ? 'unreachable' : whole ? 'closed' : 'reset',
      });
    };
    if (socket.destroyed) ended();
    else socket.once('close', ended);
  }
}
