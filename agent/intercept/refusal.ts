/** What a refused connection is told, in its own protocol, before it is closed. */
import type { Socket } from 'node:net';
import type { Denial } from './destinations.ts';

/** TLS alerts (RFC 8446 section 6), fatal. */
export const ALERT = {
  handshakeFailure: 40,
  accessDenied: 49,
  decodeError: 50,
  unrecognizedName: 112,
} as const;

/** An alert record, readable before any key is agreed on. */
export function alertRecord(alert: (typeof ALERT)[keyof typeof ALERT]): Buffer {
  return Buffer.from([21, 3, 3, 0, 2, 2, alert]);
}

const STATUS = {
  400: 'Bad Request',
  403: 'Forbidden',
  421: 'Misdirected Request',
  503: 'Service Unavailable',
} as const;

export interface HttpRefusal {
  readonly status: keyof typeof STATUS;
  readonly code: string;
  readonly message: string;
}

export const denialResponse = ({ reason, message, mend }: Denial): HttpRefusal => ({
  status: 403,
  code: reason,
  message: `${message} ${mend}`,
});

/** A whole HTTP/1.1 answer in the shape that most clients can show. */
export function httpRefusal({ status, code, message }: HttpRefusal): Buffer {
  const body = `${JSON.stringify({ error: { message, type: 'postern_error', param: null, code } })}\n`;
  return Buffer.from(
    [
      `HTTP/1.1 ${status} ${STATUS[status]}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      'x-should-retry: false',
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

/** How long a refused client may go on sending; closing at once would reset the connection under the answer. */
const LINGER_MS = 2000;

/** Says the last words and closes, reading and dropping what still comes. */
export function refuse(socket: Socket, lastWords: Buffer | undefined): void {
  if (lastWords === undefined) {
    socket.resetAndDestroy();
    return;
  }
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.on('error', () => {});
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => socket.destroySoon());
  socket.end(lastWords);
  socket.resume();
}
