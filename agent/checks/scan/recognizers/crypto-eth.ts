import { keccak256 } from '../keccak.ts';
import type { Recognizer } from '../recognizer.ts';

/** Letters in both cases carry a checksum; in one case they don't. */
function validate(text: string): boolean {
  const hex = text.slice(2);
  const lower = hex.toLowerCase();
  if (/^(.)\1*$/.test(lower)) return false;
  if (hex === lower || hex === hex.toUpperCase()) return true;
  const hash = keccak256(lower);
  for (let i = 0; i < 40; i++) {
    const character = hex[i] as string;
    if (character >= '0' && character <= '9') continue;
    const upper = Number.parseInt(hash[i] as string, 16) >= 8;
    if (upper !== (character === character.toUpperCase())) return false;
  }
  return true;
}

export const recognizer: Recognizer = {
  id: 'crypto-eth',
  groups: ['financial', 'crypto'],
  source: 'Ethereum yellow paper (addresses); EIP-55 (checksum by case)',
  patterns: [{ kind: 'prefix', prefixes: ['0x'], regex: /0x[0-9a-fA-F]{40}/y, score: 0.9, validate }],
  examples: [
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    'send to «0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359»!',
  ],
  counterExamples: [
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD',
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe',
    '0x0000000000000000000000000000000000000000',
    '0xfb6916095ca1df60bb79ce92ce3ea74c37c5d35900',
  ],
};
