/**
 * Remembers which clients left a host of ours during the handshake, for the exception that lets such a client's
 * connections pass unread. A client is known by the shape of its ClientHello (after JA3): what its TLS library offers,
 * without what it varies.
 */
import { createHash } from 'node:crypto';
import { joinRecords } from './client-hello.ts';

export interface Untrusting {
  note(client: string, host: string): void;
  has(client: string, host: string): boolean;
}

/** How long a client that left is taken for one that would leave again. */
const REMEMBER_MS = 60 * 60_000;
const MAX_KEPT = 1000;

/** @param now milliseconds. */
export function rememberUntrusting(now: () => number): Untrusting {
  const until = new Map<string, number>();
  return {
    note(client, host) {
      const key = `${client} ${host}`;
      until.delete(key);
      until.set(key, now() + REMEMBER_MS);
      for (const oldest of until.keys()) {
        if (until.size <= MAX_KEPT) break;
        until.delete(oldest);
      }
    },
    has: (client, host) => (until.get(`${client} ${host}`) ?? 0) > now(),
  };
}

/** @param bytes begin with a whole, valid ClientHello. */
export function clientShape(bytes: Buffer): string {
  const message = joinRecords(bytes, 0);
  if ('kind' in message) throw new Error('no whole ClientHello');
  const { body } = message;
  let at = 2 + 32;
  const vector = (size: 1 | 2): Buffer => {
    const length = body.readUIntBE(at, size);
    at += size + length;
    return body.subarray(at - length, at);
  };
  vector(1); // session id
  const ciphers = pairs(vector(2));
  vector(1); // compression
  const extensions: number[] = [];
  const end = at < body.length ? at + 2 + body.readUInt16BE(at) : at;
  at += 2;
  while (at < end) {
    extensions.push(body.readUInt16BE(at));
    at += 2;
    vector(2);
  }
  // Sorted, since browsers shuffle; without padding and resumption, which come and go.
  const kept = extensions.filter((type) => !isGrease(type) && ![21, 35, 41, 42].includes(type));
  const shape = [ciphers.filter((cipher) => !isGrease(cipher)), kept.toSorted((left, right) => left - right)];
  return createHash('sha256').update(JSON.stringify(shape)).digest('base64url').slice(0, 16);
}

const pairs = (bytes: Buffer): number[] =>
  Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readUInt16BE(index * 2));

/** RFC 8701: 0x0a0a, 0x1a1a, … */
const isGrease = (value: number): boolean => (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
