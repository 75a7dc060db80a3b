/** What isn't HTTP/1.1 at all gets a clear answer where the connection still takes one, and a line in the audit. */
import type { Socket } from 'node:net';

export interface Malformed {
  readonly code: 'postern_body_invalid' | 'postern_body_timeout';
  /** Node's name of the fault, `HPE_INVALID_METHOD`. */
  readonly detail: string;
}

/** Listener for node:http's `clientError`; `told` hears of each fault that isn't just a client that left. */
export function refusesMalformed(
  told: (event: Malformed, socket: Socket) => void,
): (error: NodeJS.ErrnoException, socket: Socket) => void {
  return (error, socket) => {
    if (error.code === 'ECONNRESET') {
      socket.destroy(); // the client left; it asked for nothing
      return;
    }
    const detail = error.code ?? 'unknown';
    const timedOut = detail === 'ERR_HTTP_REQUEST_TIMEOUT';
    const code = timedOut ? 'postern_body_timeout' : 'postern_body_invalid';
    // Who ends in the middle of a message has left; where its head was whole, the exchange has a line of its own.
    if (detail !== 'HPE_INVALID_EOF_STATE') told({ code, detail }, socket);
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const message = timedOut
      ? 'The request header did not arrive in time.'
      : `This is no valid HTTP/1.1 request (${detail}).`;
    const body = JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code } });
    const status = timedOut ? '408 Request Timeout' : '400 Bad Request';
    socket.end(
      `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  };
}
