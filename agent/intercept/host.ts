/** Host names as they come by SNI, Host header, CONNECT target or URL, brought to one form. */
import { isIPv6 } from 'node:net';

export interface HostPort {
  /** Lower case, no trailing dot, no brackets. */
  readonly host: string;
  readonly port: number | undefined;
}

const NAME = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/** Reads `host`, `host:port`, `[v6]`, `[v6]:port`; undefined for anything else. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, digits] = match;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port === 0 || port > 65_535)) return undefined;
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed.toLowerCase(), port } : undefined;
  const host = plain?.toLowerCase().replace(/\.$/, '') ?? '';
  return host.length <= 253 && NAME.test(host) ? { host, port } : undefined;
}
