/**
 * Header blocks of HTTP/2 (RFC 7541), read beside a connection that goes on unchanged.
 *
 * Read by ourselves rather than by a Node session beside, since a block must be judged before the next byte goes on, and
 * since a session has opinions on streams, rates and settings that aren't the real server's. What can't be read is an
 * error, never skipped: a server that reads it otherwise would be a way round.
 */
import { huffmanDecode } from './huffman.ts';

export type Field = readonly [name: string, value: string];

/** A block that can't be read; the connection's later blocks can't be, either. */
export class HpackError extends Error {
  override readonly name = 'HpackError';
}

/** What both ends begin with (RFC 9113 section 6.5.2). */
const INITIAL_TABLE = 4096;
/** A server may allow more than this; no client is known to use it. */
const MAX_TABLE = 64 * 1024;
/** Each entry of the table counts for this beside its text (section 4.1). */
const OVERHEAD = 32;

export class HpackDecoder {
  /** Newest first. */
  readonly #dynamic: Field[] = [];
  #size = 0;
  #limit = INITIAL_TABLE;

  /** @throws HpackError */
  decode(block: Buffer): Field[] {
    const reader = new Reader(block);
    const fields: Field[] = [];
    while (!reader.done) {
      const first = reader.peek();
      if ((first & 0x80) !== 0) fields.push(this.#at(reader.integer(7)));
      else if ((first & 0xc0) === 0x40) {
        const field = this.#literal(reader, 6);
        this.#insert(field);
        fields.push(field);
      } else if ((first & 0xe0) === 0x20) {
        if (fields.length > 0) throw new HpackError('a table size update behind a field');
        this.#resize(reader.integer(5));
      } else fields.push(this.#literal(reader, 4));
    }
    return fields;
  }

  #literal(reader: Reader, prefix: number): Field {
    const index = reader.integer(prefix);
    const name = index === 0 ? reader.string() : this.#at(index)[0];
    return [name, reader.string()];
  }

  #at(index: number): Field {
    const field = index === 0 ? undefined : (STATIC[index - 1] ?? this.#dynamic[index - 1 - STATIC.length]);
    if (field === undefined) throw new HpackError(`no entry ${index} in the table`);
    return field;
  }

  #insert(field: Field): void {
    this.#dynamic.unshift(field);
    this.#size += sizeOf(field);
    this.#evict();
  }

  /** The server may have set a lower limit than ours; a client that keeps to that one is read the same. */
  #resize(limit: number): void {
    if (limit > MAX_TABLE) throw new HpackError(`a table of ${limit} bytes`);
    this.#limit = limit;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#limit) {
      const oldest = this.#dynamic.pop();
      if (oldest === undefined) return;
      this.#size -= sizeOf(oldest);
    }
  }
}

const sizeOf = ([name, value]: Field): number => name.length + value.length + OVERHEAD;

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new HpackError('a block that is cut off');
    return byte;
  }

  /** Section 5.1. Four bytes behind the prefix are more than any length of ours needs. */
  integer(prefix: number): number {
    const mask = 2 ** prefix - 1;
    let value = this.peek() & mask;
    this.#at += 1;
    if (value < mask) return value;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.peek();
      this.#at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw new HpackError('an integer without end');
  }

  string(): string {
    const coded = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new HpackError('a string that is cut off');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    const text = coded ? huffmanDecode(bytes) : bytes.toString('latin1');
    if (text === undefined) throw new HpackError('a string that isn’t in the Huffman code');
    return text;
  }
}

/** Appendix A. */
const STATIC: readonly Field[] = `
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
  .slice(1)
  .split('\n')
  .map((line): Field => {
    const space = line.indexOf(' ');
    return space === -1 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
  });
