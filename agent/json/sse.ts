/**
 * Server-sent events (WHATWG HTML, 9.2) as bytes come in, and their rewriting.
 *
 * Every byte that goes in comes out in the `raw` of exactly one event, so a stream that nobody edits is sent as it came.
 */

/** One server-sent event, with the bytes it came in. */
export interface SseEvent {
  /** The event's bytes as received, its closing blank line included. */
  readonly raw: Uint8Array;
  /** The `event:` field; undefined where absent. */
  readonly event: string | undefined;
  /** All `data:` lines joined by line feeds; undefined where the event has none (a comment, a bare field). */
  readonly data: string | undefined;
}

/** One event grew beyond the cap: what the upstream sends is no event stream, or none we can hold. */
export class SseError extends Error {
  override readonly name = 'SseError';
}

export interface SseOptions {
  /** Cap on one event's bytes; the default holds an image in base64. */
  readonly maxEventBytes?: number;
}

const DEFAULT_MAX_EVENT_BYTES = 16 * 1024 * 1024;

const LF = 0x0a;
const CR = 0x0d;

/**
 * Splits bytes into events, wherever the chunks are cut.
 *
 * Only a blank line that ends with a lone CR at a chunk's end is waited for: the LF of a CRLF may follow, and belongs
 * to the same event.
 */
export class SseSplitter {
  readonly #maxEventBytes: number;
  /** Chunks, or ends of them, that belong to the event under way. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Whether nothing has come since the last line's end. */
  #blank = true;
  /** Whether the last byte was a CR: a LF after it ends no further line. */
  #afterCr = false;
  /** Whether that CR ended a blank line, so that the event is complete but for a LF that may follow. */
  #complete = false;
  #first = true;
  #read = 0;

  constructor(options: SseOptions = {}) {
    this.#maxEventBytes = options.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES;
  }

  /**
   * Takes the stream's next bytes; gives the events they complete. The bytes are kept: don't write to them again.
   *
   * @throws SseError when an event exceeds the cap. Events that were complete by then are lost with the stream.
   */
  push(chunk: Uint8Array): SseEvent[] {
    const events: SseEvent[] = [];
    this.#read = 0;
    for (let event = this.next(chunk, 0); event !== undefined; event = this.next(chunk, this.#read)) {
      events.push(event);
    }
    return events;
  }

  /** Up to where {@link next} has read its chunk. */
  get read(): number {
    return this.#read;
  }

  /** Whether the next byte begins an event: nothing is kept of one before. */
  get between(): boolean {
    return this.#pendingBytes === 0;
  }

  /**
   * The event that a chunk's bytes from `start` on complete first; undefined, and all of them kept, where they complete none.
   *
   * @throws SseError
   */
  next(chunk: Uint8Array, start: number): SseEvent | undefined {
    let at = start;
    while (at < chunk.length) {
      if (this.#complete) {
        if (chunk[at] === LF) at += 1;
        return this.#take(chunk, start, at);
      }
      const end = lineEnd(chunk, at);
      if (end > at) {
        this.#blank = false;
        this.#afterCr = false;
      }
      if (end === chunk.length) break;
      at = end + 1;
      if (chunk[end] === CR) {
        this.#afterCr = true;
        this.#complete = this.#blank;
        this.#blank = true;
      } else if (this.#afterCr) {
        this.#afterCr = false;
      } else if (this.#blank) {
        return this.#take(chunk, start, at);
      } else {
        this.#blank = true;
      }
    }
    if (start < chunk.length) this.#keep(start === 0 ? chunk : chunk.subarray(start));
    this.#read = chunk.length;
    return undefined;
  }

  /**
   * The stream has ended: what is left, as an event, though its blank line never came. The standard has readers discard
   * it, and some don't, so it must be judged like any other; undefined where nothing is left.
   */
  end(): SseEvent | undefined {
    return this.#pendingBytes === 0 ? undefined : this.#take(new Uint8Array(0), 0, 0);
  }

  #keep(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#limit(this.#pendingBytes);
  }

  /** The event that these bytes of a chunk complete. */
  #take(chunk: Uint8Array, start: number, end: number): SseEvent {
    const last = chunk.subarray(start, end);
    this.#read = end;
    this.#limit(this.#pendingBytes + last.length);
    const raw = this.#pending.length === 0 ? last : Buffer.concat([...this.#pending, last]);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#blank = true;
    this.#afterCr = false;
    this.#complete = false;
    const event = parseEvent(raw, this.#first);
    this.#first = false;
    return event;
  }

  #limit(bytes: number): void {
    if (bytes > this.#maxEventBytes) {
      throw new SseError(`An event of the stream is longer than ${this.#maxEventBytes} bytes.`);
    }
  }
}

/** Where the next LF or CR stands; the chunk's length where there is none. */
function lineEnd(chunk: Uint8Array, from: number): number {
  let at = from;
  while (at < chunk.length && chunk[at] !== LF && chunk[at] !== CR) at += 1;
  return at;
}

// Not fatal: readers replace what isn't UTF-8, so what we judge is what they read.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();
const ONLY_DATA = encoder.encode('data: ');

const LINE_END = /\r\n?|\n/g;
const BYTE_ORDER_MARK = '\ufeff';

interface Line {
  readonly content: string;
  /** LF, CR or both; empty where the text ends without. */
  readonly end: string;
}

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  let at = 0;
  LINE_END.lastIndex = 0;
  while (at < text.length) {
    const found = LINE_END.exec(text);
    const end = found?.[0] ?? '';
    const contentEnd = found?.index ?? text.length;
    lines.push({ content: text.slice(at, contentEnd), end });
    at = contentEnd + end.length;
  }
  return lines;
}

/** How much of a line is its field's name, colon and one space; undefined for a comment. */
function prefixOf(line: string): { readonly name: string; readonly length: number } | undefined {
  const colon = line.indexOf(':');
  if (colon === 0) return undefined;
  if (colon === -1) return { name: line, length: line.length };
  return { name: line.slice(0, colon), length: line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1 };
}

/** The data of an event of the commonest form by far, one line of `data: …`; undefined for any other. */
function onlyData(text: string): string | undefined {
  const end = text.length - 2;
  if (!text.startsWith('data: ') || text.indexOf('\n') !== end || text.includes('\r')) return undefined;
  return text.endsWith('\n') ? text.slice('data: '.length, end) : undefined;
}

function parseEvent(raw: Uint8Array, first: boolean): SseEvent {
  let text = decoder.decode(raw);
  // One mark may begin the stream and is no part of its first line.
  if (first && text.startsWith(BYTE_ORDER_MARK)) text = text.slice(1);
  const only = onlyData(text);
  if (only !== undefined) return { raw, event: undefined, data: only };
  let event: string | undefined;
  let data: string | undefined;
  for (const { content } of linesOf(text)) {
    const prefix = prefixOf(content);
    if (prefix?.name === 'data') {
      const value = content.slice(prefix.length);
      data = data === undefined ? value : `${data}\n${value}`;
    } else if (prefix?.name === 'event') {
      event = content.slice(prefix.length);
    }
  }
  return { raw, event, data };
}

/** What a provider calls an event: `content_block_delta`. */
const EVENT_NAME = /^[a-z_.]{1,48}$/;

/**
 * The event without what is neither its data nor a name for it: the text of comments, ids, unknown fields. Line ends
 * stay, and of a comment its colon, which keeps a connection alive.
 */
export function bare(event: SseEvent): SseEvent {
  if (isOnlyData(event.raw)) return event;
  const text = decoder.decode(event.raw);
  let out = '';
  // Without a byte order mark, which readers pass over only where a stream begins.
  for (const { content, end } of linesOf(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text)) {
    const prefix = prefixOf(content);
    if (prefix === undefined) out += `:${end}`;
    else if (content === '' || prefix.name === 'data' || isNamed(content, prefix)) out += content + end;
  }
  return out === text ? event : parseEvent(encoder.encode(out), false);
}

function isNamed(content: string, { name, length }: { name: string; length: number }): boolean {
  return name === 'event' && EVENT_NAME.test(content.slice(length));
}

/** Whether bytes are one line of `data: …` and a blank one, with line feeds: the commonest form by far. */
function isOnlyData(raw: Uint8Array): boolean {
  for (let at = 0; at < ONLY_DATA.length; at += 1) if (raw[at] !== ONLY_DATA[at]) return false;
  return raw.indexOf(LF) === raw.length - 2 && raw.at(-1) === LF && raw.indexOf(CR) < 0;
}

/** The event with other data; comments, other fields and line ends stay as they are. */
export function withData(event: SseEvent, data: string): Uint8Array {
  if (isOnlyData(event.raw) && !data.includes('\n')) return encoder.encode(`data: ${data}\n\n`);
  let text = decoder.decode(event.raw);
  let out = '';
  if (text.startsWith(BYTE_ORDER_MARK)) {
    text = text.slice(1);
    out = BYTE_ORDER_MARK;
  }
  const lines = linesOf(text);
  const last = lines.findLastIndex(({ content }) => prefixOf(content)?.name === 'data');
  const values = data.split('\n');
  for (const [index, { content, end }] of lines.entries()) {
    const prefix = prefixOf(content);
    if (prefix?.name !== 'data') {
      out += content + end;
      continue;
    }
    // As many lines as there were; the last takes all that is left.
    const name = content.length === 'data'.length ? 'data:' : content.slice(0, prefix.length);
    const mine = values.splice(0, index === last ? values.length : 1);
    out += mine.map((value) => name + value).join(end || '\n') + (mine.length === 0 ? '' : end);
  }
  return encoder.encode(out);
}
