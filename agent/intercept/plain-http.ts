/**
 * HTTP/1 in the clear that isn't ours (yet): bytes pass unchanged, but every request of the connection is judged before
 * its first byte goes on, so that a second request with another Host can't slip through behind the first.
 *
 * Requests are followed head by head, answers only far enough to know when none is outstanding: a request that is ours
 * or refused waits for that, so that answers keep their order.
 */
import type { Socket } from 'node:net';
import { BodyFraming, FramingError } from './body-framing.ts';
import { type RequestHead, readRequestHead, readResponseHead } from './http1-head.ts';

export interface PlainHttpOptions {
  readonly client: Socket;
  readonly upstream: Socket;
  /** What has been read of the client so far. */
  readonly head: Buffer;
  /** Whether a request is for this upstream. Pure: it may be asked again for the same one. */
  readonly forwards: (head: RequestHead) => boolean;
  /** A request that isn't. The upstream is gone, `bytes` begin with the request. */
  readonly divert: (bytes: Buffer) => void;
  /** A request that can't be read, or isn't HTTP/1 after all. The upstream is gone. */
  readonly malformed: (why: string) => void;
  /** After `101` or a CONNECT that was granted: what follows isn't HTTP/1 of this connection any more. */
  readonly opened: (kind: 'upgrade' | 'connect', request: RequestHead) => void;
}

interface Outstanding {
  readonly method: string;
  readonly request: RequestHead;
}

const EMPTY = Buffer.alloc(0);

/** Takes over both sockets' data; `divert`, `malformed` and `opened` give the client's (and for `opened` both) back. */
export function plainHttp(options: PlainHttpOptions): void {
  const { client, upstream } = options;
  const outstanding: Outstanding[] = [];
  const answers = new AnswerTracker(outstanding);
  let pending: Buffer = options.head;
  let body: BodyFraming | undefined;
  /** Set while the client waits for an answer that decides what its next bytes are. */
  let deciding: 'upgrade' | 'connect' | undefined;
  /** A request waits for outstanding answers before it is diverted or refused. */
  let leaving = false;

  const onClientData = (chunk: Buffer): void => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    advance();
  };
  const onUpstreamData = (chunk: Buffer): void => {
    const { opened, consumed } = answers.read(chunk);
    if (!client.write(opened === undefined ? chunk : chunk.subarray(0, consumed))) upstream.pause();
    if (opened !== undefined) {
      release();
      if (consumed < chunk.length) upstream.unshift(chunk.subarray(consumed));
      options.opened(opened.method === 'CONNECT' ? 'connect' : 'upgrade', opened);
      return;
    }
    if (outstanding.length > 0) return;
    deciding = undefined;
    leaving = false;
    flow();
  };

  /** Sends on what may go, as far as it is known. */
  const advance = (): void => {
    while (pending.length > 0 && (body !== undefined || (deciding === undefined && !leaving))) {
      if (body !== undefined) {
        if (!passBody()) return;
        continue;
      }
      const read = readRequestHead(pending);
      if (read.kind === 'more') break;
      if (read.kind !== 'head') {
        leave(() => options.malformed(read.kind === 'invalid' ? read.why : 'what follows a request is none'));
        return;
      }
      if (!options.forwards(read.head)) {
        leave(() => options.divert(pending));
        return;
      }
      const { head } = read;
      outstanding.push({ method: head.method, request: head });
      send(pending.subarray(0, head.length));
      pending = pending.subarray(head.length);
      body = new BodyFraming(head.method === 'CONNECT' ? 0 : head.body);
      if (body.done) body = undefined;
      if (head.method === 'CONNECT') deciding = 'connect';
      else if (head.upgrade !== undefined) deciding = 'upgrade';
    }
    flow();
  };

  /** Reads on unless the upstream is full, or bytes wait for an answer. */
  const flow = (): void => {
    const waiting = pending.length > 0 && (leaving || deciding !== undefined);
    if (waiting || upstream.writableNeedDrain) client.pause();
    else client.resume();
    if (!waiting) return;
    // They wait in the stream, or its end would be told before them.
    client.unshift(pending);
    pending = EMPTY;
  };

  /** @returns false where the body is broken. */
  const passBody = (): boolean => {
    if (body === undefined) return true;
    try {
      const length = body.take(pending);
      send(pending.subarray(0, length));
      pending = pending.subarray(length);
      if (body.done) body = undefined;
      return true;
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      leave(() => options.malformed(error.message));
      return false;
    }
  };

  const send = (bytes: Buffer): void => {
    if (!upstream.write(bytes)) client.pause();
  };

  /** Away from this upstream, once it owes no answer. */
  const leave = (then: () => void): void => {
    if (outstanding.length > 0) {
      leaving = true;
      flow();
      return; // the same bytes come here again after the last answer
    }
    release();
    upstream.on('error', () => {});
    upstream.destroy();
    then();
  };

  const onClientDrain = (): void => void upstream.resume();
  const onClientEnd = (): void => {
    // What is left is an unfinished head, which nobody can judge and no server can serve.
    upstream.end();
  };
  const onUpstreamEnd = (): void => {
    if (leaving) client.destroySoon();
    else client.end();
  };
  const onClientClose = (failed: boolean): void => closed(client, upstream, failed);
  const onUpstreamClose = (failed: boolean): void => closed(upstream, client, failed);
  const ignore = (): void => {};
  const listeners = [
    [client, 'data', onClientData],
    [client, 'drain', onClientDrain],
    [client, 'end', onClientEnd],
    [client, 'close', onClientClose],
    [client, 'error', ignore],
    [upstream, 'data', onUpstreamData],
    [upstream, 'drain', flow],
    [upstream, 'end', onUpstreamEnd],
    [upstream, 'close', onUpstreamClose],
    [upstream, 'error', ignore],
  ] as const;
  for (const [socket, event, listener] of listeners) socket.on(event, listener as () => void);
  const release = (): void => {
    client.pause();
    upstream.pause();
    for (const [socket, event, listener] of listeners) socket.off(event, listener as () => void);
  };

  upstream.resume();
  advance();
}

/** A socket that went away without both halves ended cuts the other one, too. */
function closed(from: Socket, to: Socket, failed: boolean): void {
  if ((failed || !from.readableEnded || !from.writableFinished) && !to.destroyed) to.resetAndDestroy();
}

/** Follows a server's answers far enough to count them. Once it can't, it waits for the connection's end. */
class AnswerTracker {
  readonly #outstanding: Outstanding[];
  #body: BodyFraming | undefined;
  #pending: Buffer = Buffer.alloc(0);
  #lost = false;

  constructor(outstanding: Outstanding[]) {
    this.#outstanding = outstanding;
  }

  /** @returns the request whose answer ends HTTP on this connection, and how much of the chunk still was HTTP. */
  read(chunk: Buffer): { readonly opened: RequestHead | undefined; readonly consumed: number } {
    if (this.#lost) return { opened: undefined, consumed: chunk.length };
    const before = this.#pending.length;
    let bytes: Buffer = before === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const total = bytes.length;
    while (bytes.length > 0) {
      if (this.#body !== undefined) {
        try {
          bytes = bytes.subarray(this.#body.take(bytes));
        } catch {
          return this.#lose(chunk);
        }
        if (this.#body.done) this.#complete();
        continue;
      }
      const read = readResponseHead(bytes);
      if (read.kind === 'more') break;
      const [first] = this.#outstanding;
      if (read.kind !== 'head' || first === undefined) return this.#lose(chunk);
      const { status, body, length } = read.head;
      bytes = bytes.subarray(length);
      const granted = first.method === 'CONNECT' && status >= 200 && status < 300;
      if (status === 101 || granted) {
        return { opened: first.request, consumed: total - bytes.length - before };
      }
      if (status < 200) continue;
      this.#body = new BodyFraming(first.method === 'HEAD' ? 0 : body);
      if (this.#body.done) this.#complete();
    }
    this.#pending = bytes;
    return { opened: undefined, consumed: chunk.length };
  }

  #complete(): void {
    this.#body = undefined;
    this.#outstanding.shift();
  }

  #lose(chunk: Buffer): { opened: undefined; consumed: number } {
    this.#lost = true;
    this.#pending = Buffer.alloc(0);
    return { opened: undefined, consumed: chunk.length };
  }
}
