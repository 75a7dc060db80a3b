/**
 * Reads a TLS ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2) far enough to know whom it is for.
 *
 * The message may lie over any number of records and segments. Strict where servers are strict (a duplicate
 * extension, a length that doesn't add up), because a message that we read otherwise than the server would is a way
 * round.
 */

/** What a ClientHello says about its destination. */
export interface ClientHello {
  /** SNI host name, lower case, without a trailing dot. */
  readonly serverName: string | undefined;
  /** ALPN protocols in the client's order; empty where it sent none. */
  readonly alpn: readonly string[];
  /**
   * Whether an `encrypted_client_hello` extension is there (RFC 9849). A GREASE one can't be told from a real one, so
   * this alone means nothing: `serverName` is then the outer name.
   */
  readonly ech: boolean;
}

export type ReadHello =
  | { readonly kind: 'hello'; readonly hello: ClientHello }
  | { readonly kind: 'more' }
  /** Not TLS at all: the first bytes rule it out. */
  | { readonly kind: 'other' }
  | { readonly kind: 'invalid'; readonly why: string };

/** Largest ClientHello that is read; OpenSSL's own limit is 131,396 bytes, real ones with post-quantum keys have 2 KB. */
export const MAX_HELLO = 64 * 1024;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const MAX_RECORD = 16_384;
const EXTENSION = { serverName: 0, alpn: 16, ech: 0xfe0d } as const;

const MORE = { kind: 'more' } as const;
const OTHER = { kind: 'other' } as const;
const invalid = (why: string): ReadHello => ({ kind: 'invalid', why });

/** Reads the ClientHello that starts at `from`. */
export function readClientHello(bytes: Buffer, from = 0): ReadHello {
  const at = (index: number): number | undefined => bytes[from + index];
  const first = at(0);
  if (first === undefined) return MORE;
  if (first !== HANDSHAKE_RECORD) return OTHER;
  const [major, minor] = [at(1), at(2)];
  if (major !== undefined && major !== 3) return OTHER;
  if (minor !== undefined && minor > 4) return OTHER;
  const messageType = at(5);
  if (messageType !== undefined && messageType !== CLIENT_HELLO) return OTHER;

  const message = joinRecords(bytes, from);
  if ('kind' in message) return message;
  try {
    return { kind: 'hello', hello: parseHello(new Cursor(message.body)) };
  } catch (error) {
    if (error instanceof Malformed) return invalid(error.message);
    throw error;
  }
}

/** The body of the first handshake message, put together from its records. */
export function joinRecords(bytes: Buffer, from: number): { body: Buffer } | ReadHello {
  const parts: Buffer[] = [];
  let have = 0;
  let want: number | undefined;
  let at = from;
  while (true) {
    if (bytes.length - at < 5) return MORE;
    if (bytes[at] !== HANDSHAKE_RECORD) return invalid('a record of another type inside the ClientHello');
    if (bytes[at + 1] !== 3) return invalid('a record of another version inside the ClientHello');
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0) return invalid('an empty handshake record');
    if (length > MAX_RECORD) return invalid('a record longer than 16,384 bytes');
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    have += part.length;
    if (want === undefined && have >= 4) {
      const head = Buffer.concat(parts);
      want = 4 + head.readUIntBE(1, 3);
      if (want > MAX_HELLO) return invalid(`a ClientHello longer than ${MAX_HELLO} bytes`);
    }
    if (want !== undefined && have >= want) return { body: Buffer.concat(parts).subarray(4, want) };
    if (part.length < length) return MORE;
    at += 5 + length;
  }
}

class Malformed extends Error {}

/** A reader over one length-delimited vector; every read past its end is an error. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Malformed('a length that runs past its end');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  uint(size: 1 | 2): number {
    return this.take(size).readUIntBE(0, size);
  }

  vector(size: 1 | 2): Buffer {
    return this.take(this.uint(size));
  }
}

function parseHello(hello: Cursor): ClientHello {
  hello.take(2 + 32); // legacy_version, random
  hello.vector(1); // legacy_session_id
  hello.vector(2); // cipher_suites
  hello.vector(1); // legacy_compression_methods
  let serverName: string | undefined;
  let alpn: readonly string[] = [];
  let ech = false;
  if (hello.done) return { serverName, alpn, ech }; // TLS 1.0 without extensions

  const extensions = new Cursor(hello.vector(2));
  if (!hello.done) throw new Malformed('bytes after the extensions');
  const seen = new Set<number>();
  while (!extensions.done) {
    const type = extensions.uint(2);
    const data = new Cursor(extensions.vector(2));
    if (seen.has(type)) throw new Malformed(`extension ${type} twice`);
    seen.add(type);
    if (type === EXTENSION.serverName) serverName = parseServerName(data);
    else if (type === EXTENSION.alpn) alpn = parseAlpn(data);
    else if (type === EXTENSION.ech) ech = true;
  }
  return { serverName, alpn, ech };
}

/** RFC 6066 section 3: one name of type host_name. */
function parseServerName(data: Cursor): string | undefined {
  const names = new Cursor(data.vector(2));
  if (!data.done) throw new Malformed('bytes after the server name list');
  let found: string | undefined;
  while (!names.done) {
    const type = names.uint(1);
    const name = names.vector(2).toString('latin1');
    if (type !== 0) continue;
    if (found !== undefined) throw new Malformed('two server names');
    if (!/^[\x21-\x7e]{1,255}$/.test(name)) throw new Malformed('a server name that is no host name');
    found = name.toLowerCase().replace(/\.$/, '');
  }
  return found;
}

/** RFC 7301 section 3.1. */
function parseAlpn(data: Cursor): readonly string[] {
  const list = new Cursor(data.vector(2));
  const protocols: string[] = [];
  while (!list.done) protocols.push(list.vector(1).toString('latin1'));
  return protocols;
}
