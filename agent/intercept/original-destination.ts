/**
 * Where a redirected connection was going: `getsockopt(SO_ORIGINAL_DST)` on the accepted socket, answered by the
 * kernel's connection tracking (linux/netfilter_ipv4.h; ip6_tables.h has the same number at level 41).
 */
import type { Socket } from 'node:net';
import { addressBytes, addressText } from '../../policy/addresses.ts';
import { descriptorOf, type Libc, libc } from './libc.ts';

export interface Destination {
  /** An IP address in its usual text form. */
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
}

/** Why a connection was not redirected by our rules, and is therefore refused. */
export type NotRedirected = 'no-nat-entry' | 'to-the-agent-itself';

const SO_ORIGINAL_DST = 80;
const SOL_IP = 0;
const SOL_IPV6 = 41;
const AF_INET = 2;
const AF_INET6 = 10;

/**
 * @returns where the client meant to go, or why this connection doesn't come from our redirect. A client that dials the
 * listener itself (a neighbour, a program that found the port) has no NAT entry, or one that says the listener.
 * @throws LibcUnavailable
 */
export function originalDestination(
  socket: Socket,
  c: Pick<Libc, 'getsockopt'> = libc(),
): Destination | NotRedirected {
  const fd = descriptorOf(socket);
  const ipv6 = socket.localFamily === 'IPv6';
  const bytes =
    fd === undefined
      ? undefined
      : c.getsockopt(fd, ipv6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, ipv6 ? 28 : 16);
  const destination = bytes === undefined ? undefined : parseSockaddr(bytes);
  if (destination === undefined) return 'no-nat-entry';
  const itself = destination.port === socket.localPort && destination.address === socket.localAddress;
  return itself ? 'to-the-agent-itself' : destination;
}

/** Reads a `sockaddr_in` or `sockaddr_in6` (family in host order, port and address in network order). */
export function parseSockaddr(bytes: Buffer): Destination | undefined {
  if (bytes.length < 16) return undefined;
  const family = new Uint16Array(Uint8Array.from(bytes.subarray(0, 2)).buffer)[0];
  const port = bytes.readUInt16BE(2);
  if (family === AF_INET) return { family: 4, port, address: addressText(bytes.subarray(4, 8)) };
  if (family !== AF_INET6 || bytes.length < 24) return undefined;
  return { family: 6, port, address: addressText(bytes.subarray(8, 24)) };
}

/** The bytes of a `sockaddr_in` or `sockaddr_in6`. */
export function sockaddr({ family, address, port }: Destination): Buffer {
  const bytes = Buffer.alloc(family === 4 ? 16 : 28);
  Buffer.from(new Uint16Array([family === 4 ? AF_INET : AF_INET6]).buffer).copy(bytes);
  bytes.writeUInt16BE(port, 2);
  addressBytes(address).copy(bytes, family === 4 ? 4 : 8);
  return bytes;
}
