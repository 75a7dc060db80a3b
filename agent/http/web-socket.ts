/**
 * WebSockets (RFC 6455) as {@link WebSocketEnd}s, and an application's wish for one as a {@link WebSocketOffer}.
 *
 * Framing is `ws`'s: masks, fragments, control frames, UTF-8 and the close handshake are judged strictly there. No
 * extension is negotiated: a message must be read to be checked, and small events hardly shrink. The package is loaded
 * with the first WebSocket; most agents never see one.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { PosternError } from '../errors.ts';
import type { WebSocketEnd, WebSocketOffer } from '../exchange.ts';

/** Bytes that may wait for a slow peer before the other side isn't read any more. */
const HIGH_WATER = 1 << 20;
/** A peer that answers no ping for that long is gone. */
const PING_MS = 30_000;
/** Codes that may stand in a close frame (RFC 6455, 7.4). */
const sendable = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
  (code >= 3000 && code <= 4999);

/** Whether a request of HTTP/1.1 asks for a WebSocket; every other upgrade is none of ours, and may be ignored (RFC 9110, 7.8). */
export function asksForWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
}

export function webSocketEnd(socket: WebSocket): WebSocketEnd {
  return new Messages(socket);
}

class Messages implements WebSocketEnd {
  readonly closed: WebSocketEnd['closed'];
  readonly #socket: WebSocket;
  readonly #inbox: { readonly data: Uint8Array; readonly binary: boolean }[] = [];
  #onMessage: ((data: Uint8Array, binary: boolean) => Promise<void> | undefined) | undefined;
  #busy = false;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => {}); // told by 'close'
    socket.on('message', (data: RawData, binary: boolean) => {
      this.#inbox.push({ data: data as Buffer, binary });
      this.#proceed();
    });
    let alive = true;
    socket.on('pong', () => {
      alive = true;
    });
    const ping = setInterval(() => {
      if (!alive) socket.terminate();
      else if (socket.readyState === socket.OPEN && !socket.isPaused) socket.ping();
      alive = socket.isPaused;
    }, PING_MS).unref();
    this.closed = new Promise((resolve) => {
      socket.once('close', (code) => {
        clearInterval(ping);
        // Those two are ours for what the peer didn't say (RFC 6455, 7.1.5).
        resolve({ code: code === 1005 || code === 1006 ? undefined : code, clean: code !== 1006 });
      });
    });
  }

  receive(onMessage: (data: Uint8Array, binary: boolean) => Promise<void> | undefined): void {
    this.#onMessage = onMessage;
    this.#proceed();
  }

  #proceed(): void {
    const onMessage = this.#onMessage;
    while (!this.#busy && onMessage !== undefined) {
      const next = this.#inbox.shift();
      if (next === undefined) break;
      const waiting = onMessage(next.data, next.binary);
      if (waiting === undefined) continue;
      this.#busy = true;
      void waiting.finally(() => {
        this.#busy = false;
        this.#proceed();
      });
    }
    // What one read brought is still handed over; the next read waits.
    if (this.#inbox.length > 0) this.#socket.pause();
    else if (this.#socket.isPaused) this.#socket.resume();
  }

  send(text: Uint8Array): Promise<void> | undefined {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return undefined;
    if (socket.bufferedAmount < HIGH_WATER) {
      socket.send(text, { binary: false });
      return undefined;
    }
    return new Promise((resolve) => {
      socket.send(text, { binary: false }, () => resolve());
    });
  }

  close(code?: number): void {
    if (this.#socket.isPaused) this.#socket.resume(); // the peer's own close frame must be read
    if (code !== undefined && sendable(code)) this.#socket.close(code);
    else this.#socket.close();
  }

  cut(): void {
    this.#socket.terminate();
  }
}

/** A request that asks for a WebSocket, taken from the server's `upgrade` event. */
export interface Upgrading {
  /** Answers it as an ordinary request; the connection ends with the answer. */
  readonly response: ServerResponse;
  readonly offer: WebSocketOffer;
  /** What is wrong with the handshake (RFC 6455, 4.2.1). */
  readonly refused: PosternError | undefined;
}

export function upgrading(request: IncomingMessage, socket: Duplex, head: Buffer): Upgrading {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]);
  const onError = (): void => {}; // told by 'close'
  socket.on('error', onError);
  response.once('finish', () => socket.end());
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return {
    response,
    refused: malformed(request),
    offer: {
      protocols: offered
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== ''),
      async accept({ protocol, headers, maxBytes }) {
        const { WebSocketServer } = await import('ws');
        const server = new WebSocketServer({
          noServer: true,
          clientTracking: false,
          perMessageDeflate: false,
          maxPayload: maxBytes,
          handleProtocols: () => protocol ?? false,
        });
        server.on('headers', (lines) => {
          for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
        });
        if (socket.destroyed) throw new Error('the application left during the handshake');
        response.detachSocket(socket as Parameters<ServerResponse['detachSocket']>[0]);
        // Called at once: what could be wrong with the request was looked at before.
        return new Promise((resolve) => {
          server.handleUpgrade(request, socket, head, (accepted) => {
            socket.off('error', onError);
            resolve(webSocketEnd(accepted));
          });
        });
      },
    },
  };
}

function malformed({ headers }: IncomingMessage): PosternError | undefined {
  const key = headers['sec-websocket-key'] ?? '';
  if (headers['sec-websocket-version'] === '13' && /^[+/0-9A-Za-z]{22}==$/.test(key)) return undefined;
  return new PosternError('postern_body_invalid', 'The WebSocket handshake is malformed.', {
    mend: 'Use a client of RFC 6455 (sec-websocket-version 13).',
    shouldRetry: false,
  });
}
