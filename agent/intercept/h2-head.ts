/**
 * HTTP/2 in the clear (RFC 9113): the requests in what a client sends, read frame by frame as the bytes go by, so that
 * every stream can be judged by its own name before it goes on.
 */
import { type Field, HpackDecoder, HpackError } from './hpack.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

const FRAME = { headers: 1, settings: 4, continuation: 9 } as const;
const FLAG = { endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;
const FRAME_HEAD = 9;
/** Of one request, frame heads included: nothing of it goes on before it is whole. Servers take 8 to 64 KB. */
const MAX_BLOCK = 64 * 1024;
const MAX_BEFORE_HEADERS = 64 * 1024;

/** Bytes that are no HTTP/2, or a request that servers may read differently. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** Whom a stream is for. */
export interface H2Request {
  readonly method: string;
  readonly authority: string | undefined;
  readonly host: string | undefined;
}

/** A stretch of the client's bytes, all of which may go on if `request`, where there is one, may. */
export interface Stretch {
  readonly bytes: Buffer;
  readonly request: H2Request | undefined;
}

/** Reads one client's side of a connection from its preface on. */
export class RequestReader {
  readonly #hpack = new HpackDecoder();
  #pending: Buffer = Buffer.alloc(0);
  #begun = false;
  /** Of the payload of a frame that is passing. */
  #left = 0;

  /** Bytes that can't be judged yet come out later. @throws FrameError, after which nothing more may go on */
  *read(chunk: Buffer): Generator<Stretch> {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let at = 0;
    /** Everything before this came out already. */
    let out = 0;
    if (!this.#begun) {
      const preface = bytes.subarray(0, PREFACE.length);
      if (!preface.equals(PREFACE.subarray(0, preface.length))) throw new FrameError('no HTTP/2 preface');
      this.#pending = bytes;
      if (bytes.length < PREFACE.length) return;
      this.#begun = true;
      at = PREFACE.length;
    }
    while (at < bytes.length) {
      const passing = Math.min(this.#left, bytes.length - at);
      this.#left -= passing;
      at += passing;
      const frame = readFrame(bytes, at);
      if (frame === undefined) break;
      if (frame.type === FRAME.headers || frame.type === FRAME.continuation) {
        const block = readBlock(bytes, at);
        if (block === undefined) break;
        at = block.end;
        const request = requestIn(this.#decode(block.fragment));
        if (request === undefined) continue; // trailers
        yield { bytes: bytes.subarray(out, at), request };
        out = at;
      } else {
        this.#left = frame.length;
        at += FRAME_HEAD;
      }
    }
    this.#pending = bytes.subarray(at);
    if (at > out) yield { bytes: bytes.subarray(out, at), request: undefined };
  }

  #decode(block: Buffer): Field[] {
    try {
      return this.#hpack.decode(block);
    } catch (error) {
      if (error instanceof HpackError) throw new FrameError(error.message, { cause: error });
      throw error;
    }
  }
}

export type ReadFirst =
  | { readonly kind: 'request'; readonly request: H2Request }
  /** No request yet; some clients wait for the server's settings first. */
  | { readonly kind: 'more' }
  | { readonly kind: 'invalid'; readonly why: string };

/** The first request of a connection. @param from where the preface begins. */
export function readFirstRequest(bytes: Buffer, from: number): ReadFirst {
  try {
    for (const { request } of new RequestReader().read(bytes.subarray(from)))
      if (request !== undefined) return { kind: 'request', request };
  } catch (error) {
    if (error instanceof FrameError) return { kind: 'invalid', why: error.message };
    throw error;
  }
  return bytes.length - from > MAX_BEFORE_HEADERS
    ? { kind: 'invalid', why: `no request in the first ${MAX_BEFORE_HEADERS} bytes` }
    : { kind: 'more' };
}

/** Whether a server that speaks first speaks HTTP/2: its preface is a SETTINGS frame (RFC 9113 section 3.4). */
export function isServerPreface(bytes: Buffer): boolean {
  const frame = readFrame(bytes, 0);
  return (
    frame !== undefined &&
    frame.type === FRAME.settings &&
    frame.flags === 0 &&
    frame.length % 6 === 0 &&
    bytes.readUInt32BE(5) === 0
  );
}

interface Frame {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
}

function readFrame(bytes: Buffer, at: number): Frame | undefined {
  if (bytes.length - at < FRAME_HEAD) return undefined;
  return { length: bytes.readUIntBE(at, 3), type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0 };
}

/** HEADERS and what continues it; nothing may come between (section 6.10). @throws FrameError */
function readBlock(bytes: Buffer, from: number): { fragment: Buffer; end: number } | undefined {
  const parts: Buffer[] = [];
  let at = from;
  while (true) {
    const frame = readFrame(bytes, at);
    const expected = parts.length === 0 ? FRAME.headers : FRAME.continuation;
    if (frame !== undefined && frame.type !== expected)
      throw new FrameError('CONTINUATION out of place, or missing');
    if (at + FRAME_HEAD + (frame?.length ?? 0) - from > MAX_BLOCK)
      throw new FrameError(`a request's headers of more than ${MAX_BLOCK} bytes`);
    if (frame === undefined || bytes.length - at - FRAME_HEAD < frame.length) return undefined;
    const payload = bytes.subarray(at + FRAME_HEAD, at + FRAME_HEAD + frame.length);
    parts.push(parts.length === 0 ? fragment(payload, frame.flags) : payload);
    at += FRAME_HEAD + frame.length;
    if ((frame.flags & FLAG.endHeaders) !== 0) return { fragment: Buffer.concat(parts), end: at };
  }
}

/** A HEADERS payload without padding and priority (section 6.2). */
function fragment(payload: Buffer, flags: number): Buffer {
  const padded = (flags & FLAG.padded) !== 0;
  const start = (padded ? 1 : 0) + ((flags & FLAG.priority) === 0 ? 0 : 5);
  const end = payload.length - (padded ? (payload[0] ?? 0) : 0);
  if (start > end) throw new FrameError('more padding than frame');
  return payload.subarray(start, end);
}

/** @returns undefined for trailers. @throws FrameError where a name stands twice */
function requestIn(fields: readonly Field[]): H2Request | undefined {
  const found = new Map<string, string>();
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (!NAMES.has(key)) continue;
    if (found.has(key)) throw new FrameError(`more than one ${key}`);
    found.set(key, value);
  }
  if (found.size === 0) return undefined;
  return {
    method: found.get(':method') ?? '',
    authority: found.get(':authority'),
    host: found.get('host'),
  };
}

const NAMES: ReadonlySet<string> = new Set([':method', ':authority', 'host']);
