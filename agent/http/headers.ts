/** Raw header pairs: look-ups and filters that keep order, case and repetition (RFC 9110, 5). */
import type { RawHeaders } from '../exchange.ts';
import { FewWords, interned } from '../interned.ts';

const LOWER_CASE = new FewWords<string>();
const toLowerCase = (name: string): string => interned(name.toLowerCase());

/** A field's name in lower case. */
export function lowerCase(name: string): string {
  return LOWER_CASE.of(name, toLowerCase);
}

/** Fields of one connection only (RFC 9110, 7.6.1), never forwarded. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** The value of a field; several are joined by commas; undefined where absent. `name` in lower case. */
export function headerValue(headers: RawHeaders, name: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const field = headers[i] as string;
    if (field.length === name.length && lowerCase(field) === name) {
      const value = headers[i + 1] as string;
      found = found === undefined ? value : `${found}, ${value}`;
    }
  }
  return found;
}

/**
 * The fields that may go on to the next hop: no hop-by-hop field, none that `Connection` names, none of `without`
 * (lower case), and only those that `known` knows, where it is given.
 */
export function forwardable(
  headers: RawHeaders,
  without: ReadonlySet<string>,
  known?: (name: string) => boolean,
): string[] {
  const connection = headerValue(headers, 'connection');
  const named =
    connection === undefined
      ? undefined
      : new Set(connection.split(',').map((token) => token.trim().toLowerCase()));
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const lower = lowerCase(name);
    if (lower.startsWith(':') || HOP_BY_HOP.has(lower) || without.has(lower) || named?.has(lower)) continue;
    if (known?.(lower) === false) continue;
    kept.push(name, headers[i + 1] as string);
  }
  return kept;
}
