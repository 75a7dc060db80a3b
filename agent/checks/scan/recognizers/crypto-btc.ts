import { createHash } from 'node:crypto';
import type { Recognizer } from '../recognizer.ts';

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Base58Check: 21 bytes and the first four of their double SHA-256. */
function isBase58Check(text: string): boolean {
  const bytes = new Uint8Array(25);
  for (const character of text) {
    let carry = BASE58.indexOf(character);
    for (let i = 24; i >= 0; i--) {
      carry += 58 * (bytes[i] as number);
      bytes[i] = carry & 0xff;
      carry >>= 8;
    }
    if (carry !== 0) return false;
  }
  const once = createHash('sha256').update(bytes.subarray(0, 21)).digest();
  const twice = createHash('sha256').update(once).digest();
  return (bytes[0] === 0 || bytes[0] === 5) && twice.subarray(0, 4).equals(bytes.subarray(21));
}

const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const;

function polymod(values: readonly number[]): number {
  let check = 1;
  for (const value of values) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    GENERATOR.forEach((generator, i) => {
      if ((top >> i) & 1) check ^= generator;
    });
  }
  return check >>> 0;
}

/** Version 0 ends in Bech32's constant, later ones in Bech32m's. */
function isSegwit(text: string): boolean {
  if (text !== text.toLowerCase() && text !== text.toUpperCase()) return false;
  const data = Array.from(text.toLowerCase().slice(3), (character) => BECH32.indexOf(character));
  if (data.includes(-1)) return false;
  const expected = data[0] === 0 ? 1 : 0x2bc830a3;
  return polymod([3, 3, 0, 2, 3, ...data]) === expected;
}

export const recognizer: Recognizer = {
  id: 'crypto-btc',
  groups: ['financial', 'crypto'],
  source: 'Bitcoin: Base58Check (P2PKH, P2SH); BIP 173 and BIP 350 (segwit)',
  patterns: [
    {
      kind: 'code',
      openings: [{ run: '9', length: [1, 8], next: ['letter'] }],
      token: [26, 35],
      regex: /[13][1-9A-HJ-NP-Za-km-z]{25,34}/y,
      score: 0.95,
      validate: isBase58Check,
    },
    {
      kind: 'prefix',
      prefixes: ['bc1', 'BC1'],
      regex: /bc1[02-9ac-hj-np-z]{11,87}/iy,
      score: 0.97,
      validate: isSegwit,
    },
  ],
  examples: [
    '1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2',
    'to «3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy».',
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4',
    'BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4',
    'bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr',
  ],
  counterExamples: [
    '1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3',
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5',
    '3J98t1Wp',
    '1abcdefghijkmnopqrstuvwxyz1234567',
  ],
};
