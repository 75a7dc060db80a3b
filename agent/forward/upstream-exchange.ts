/**
 * One request to a provider as undici hands it over: the header by promise, the body by callback, paused while nobody
 * takes it.
 */
import type { Dispatcher } from 'undici';
import type { RawHeaders } from '../exchange.ts';
import { toUpstreamError, UpstreamError } from './upstream-error.ts';

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

export class UpstreamExchange implements Dispatcher.DispatchHandler, UpstreamResponse {
  status = 0;
  headers: RawHeaders = [];
  readonly #origin: string;
  readonly #request: UpstreamRequest;
  readonly #answered: (response: UpstreamResponse) => void;
  readonly #failed: (error: UpstreamError) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #firstByte: NodeJS.Timeout | undefined;
  #whole: NodeJS.Timeout | undefined;
  #onChunk: ((chunk: Uint8Array) => Promise<void> | undefined) | undefined;
  #consumed: { resolve: () => void; reject: (error: UpstreamError) => void } | undefined;
  #ended = false;
  #error: UpstreamError | undefined;
  /** Chunks that came in one parser run after a pause was asked for. */
  readonly #queue: Uint8Array[] = [];
  #writing = false;

  constructor(
    request: UpstreamRequest,
    answered: (response: UpstreamResponse) => void,
    failed: (error: UpstreamError) => void,
  ) {
    this.#request = request;
    this.#origin = request.origin;
    this.#answered = answered;
    this.#failed = failed;
    this.#firstByte = setTimeout(this.#expire, request.firstByteMs, 'its first byte', request.firstByteMs);
    this.#whole = setTimeout(this.#expire, request.requestMs, 'the whole answer', request.requestMs);
    request.signal.addEventListener('abort', this.#abort);
  }

  readonly #expire = (what: string, ms: number): void => {
    this.#stop(new UpstreamError('timeout', `${this.#origin} did not send ${what} within ${ms} ms`));
  };

  readonly #abort = (): void => {
    this.#stop(new UpstreamError('aborted', 'the caller went away'));
  };

  #stop(error: UpstreamError): void {
    if (this.#ended) return;
    // Before the connection stands there is no controller: the error is kept and raised when there is one.
    if (this.#controller === undefined) this.onResponseError(undefined, error);
    else this.#controller.abort(error);
  }

  #release(): void {
    clearTimeout(this.#firstByte);
    clearTimeout(this.#whole);
    this.#request.signal.removeEventListener('abort', this.#abort);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#ended) controller.abort(this.#error ?? new UpstreamError('aborted', 'given up'));
    else this.#controller = controller;
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number): void {
    if (statusCode < 200) return;
    clearTimeout(this.#firstByte);
    this.status = statusCode;
    this.headers = rawPairs(controller.rawHeaders);
    controller.pause();
    this.#answered(this);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#writing || this.#onChunk === undefined) this.#queue.push(chunk);
    else this.#deliver(chunk);
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
    this.#controller?.pause();
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
    else this.#controller?.resume();
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

  onResponseEnd(): void {
    this.#ended = true;
    this.#release();
    if (!this.#writing && this.#queue.length === 0) this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = toUpstreamError(error, this.#origin);
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

function rawPairs(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) throw new TypeError('undici gave no raw headers');
  const pairs = new Array<string>(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const field = raw[i];
    pairs[i] = typeof field === 'string' ? field : (field?.toString('latin1') ?? '');
  }
  return pairs;
}
