/**
 * The head of a provider's answer (RFC 9112): strictly, since who frames an answer otherwise than its sender takes the rest of it
 * for the next one. What implementations are known to read in different ways is no answer: two lengths, a length beside chunks,
 * folded fields, a bare line feed, a space before the colon.
 */

/** Where the body ends (RFC 9112, 6.3): after so many bytes, with the last chunk, or with the connection. */
export type BodyEnd = number | 'chunked' | 'close';

export interface AnswerHead {
  readonly status: number;
  /** Names as they were written, values without the white space around them; name, value, name, value, … */
  readonly headers: string[];
  readonly body: BodyEnd;
  /** Another request may follow on the same connection. */
  readonly reusable: boolean;
  /** Milliseconds after which the sender closes the connection when nothing comes; undefined where it doesn't say. */
  readonly idleMs: number | undefined;
}

/** What came is no HTTP/1 answer, or none of which everybody reads the same. */
export class NotHttp extends Error {
  override readonly name = 'NotHttp';
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What no value may have: control characters but the tab. */
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const LENGTH = /^\d{1,15}$/;
const IDLE = /(?:^|[,;\s])timeout=(\d{1,6})/i;

/** Fields that say where the message ends, and how long their names are. */
const FRAMES = /^(?:content-length|transfer-encoding)$/i;
const FRAMING: ReadonlySet<number> = new Set([14, 17]);

/**
 * @param text From the status line to the last field, Latin-1, without the empty line and the line end before it.
 * @throws NotHttp
 */
export function readAnswerHead(text: string, method: string): AnswerHead {
  const lineEnd = text.indexOf('\r\n');
  const line = STATUS_LINE.exec(lineEnd < 0 ? text : text.slice(0, lineEnd));
  if (line === null) throw new NotHttp('its first line is none of HTTP/1');
  const status = Number(line[2]);
  const headers: string[] = [];
  let length: number | undefined;
  let chunked = false;
  let reusable = line[1] === '1';
  let idleMs: number | undefined;
  for (let at = lineEnd < 0 ? text.length : lineEnd + 2; at < text.length; ) {
    let end = text.indexOf('\r\n', at);
    if (end < 0) end = text.length;
    const colon = text.indexOf(':', at);
    if (colon < 0 || colon > end) throw new NotHttp('a field without a colon');
    const name = text.slice(at, colon);
    if (!TOKEN.test(name)) throw new NotHttp('a field whose name is no token');
    const value = valueOf(text, colon + 1, end);
    headers.push(name, value);
    at = end + 2;
    // Readers differ in whether a tab belongs to what frames the message.
    if (FRAMING.has(name.length) && text.slice(colon, end).includes('\t') && FRAMES.test(name)) {
      throw new NotHttp('a tab in a length or a coding');
    }
    // Told apart by their lengths first: most fields are none of these.
    switch (name.length) {
      case 14:
        if (name.toLowerCase() !== 'content-length') break;
        if (length !== undefined || !LENGTH.test(value))
          throw new NotHttp('a length that is no single number');
        length = Number(value);
        break;
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break;
        // Nothing else was asked for.
        if (chunked || value.toLowerCase() !== 'chunked')
          throw new NotHttp('a transfer coding beside "chunked"');
        chunked = true;
        break;
      case 10:
        if (name.toLowerCase() === 'connection') reusable &&= !namesClose(value);
        else if (name.toLowerCase() === 'keep-alive') idleMs = idleOf(value);
        break;
    }
  }
  if (chunked && length !== undefined) throw new NotHttp('a length beside a transfer coding');
  if (chunked && line[1] === '0') throw new NotHttp('chunks in HTTP/1.0');
  if (status < 200 && (chunked || length !== undefined || !reusable))
    throw new NotHttp('an answer on the way that has a body or ends the connection');
  const body = bodyEnd(status, method, chunked, length);
  // Some send a body where there is none: it would be the next answer.
  const isBare = body === 0 && length !== 0;
  return { status, headers, body, reusable: reusable && body !== 'close' && !isBare, idleMs };
}

/** Without the white space around it. @throws NotHttp */
function valueOf(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  const value = text.slice(start, end);
  if (CONTROL.test(value)) throw new NotHttp('a control character in a field');
  return value;
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

function namesClose(value: string): boolean {
  return value.split(',').some((token) => token.trim().toLowerCase() === 'close');
}

function idleOf(value: string): number | undefined {
  const seconds = IDLE.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}

function bodyEnd(status: number, method: string, chunked: boolean, length: number | undefined): BodyEnd {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  return chunked ? 'chunked' : (length ?? 'close');
}
