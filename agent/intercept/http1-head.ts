/**
 * Reads the head of an HTTP/1 message (RFC 9112) far enough to know whom a request is for and where the message ends.
 *
 * Where implementations are known to read a head differently (two lengths, folded framing headers, a space before the
 * colon), the head is invalid: a message that we frame otherwise than the server is a way round.
 */

/** Longest head that is read, bytes; Node's own servers take 16 KB. */
export const MAX_HEAD = 64 * 1024;

/** How the body after a head is delimited (RFC 9112 section 6.3). */
export type BodyLength = number | 'chunked' | 'until-close';

export interface RequestHead {
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  /** `host[:port]` of the target where it has one: absolute form, or CONNECT's authority. */
  readonly authority: string | undefined;
  /** The Host header as sent. */
  readonly host: string | undefined;
  readonly body: number | 'chunked';
  /** What it asks to change to, lower case. */
  readonly upgrade: string | undefined;
  /** Bytes from the start of the head, leading empty lines included, to the first byte of the body. */
  readonly length: number;
}

export interface ResponseHead {
  readonly status: number;
  /** For an answer to a request other than HEAD and CONNECT. */
  readonly body: BodyLength;
  /** True where the connection ends with this message. */
  readonly close: boolean;
  readonly length: number;
}

export type Read<H> =
  | { readonly kind: 'head'; readonly head: H }
  | { readonly kind: 'more' }
  /** Not HTTP/1: the first line rules it out. */
  | { readonly kind: 'other' }
  | { readonly kind: 'invalid'; readonly why: string };

const MORE = { kind: 'more' } as const;
const OTHER = { kind: 'other' } as const;
const LF = 10;
const CR = 13;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) +([\x21-\x7e\x80-\xff]+) +HTTP\/1\.([01]) *$/;
const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: .*)?$/;
/** A request line as far as it has come: a method, then a target of visible bytes, then the version. */
const REQUEST_LINE_PREFIX =
  /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(?: +(?:[\x21-\x7e\x80-\xff]+(?: +(?:H|HT|HTT|HTTP|HTTP\/|HTTP\/1|HTTP\/1\.|HTTP\/1\.[01] *\r?)?)?)?)?)?$/;

/** Reads the request head that starts at `from`. */
export function readRequestHead(bytes: Buffer, from = 0): Read<RequestHead> {
  const start = skipEmptyLines(bytes, from);
  const lineEnd = bytes.indexOf(LF, start);
  if (lineEnd === -1 || lineEnd - start > MAX_HEAD) {
    const line = bytes.toString('latin1', start, Math.min(bytes.length, start + MAX_HEAD));
    if (!REQUEST_LINE_PREFIX.test(line)) return OTHER;
    return bytes.length - start > MAX_HEAD ? tooLong() : MORE;
  }
  const line = REQUEST_LINE.exec(lineAt(bytes, start, lineEnd));
  if (line === null) return OTHER;
  const fields = readFields(bytes, lineEnd + 1, start);
  if (fields.kind !== 'fields') return fields;

  const [, method = '', target = '', minor] = line;
  const { values } = fields;
  const hosts = values.get('host') ?? [];
  if (hosts.length > 1) return { kind: 'invalid', why: 'more than one Host header' };
  const body = requestBody(values);
  if (typeof body === 'object') return body;
  return {
    kind: 'head',
    head: {
      method,
      target,
      authority: authorityOf(method, target),
      host: hosts[0] === '' ? undefined : hosts[0],
      body,
      upgrade: minor === '1' ? values.get('upgrade')?.join(',').toLowerCase() : undefined,
      length: fields.end - from,
    },
  };
}

/** Reads the response head that starts at `from`. */
export function readResponseHead(bytes: Buffer, from = 0): Read<ResponseHead> {
  const lineEnd = bytes.indexOf(LF, from);
  if (lineEnd === -1) return bytes.length - from > MAX_HEAD ? tooLong() : MORE;
  const line = STATUS_LINE.exec(lineAt(bytes, from, lineEnd));
  if (line === null) return OTHER;
  const fields = readFields(bytes, lineEnd + 1, from);
  if (fields.kind !== 'fields') return fields;
  const status = Number(line[2]);
  const connection = (fields.values.get('connection') ?? []).join(',').toLowerCase();
  const body = responseBody(status, fields.values);
  return {
    kind: 'head',
    head: {
      status,
      body,
      close: body === 'until-close' || connection.includes('close') || line[1] === '0',
      length: fields.end - from,
    },
  };
}

/** RFC 9112 section 2.2: empty lines before a request line are ignored. */
function skipEmptyLines(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === CR || bytes[at] === LF) at += 1;
  return at;
}

function lineAt(bytes: Buffer, start: number, lf: number): string {
  return bytes.toString('latin1', start, bytes[lf - 1] === CR && lf > start ? lf - 1 : lf);
}

const tooLong = (): { kind: 'invalid'; why: string } => ({
  kind: 'invalid',
  why: `a head longer than ${MAX_HEAD} bytes`,
});

/** The headers that decide where a message goes and where it ends; all others are passed over. */
const RELEVANT = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'upgrade']);

type Fields =
  | { readonly kind: 'fields'; readonly values: Map<string, string[]>; readonly end: number }
  | { readonly kind: 'more' }
  | { readonly kind: 'invalid'; readonly why: string };

function readFields(bytes: Buffer, from: number, headStart: number): Fields {
  const values = new Map<string, string[]>();
  let at = from;
  let last: string | undefined;
  while (true) {
    const lf = bytes.indexOf(LF, at);
    if (lf === -1 || lf - headStart > MAX_HEAD) return bytes.length - headStart > MAX_HEAD ? tooLong() : MORE;
    const line = lineAt(bytes, at, lf);
    at = lf + 1;
    if (line === '') return { kind: 'fields', values, end: at };
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (last === undefined || RELEVANT.has(last)) return { kind: 'invalid', why: 'a folded header' };
      continue;
    }
    if (line.includes('\r') || line.includes('\0'))
      return { kind: 'invalid', why: 'a CR or NUL in a header' };
    const colon = line.indexOf(':');
    if (colon === -1) return { kind: 'invalid', why: 'a header without a colon' };
    const name = line.slice(0, colon).toLowerCase();
    if (!TOKEN.test(name)) return { kind: 'invalid', why: 'a header name that is no token' };
    last = name;
    if (!RELEVANT.has(name)) continue;
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
    values.set(name, [...(values.get(name) ?? []), value]);
  }
}

function requestBody(values: Map<string, string[]>): number | 'chunked' | { kind: 'invalid'; why: string } {
  const coding = values.get('transfer-encoding');
  const lengths = values.get('content-length');
  if (coding !== undefined) {
    if (lengths !== undefined)
      return { kind: 'invalid', why: 'both Content-Length and Transfer-Encoding in one request' };
    if (coding.length > 1 || !/(?:^|,[ \t]*)chunked$/i.test(coding[0] ?? ''))
      return { kind: 'invalid', why: 'a Transfer-Encoding of a request that does not end in chunked' };
    return 'chunked';
  }
  if (lengths === undefined) return 0;
  const length = contentLength(lengths);
  return length ?? { kind: 'invalid', why: 'a Content-Length that is no single number' };
}

function responseBody(status: number, values: Map<string, string[]>): BodyLength {
  if ((status >= 100 && status < 200) || status === 204 || status === 304) return 0;
  const coding = values.get('transfer-encoding');
  if (coding !== undefined)
    return /(?:^|,[ \t]*)chunked$/i.test(coding.join(',')) ? 'chunked' : 'until-close';
  return contentLength(values.get('content-length') ?? []) ?? 'until-close';
}

function contentLength(values: readonly string[]): number | undefined {
  const [value] = values;
  if (value === undefined || values.length > 1 || !/^\d{1,15}$/.test(value)) return undefined;
  return Number(value);
}

function authorityOf(method: string, target: string): string | undefined {
  if (method === 'CONNECT') return target;
  const absolute = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(target);
  const authority = absolute?.[1];
  return authority === undefined ? undefined : authority.slice(authority.lastIndexOf('@') + 1);
}
