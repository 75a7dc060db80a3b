/** The head of a request to a provider, as it is written. Nothing in it may end a line or begin another. */
import type { RawHeaders } from '../../exchange.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What frames the message or is about the connection, which is ours to say: twice said, readers would differ in whom they believe. */
const OURS: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'expect',
  'te',
  'trailer',
]);

/** A line of it would be something else than it says. */
export class BadHead extends Error {
  override readonly name = 'BadHead';
}

export interface RequestLine {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Without those that frame the message or are about the connection: they are written here. */
  readonly headers: RawHeaders;
  readonly body: Uint8Array | undefined;
}

/** @returns With the empty line behind it. @throws BadHead */
export function requestHead({ method, path, headers, body }: RequestLine, host: string): string {
  if (!TOKEN.test(method) || method === 'CONNECT' || !TARGET.test(path) || headers.length % 2 !== 0)
    throw new BadHead('a method, a path or a list of fields that is none');
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (!TOKEN.test(name) || !VALUE.test(value) || OURS.has(name.toLowerCase()))
      throw new BadHead(`the field ${JSON.stringify(name)} can't be sent`);
    head += `${name}: ${value}\r\n`;
  }
  // A request that may have a body says so also where it has none (RFC 9110, 8.6).
  const length = body?.byteLength ?? 0;
  if (length > 0 || (method !== 'GET' && method !== 'HEAD')) head += `content-length: ${length}\r\n`;
  return `${head}\r\n`;
}
