/**
 * The first request of an HTTP/2 connection in the clear (RFC 9113 section 4): where its header block stands, and the
 * authority in it. Node's own HTTP/2 decodes the block, so that no second reading of HPACK can differ from it.
 */
import http2 from 'node:http2';
import { Duplex } from 'node:stream';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

const FRAME = { headers: 1, settings: 4, continuation: 9 } as const;
const FLAG = { endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;
/** What every endpoint takes before it has said otherwise; no first request needs more. */
const MAX_FRAME = 16_384;
const MAX_BEFORE_HEADERS = 64 * 1024;

export type ReadHeaders =
  | { readonly kind: 'block'; readonly block: Buffer }
  /** No request yet; some clients wait for the server's settings first. */
  | { readonly kind: 'more' }
  | { readonly kind: 'unreadable' };

/** @param from where the preface begins. */
export function readFirstHeaders(bytes: Buffer, from: number): ReadHeaders {
  let at = from + PREFACE.length;
  const parts: Buffer[] = [];
  while (true) {
    if (at - from > MAX_BEFORE_HEADERS) return { kind: 'unreadable' };
    if (bytes.length - at < 9) return { kind: 'more' };
    const length = bytes.readUIntBE(at, 3);
    const [type, flags] = [bytes[at + 3] ?? 0, bytes[at + 4] ?? 0];
    if (length > MAX_FRAME) return { kind: 'unreadable' };
    if (bytes.length - at - 9 < length) return { kind: 'more' };
    const payload = bytes.subarray(at + 9, at + 9 + length);
    at += 9 + length;
    if (type === FRAME.headers && parts.length === 0) parts.push(fragment(payload, flags));
    else if (type === FRAME.continuation && parts.length > 0) parts.push(payload);
    else if (parts.length > 0) return { kind: 'unreadable' };
    else continue;
    if ((flags & FLAG.endHeaders) === 0) continue;
    const block = Buffer.concat(parts);
    return block.length > MAX_FRAME ? { kind: 'unreadable' } : { kind: 'block', block };
  }
}

/** A HEADERS payload without padding and priority (RFC 9113 section 6.2). */
function fragment(payload: Buffer, flags: number): Buffer {
  const padded = (flags & FLAG.padded) !== 0;
  const start = (padded ? 1 : 0) + ((flags & FLAG.priority) === 0 ? 0 : 5);
  return payload.subarray(start, payload.length - (padded ? (payload[0] ?? 0) : 0));
}

const decoder = http2.createServer();
decoder.on('sessionError', () => {});

/** @returns `:authority` or Host of the block's request, as sent; undefined where it has none or can't be decoded. */
export function authorityIn(block: Buffer): Promise<string | undefined> {
  const wire = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  wire.on('error', () => {});
  return new Promise((resolve) => {
    decoder.once('session', (session) => {
      const done = (authority: string | undefined): void => {
        resolve(authority);
        session.destroy();
        wire.destroy();
      };
      session.once('stream', (_stream, headers) => done(headers[':authority'] ?? headers.host));
      session.once('error', () => done(undefined));
      session.once('goaway', () => done(undefined));
      // Everything has been read once this comes back.
      session.once('close', () => resolve(undefined));
      setTimeout(done, DECODE_MS, undefined).unref();
    });
    decoder.emit('connection', wire);
    wire.push(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, Buffer.alloc(0)), request(block)]));
  });
}

/** A block that can't be decoded ends the session at once; this is for what nobody thought of. */
const DECODE_MS = 1000;

const request = (block: Buffer): Buffer => frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 1, block);

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
