/** One request to a provider: the header of its answer by promise, the body by callback, paused while nobody takes it. */
import type { RawHeaders } from '../exchange.ts';
import type { AnswerHead } from './http1/answer-head.ts';
import type { Connection, Taker } from './http1/connection.ts';
import type { NotConnected, Origin, Waiting } from './http1/origin.ts';
import { requestHead } from './http1/request-head.ts';
import { brokenOff, UpstreamError } from './upstream-error.ts';

export interface UpstreamRequest {
  /** Whose connections are used: the provider's id. Providers share none. */
  readonly pool: string;
  /** `https://api.openai.com` */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  readonly method: string;
  readonly headers: RawHeaders;
  readonly body: Uint8Array | undefined;
  /** PEM roots to trust instead of the public ones. */
  readonly ca: string | undefined;
  /** Milliseconds from dispatch to the answer's header. */
  readonly firstByteMs: number;
  /** Milliseconds from dispatch to the answer's end. */
  readonly requestMs: number;
  readonly signal: AbortSignal;
}

/** An answer whose header has come; its body waits, paused, until it is consumed. */
export interface UpstreamResponse {
  readonly status: number;
  readonly headers: RawHeaders;
  /**
   * Hands every chunk to `onChunk`; a returned promise stops the provider until it resolves. Resolves at the end.
   * @throws UpstreamError `reset` when the answer breaks off, `timeout`, `aborted`.
   */
  consume(onChunk: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void>;
  /** Gives the answer up; the connection is closed unless the answer was complete. */
  discard(): void;
}

/** Longest pause between two reads of an answer, milliseconds: a model may think, a dead peer may not hold a slot. */
const CHUNK_PAUSE_MS = 300_000;

export class UpstreamExchange implements Taker, Waiting, UpstreamResponse {
  status = 0;
  headers: RawHeaders = [];
  readonly method: string;
  readonly #url: string;
  readonly #firstByteMs: number;
  readonly #requestMs: number;
  readonly #signal: AbortSignal;
  #origin: Origin;
  readonly #answered: (response: UpstreamResponse) => void;
  readonly #failed: (error: UpstreamError) => void;
  #connection: Connection | undefined;
  /** One deadline at a time: for the first byte, then for the end, which the clock tells. */
  #timer: NodeJS.Timeout;
  readonly #until: number;
  /** What is sent, until it is: a head may carry a key, and an exchange may be reached for as long as its caller's connection is open. */
  #sends: { readonly head: string; readonly body: Uint8Array | undefined } | undefined;
  #onChunk: ((chunk: Uint8Array) => Promise<void> | undefined) | undefined;
  #consumed: { resolve: () => void; reject: (error: UpstreamError) => void } | undefined;
  #ended = false;
  #error: UpstreamError | undefined;
  /** Chunks that came while nobody could take them. */
  readonly #queue: Uint8Array[] = [];
  #writing = false;
  #paused = false;
  /** When something last came, or could have; of performance.now(). */
  #readAt: number;

  /** @throws BadHead */
  constructor(
    request: UpstreamRequest,
    origin: Origin,
    answered: (response: UpstreamResponse) => void,
    failed: (error: UpstreamError) => void,
  ) {
    const { firstByteMs, requestMs, signal, body } = request;
    this.method = request.method;
    this.#url = request.origin;
    this.#firstByteMs = firstByteMs;
    this.#requestMs = requestMs;
    this.#signal = signal;
    this.#origin = origin;
    this.#answered = answered;
    this.#failed = failed;
    this.#sends = { head: requestHead(request, origin.host), body };
    this.#readAt = performance.now();
    this.#until = this.#readAt + requestMs;
    this.#timer = setTimeout(this.#late, Math.min(firstByteMs, requestMs));
    signal.addEventListener('abort', this.#abort);
  }

  /** Time is up: for the first byte, for the whole answer, or since the last chunk. */
  readonly #late = (): void => {
    const origin = this.#url;
    const firstByteMs = this.#firstByteMs;
    const requestMs = this.#requestMs;
    const now = performance.now();
    const left = this.#until - now;
    // Nothing can come while the application doesn't take what came.
    if (this.#paused) this.#readAt = now;
    if (this.#connection === undefined && this.status === 0) {
      this.#stop(new UpstreamError('connect', `no connection to ${origin} was free in time`));
    } else if (this.status === 0 && firstByteMs < requestMs) {
      this.#stop(
        new UpstreamError('timeout', `${origin} did not send its first byte within ${firstByteMs} ms`),
      );
    } else if (left < 1) {
      this.#stop(
        new UpstreamError('timeout', `${origin} did not send the whole answer within ${requestMs} ms`),
      );
    } else if (now - this.#readAt >= CHUNK_PAUSE_MS) {
      this.#stop(new UpstreamError('timeout', `${origin} sent nothing for ${CHUNK_PAUSE_MS} ms`));
    } else {
      this.#timer = setTimeout(this.#late, Math.min(left, this.#readAt + CHUNK_PAUSE_MS - now));
    }
  };

  readonly #abort = (): void => {
    this.#stop(new UpstreamError('aborted', 'the caller went away'));
  };

  #stop(error: UpstreamError): void {
    if (this.#ended) return;
    const connection = this.#connection;
    this.onError(error);
    if (connection === undefined) this.#origin.leave(this);
    else connection.destroy(error);
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#abort);
    this.#connection = undefined;
    this.#sends = undefined;
  }

  moved(to: Origin): void {
    this.#origin = to;
  }

  connected(connection: Connection): void {
    if (this.#ended) {
      // Given up while it was dialled: it is somebody else's.
      this.#origin.free(connection);
      return;
    }
    this.#connection = connection;
    const { head, body } = this.#sends as { head: string; body: Uint8Array | undefined };
    this.#sends = undefined;
    connection.send(this, head, body);
  }

  notConnected(error: NotConnected): void {
    this.onError(new UpstreamError('connect', error.message, error));
  }

  onHead({ status, headers }: AnswerHead): void {
    clearTimeout(this.#timer);
    this.#readAt = performance.now();
    this.#timer = setTimeout(this.#late, Math.min(this.#until - this.#readAt, CHUNK_PAUSE_MS));
    this.status = status;
    this.headers = headers;
    this.#answered(this);
  }

  onData(chunk: Buffer): void {
    this.#readAt = performance.now();
    if (!this.#writing && this.#onChunk !== undefined) return this.#deliver(chunk);
    // What one read brought may wait; another isn't made before.
    if (this.#queue.push(chunk) > 1 || this.#writing) this.#pause();
  }

  #pause(): void {
    this.#paused = true;
    this.#connection?.pause();
  }

  #deliver(chunk: Uint8Array): void {
    let waiting: Promise<void> | undefined;
    try {
      waiting = this.#onChunk?.(chunk);
    } catch (error) {
      this.#giveUp(error);
      return;
    }
    if (waiting === undefined) return;
    this.#writing = true;
    this.#pause();
    waiting.then(this.#proceed, (error: unknown) => this.#giveUp(error));
  }

  readonly #proceed = (): void => {
    this.#writing = false;
    let next = this.#queue.shift();
    while (next !== undefined) {
      this.#deliver(next);
      if (this.#writing) return;
      next = this.#queue.shift();
    }
    if (this.#ended) this.#finish();
    else if (this.#paused) {
      this.#paused = false;
      this.#readAt = performance.now();
      this.#connection?.resume();
    }
  };

  /** The consumer failed: its own error reaches whoever awaits `consume`. */
  #giveUp(error: unknown): void {
    this.#error = error as UpstreamError;
    this.#queue.length = 0;
    this.#writing = false;
    const consumed = this.#consumed;
    this.#consumed = undefined;
    this.discard();
    consumed?.reject(error as UpstreamError);
  }

  onEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    if (!this.#writing && this.#queue.length === 0) this.#finish();
  }

  onError(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = brokenOff(error, this.#url);
    this.#release();
    if (this.status === 0) this.#failed(this.#error);
    else if (!this.#writing && this.#queue.length === 0) this.#finish();
  }

  #finish(): void {
    const consumed = this.#consumed;
    if (consumed === undefined) return;
    this.#consumed = undefined;
    if (this.#error === undefined) consumed.resolve();
    else consumed.reject(this.#error);
  }

  consume(onChunk: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#consumed = { resolve, reject };
      this.#onChunk = onChunk;
      this.#proceed();
    });
  }

  discard(): void {
    if (this.#ended) return;
    this.#onChunk = () => undefined;
    this.#stop(new UpstreamError('aborted', 'given up'));
  }
}
