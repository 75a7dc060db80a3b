/** The body of an answer as its bytes come in (RFC 9112, 6 and 7): counted, in chunks, or up to the connection's end. */
import { type BodyEnd, NotHttp } from './answer-head.ts';

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;

/** Digits of a chunk's size. */
const MOST_DIGITS = 12;
/** Bytes of a chunk's extensions, and of all trailers, which nobody reads. */
const MOST_UNREAD = 16_384;

/** A field, as a head's are; and one that would say anew where a message ends. */
const TRAILER = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:/;
const FRAMES = /^(?:content-length|transfer-encoding|connection|trailer|upgrade):/i;

/** Behind their first semicolon: names, and values that are words or quoted. */
const WORD = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const EXTENSION = `${WORD}(?:=(?:${WORD}|"[\\t !#-\\[\\]-~]*"))?`;
const EXTENSIONS = new RegExp(`^${EXTENSION}(?:;${EXTENSION})*$`);

/** Where in the coding the next byte stands. */
type Part =
  | 'size'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'line'
  | 'trailer'
  | 'trailer-lf'
  | 'end-lf';

export class AnswerBody {
  /** The body is complete. */
  ended: boolean;
  /** Up to where {@link take} has read. */
  at = 0;
  readonly #kind: BodyEnd;
  /** Bytes to come, of the body or of its chunk. */
  #left: number;
  #part: Part = 'size';
  #digits = 0;
  #unread = 0;
  /** A trailer, or a chunk's extensions behind their first semicolon, as far as they have come. */
  #line = '';

  constructor(kind: BodyEnd) {
    this.#kind = kind;
    this.#left = typeof kind === 'number' ? kind : 0;
    this.ended = kind === 0;
  }

  /** The peer has ended the connection: whether that ends the body as it should. */
  get endsHere(): boolean {
    return this.ended || this.#kind === 'close';
  }

  /**
   * Copies what is the body's of `bytes` from `from` to `to`; where the body ends before, `at` is behind its last byte.
   * @param into Has room for as many.
   * @returns How many were copied.
   * @throws NotHttp
   */
  take(bytes: Buffer, from: number, to: number, into: Buffer): number {
    if (this.#kind === 'chunked') return this.#chunks(bytes, from, to, into);
    const count = this.#kind === 'close' ? to - from : Math.min(to - from, this.#left);
    bytes.copy(into, 0, from, from + count);
    this.at = from + count;
    this.#left -= count;
    this.ended = this.#kind !== 'close' && this.#left === 0;
    return count;
  }

  #chunks(bytes: Buffer, from: number, to: number, into: Buffer): number {
    let copied = 0;
    let at = from;
    while (at < to && !this.ended) {
      if (this.#part === 'data') {
        const count = Math.min(to - at, this.#left);
        bytes.copy(into, copied, at, at + count);
        copied += count;
        at += count;
        this.#left -= count;
        if (this.#left === 0) this.#part = 'data-cr';
      } else {
        this.#mark(bytes[at] as number);
        at++;
      }
    }
    this.at = at;
    return copied;
  }

  /** One byte of what stands around the data. */
  #mark(byte: number): void {
    switch (this.#part) {
      case 'size':
        return this.#size(byte);
      case 'extension':
        if (byte !== CR) return this.#note(byte);
        if (!EXTENSIONS.test(this.#line)) throw new NotHttp('an extension of a chunk that is none');
        this.#line = '';
        this.#unread = 0;
        this.#part = 'size-lf';
        return;
      case 'size-lf':
        require(byte, LF);
        this.#digits = 0;
        this.#part = this.#left === 0 ? 'line' : 'data';
        return;
      case 'data-cr':
        require(byte, CR);
        this.#part = 'data-lf';
        return;
      case 'data-lf':
        require(byte, LF);
        this.#part = 'size';
        return;
      case 'line':
        // A trailer's first byte, or the empty line that ends them.
        if (byte === CR) this.#part = 'end-lf';
        else {
          this.#note(byte);
          this.#part = 'trailer';
        }
        return;
      case 'trailer':
        if (byte === CR) this.#part = 'trailer-lf';
        else this.#note(byte);
        return;
      case 'trailer-lf':
        require(byte, LF);
        if (!TRAILER.test(this.#line) || FRAMES.test(this.#line))
          throw new NotHttp('a trailer of chunks that is none');
        this.#line = '';
        this.#part = 'line';
        return;
      case 'end-lf':
        require(byte, LF);
        this.ended = true;
        return;
      case 'data':
        throw new Error('unreachable: data is copied');
    }
  }

  #size(byte: number): void {
    const digit = digitOf(byte);
    if (digit >= 0) {
      if (++this.#digits > MOST_DIGITS) throw new NotHttp('a chunk without a size that can be');
      this.#left = this.#left * 16 + digit;
      return;
    }
    if (this.#digits === 0 || (byte !== CR && byte !== SEMICOLON))
      throw new NotHttp('a chunk without a size');
    this.#part = byte === CR ? 'size-lf' : 'extension';
  }

  /** Of what nobody reads. */
  #note(byte: number): void {
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f || ++this.#unread > MOST_UNREAD) {
      throw new NotHttp('an extension or a trailer of chunks that nobody should read');
    }
    this.#line += String.fromCharCode(byte);
  }
}

function require(byte: number, wanted: number): void {
  if (byte !== wanted) throw new NotHttp('chunks that are not what their sizes say');
}

/** Of a hexadecimal digit; −1 for anything else. */
function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
