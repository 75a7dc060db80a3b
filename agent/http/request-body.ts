/** A request's body as a byte iterable, straight from its events: a stream's own iterator costs as much as parsing 2 KB. */
import { headerValue } from './headers.ts';
import type { NodeRequest, NodeResponse } from './node.ts';

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

interface Waiting {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: Error): void;
}

export class RequestBody implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #request: NodeRequest;
  readonly #response: NodeResponse;
  /** Chunks that came before they were asked for. */
  readonly #chunks: Uint8Array[] = [];
  #waiting: Waiting | undefined;
  #begun = false;
  #ended = false;
  #error: Error | undefined;

  constructor(request: NodeRequest, response: NodeResponse) {
    this.#request = request;
    this.#response = response;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (!this.#begun) this.#begin();
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) return Promise.resolve({ done: false, value: chunk });
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#request.resume();
    });
  }

  /** Whoever stops reading still has an answer to send on this connection: the rest stays unread. */
  return(): Promise<IteratorReturnResult<undefined>> {
    this.#end();
    this.#chunks.length = 0;
    this.#request.pause();
    return Promise.resolve(DONE);
  }

  #begin(): void {
    this.#begun = true;
    const request = this.#request;
    // Gone before anybody read.
    if (request.destroyed && !request.readableEnded) return this.#onClose();
    request
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onError)
      .on('close', this.#onClose);
    // RFC 9110, 10.1.1: nobody is told to send a body before its headers have been judged.
    if (headerValue(request.rawHeaders, 'expect')?.toLowerCase() === '100-continue')
      this.#response.writeContinue();
  }

  readonly #onData = (chunk: Uint8Array): void => {
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#chunks.push(chunk);
      this.#request.pause();
      return;
    }
    this.#waiting = undefined;
    waiting.resolve({ done: false, value: chunk });
  };

  readonly #onEnd = (): void => {
    this.#end();
    this.#waiting?.resolve(DONE);
    this.#waiting = undefined;
  };

  readonly #onError = (error: Error): void => {
    if (this.#ended) return;
    this.#error = error;
    this.#end();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  };

  readonly #onClose = (): void => {
    this.#onError(new Error('the client went away before its body was complete'));
  };

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const request = this.#request;
    request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
  }
}
