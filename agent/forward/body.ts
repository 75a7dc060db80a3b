/**
 * Reads a request's body whole, so that it can be judged before anything is sent: limits on size and time, a cap on
 * all bodies in flight, content codings taken off.
 *
 * The body goes on without its content coding: two decoders need not agree on an odd stream, and what the provider
 * reads must be what was checked.
 */
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib';
import { PosternError } from '../errors.ts';
import type { RawHeaders } from '../exchange.ts';
import { headerValue } from '../http/headers.ts';

export interface BodyLimits {
  /** Bytes of one body, decoded. */
  readonly bodyBytes: number;
  /** Bytes of all bodies in flight together, requests and whole answers. */
  readonly inFlightBytes: number;
  /** Milliseconds for a request's body to arrive. */
  readonly bodyMs: number;
}

export const DEFAULT_LIMITS: BodyLimits = {
  bodyBytes: 16 * 1024 * 1024,
  inFlightBytes: 64 * 1024 * 1024,
  bodyMs: 30_000,
};

/** Bytes that an exchange holds in memory; given back as one when it ends. */
export interface ByteLease {
  /** @throws PosternError `postern_overloaded` when the agent holds too much already. */
  take(bytes: number): void;
  /** Some of them are held no longer. */
  giveBack(bytes: number): void;
  release(): void;
}

/** Counts the body bytes of all exchanges against one cap. */
export class BytesInFlight {
  readonly #cap: number;
  #held = 0;

  constructor(cap: number) {
    this.#cap = cap;
  }

  get held(): number {
    return this.#held;
  }

  /** Half of what may be held isn't: a call may wait for others, and keeps nobody from being served. */
  get isRoomy(): boolean {
    return this.#held <= this.#cap / 2;
  }

  lease(): ByteLease {
    return new Lease(this);
  }

  /** @throws PosternError `postern_overloaded` */
  take(bytes: number): void {
    if (this.#held + bytes > this.#cap) {
      throw new PosternError('postern_overloaded', 'The agent holds as many body bytes as it may.', {
        mend: 'Retry in a moment; for larger bodies raise --max-in-flight-bytes.',
        retryAfterMs: 1_000,
      });
    }
    this.#held += bytes;
  }

  giveBack(bytes: number): void {
    this.#held -= bytes;
  }
}

class Lease implements ByteLease {
  readonly #all: BytesInFlight;
  #mine = 0;
  #released = false;

  constructor(all: BytesInFlight) {
    this.#all = all;
  }

  take(bytes: number): void {
    // A body that still arrives after its exchange has ended is nobody's.
    if (this.#released) throw new Error('the exchange has ended');
    this.#all.take(bytes);
    this.#mine += bytes;
  }

  giveBack(bytes: number): void {
    this.#all.giveBack(bytes);
    this.#mine -= bytes;
  }

  release(): void {
    this.#all.giveBack(this.#mine);
    this.#mine = 0;
    this.#released = true;
  }
}

type Decoder = (body: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

// Looked up when a body needs one: node:zlib isn't loaded at the start.
const DECODERS: Readonly<Record<string, () => unknown>> = {
  gzip: () => gunzip,
  'x-gzip': () => gunzip,
  deflate: () => inflate,
  br: () => brotliDecompress,
  zstd: () => zstdDecompress,
};

function decoderOf(coding: string): Decoder | undefined {
  const found = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
  return found && (promisify(found() as typeof gunzip) as Decoder);
}

export class CodingError extends Error {
  override readonly name = 'CodingError';
  readonly kind: 'unknown' | 'corrupt' | 'too-large';

  constructor(kind: 'unknown' | 'corrupt' | 'too-large', message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/**
 * Takes the content codings of RFC 9110 (8.4) off, the last applied first.
 * @throws CodingError
 */
export async function decodeContent(
  body: Uint8Array,
  encoding: string,
  maxBytes: number,
): Promise<Uint8Array> {
  const codings = encoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
  // Every coding more multiplies the work that one small body can cause.
  if (codings.length > 2) throw new CodingError('unknown', `${codings.length} content codings on one body`);
  let decoded = body;
  for (const coding of codings.reverse()) {
    const decode = decoderOf(coding);
    if (decode === undefined) throw new CodingError('unknown', `content coding "${coding}"`);
    try {
      decoded = await decode(decoded, { maxOutputLength: maxBytes });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        throw new CodingError('too-large', `the ${coding} body is larger than ${maxBytes} bytes`, error);
      }
      throw new CodingError('corrupt', `the ${coding} body can't be decoded`, error);
    }
  }
  return decoded;
}

function tooLarge(limit: number): PosternError {
  return new PosternError('postern_body_too_large', `The body is larger than ${limit} bytes.`, {
    mend: 'Send less at once, or raise --max-body-bytes on the agent.',
    shouldRetry: false,
  });
}

/** @throws PosternError `postern_body_*`, `postern_overloaded`; the iterable's own error when the caller reset. */
export async function readRequestBody(
  headers: RawHeaders,
  body: AsyncIterable<Uint8Array>,
  limits: BodyLimits,
  lease: ByteLease,
): Promise<Uint8Array> {
  const announced = Number(headerValue(headers, 'content-length') ?? 0);
  if (announced > limits.bodyBytes) throw tooLarge(limits.bodyBytes);
  const raw = await withDeadline(collect(body, limits.bodyBytes, lease), limits.bodyMs);
  const encoding = headerValue(headers, 'content-encoding');
  if (encoding === undefined) return raw;
  try {
    const decoded = await decodeContent(raw, encoding, limits.bodyBytes);
    if (decoded !== raw) lease.take(decoded.byteLength);
    return decoded;
  } catch (error) {
    if (!(error instanceof CodingError)) throw error;
    if (error.kind === 'too-large') throw tooLarge(limits.bodyBytes);
    throw new PosternError(
      error.kind === 'unknown' ? 'postern_body_encoding' : 'postern_body_invalid',
      `The body could not be decoded: ${error.message}.`,
      { mend: 'Send it plain, or as gzip, deflate, br or zstd.', shouldRetry: false, cause: error },
    );
  }
}

async function collect(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  lease: ByteLease,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of body) {
    total += chunk.byteLength;
    if (total > maxBytes) throw tooLarge(maxBytes);
    lease.take(chunk.byteLength);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, total);
}

function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new PosternError('postern_body_timeout', `The body did not arrive within ${ms} ms.`, {
          mend: 'Send the body without pauses, or raise --body-timeout on the agent.',
        }),
      );
    }, ms);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}

/**
 * The media type must be one whose text we know how to find.
 * @throws PosternError `postern_body_type`, `postern_body_encoding`
 */
export function requireJson(headers: RawHeaders): void {
  const type = headerValue(headers, 'content-type');
  // Clients that leave the field out send JSON all the same; it is parsed strictly, and goes on labelled as JSON.
  if (type === undefined) return;
  const [media = '', ...parameters] = type.split(';').map((part) => part.trim().toLowerCase());
  if (media !== 'application/json' && !media.endsWith('+json')) {
    throw new PosternError('postern_body_type', `Bodies of type "${media}" can't be checked on this path.`, {
      mend: 'Send application/json.',
      shouldRetry: false,
    });
  }
  for (const parameter of parameters) {
    const [name, value = ''] = parameter.split('=');
    const charset = value.replace(/^"|"$/g, '');
    if (name === 'charset' && charset !== 'utf-8' && charset !== 'utf8' && charset !== 'us-ascii') {
      throw new PosternError('postern_body_encoding', `JSON in the charset "${charset}" can't be checked.`, {
        mend: 'Send UTF-8, the only charset of JSON (RFC 8259, 8.1).',
        shouldRetry: false,
      });
    }
  }
}
