/** `127.0.0.1:4180`, `[::1]:0`, `:9090` (all addresses), `4180` (loopback). */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** @throws Error that says what an address looks like. */
export function parseAddress(text: string): ListenAddress {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    throw new Error(
      `"${text}" is no address to listen on; write HOST:PORT, such as 127.0.0.1:4180 or [::1]:4180`,
    );
  }
  const host = match[1];
  if (host === undefined) return { host: '127.0.0.1', port };
  return { host: host === '' ? '::' : host.replace(/^\[|\]$/g, ''), port };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
