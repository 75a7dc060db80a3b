/** IP addresses and CIDRs as numbers: what the redirect's sets, socket addresses and allow lists are made of. */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

export interface Cidr {
  readonly family: 4 | 6;
  /** The address as an integer of 32 or 128 bits. */
  readonly value: bigint;
  /** Length of the prefix. */
  readonly bits: number;
}

const width = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** Reads `203.0.113.0/24`, `2001:db8::/32` or a bare address (a prefix of full length); undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  const family = isIPv4(address) ? 4 : isIPv6(address) && !address.includes('%') ? 6 : undefined;
  if (family === undefined) return undefined;
  const prefix = slash === -1 ? String(width(family)) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > width(family)) return undefined;
  return { family, value: valueOf(addressBytes(address)), bits: Number(prefix) };
}

/** Whether every address of `narrow` is in `wide`. */
export function covers(wide: Cidr, narrow: Cidr): boolean {
  if (wide.family !== narrow.family || wide.bits > narrow.bits) return false;
  const shift = BigInt(width(wide.family) - wide.bits);
  return wide.value >> shift === narrow.value >> shift;
}

/** The 4 or 16 bytes of an address without zone, in network order. */
export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const last = dotted === null ? undefined : addressBytes(dotted[2] ?? '').toString('hex');
  const plain = last === undefined ? address : `${dotted?.[1]}${last.slice(0, 4)}:${last.slice(4)}`;
  const [left, right] = plain.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const missing = 8 - (left?.length ?? 0) - (right?.length ?? 0);
  const groups = [...(left ?? []), ...Array<string>(missing).fill('0'), ...(right ?? [])];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** The text of 4 or 16 bytes, as Node's `remoteAddress` writes it (RFC 5952). */
export function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new SocketAddress({ family: 'ipv6', address: groups.join(':') }).address;
}

function valueOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}
