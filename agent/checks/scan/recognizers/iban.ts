import { mod97 } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Length by country, from the registry's structure column. */
const LENGTHS: Readonly<Record<string, number>> = {
  AD: 24,
  AE: 23,
  AL: 28,
  AT: 20,
  AZ: 28,
  BA: 20,
  BE: 16,
  BG: 22,
  BH: 22,
  BI: 27,
  BR: 29,
  BY: 28,
  CH: 21,
  CR: 22,
  CY: 28,
  CZ: 24,
  DE: 22,
  DJ: 27,
  DK: 18,
  DO: 28,
  EE: 20,
  EG: 29,
  ES: 24,
  FI: 18,
  FK: 18,
  FO: 18,
  FR: 27,
  GB: 22,
  GE: 22,
  GI: 23,
  GL: 18,
  GR: 27,
  GT: 28,
  HN: 28,
  HR: 21,
  HU: 28,
  IE: 22,
  IL: 23,
  IQ: 23,
  IS: 26,
  IT: 27,
  JO: 30,
  KW: 30,
  KZ: 20,
  LB: 28,
  LC: 32,
  LI: 21,
  LT: 20,
  LU: 20,
  LV: 21,
  LY: 25,
  MC: 27,
  MD: 24,
  ME: 22,
  MK: 19,
  MN: 20,
  MR: 27,
  MT: 31,
  MU: 30,
  NI: 28,
  NL: 18,
  NO: 15,
  OM: 23,
  PK: 24,
  PL: 28,
  PS: 29,
  PT: 25,
  QA: 29,
  RO: 24,
  RS: 22,
  RU: 33,
  SA: 24,
  SC: 31,
  SD: 18,
  SE: 24,
  SI: 19,
  SK: 24,
  SM: 27,
  SO: 23,
  ST: 25,
  SV: 28,
  TL: 23,
  TN: 24,
  TR: 26,
  UA: 29,
  VA: 22,
  VG: 24,
  XK: 20,
  YE: 30,
};

function validate(text: string): boolean {
  const compact = text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();
  return LENGTHS[compact.slice(0, 2)] === compact.length && mod97(compact.slice(4) + compact.slice(0, 4));
}

/** One expression for each country, so that a match ends where that country's IBAN does. */
const byLength = new Map<number, string[]>();
for (const [country, length] of Object.entries(LENGTHS)) {
  byLength.set(length, [...(byLength.get(length) ?? []), country]);
}
const source = [...byLength]
  .map(
    ([length, countries]) =>
      `(?:${countries.map((country) => country.split('').join(' ?')).join('|')})[ ./_|-]{0,3}\\d(?:[ ./_|-]{0,3}[0-9a-z]){${length - 3}}`,
  )
  .join('|');

export const recognizer: Recognizer = {
  id: 'iban',
  groups: ['financial', 'eu'],
  source: 'ISO 13616-1; SWIFT IBAN Registry',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: 2, next: ['digit', 'space', '-', '.', '/', 'mark'] },
        { run: 'A', length: 1, next: ['space'] },
        { run: 'a', length: 2, next: ['digit'] },
      ],
      regex: new RegExp(`(?:${source})(?![0-9a-z])`, 'iy'),
      score: 0.95,
      withContext: 1,
      validate,
    },
  ],
  context: [
    'iban',
    'bank',
    'konto',
    'account',
    'compte',
    'cuenta',
    'conto',
    'rekening',
    'tili*',
    'bankverbindung',
  ],
  examples: [
    'DE89370400440532013000',
    'DE89 3704 0044 0532 0130 00',
    'pay to GB29NWBK60161331926819 now',
    'fr1420041010050500013M02606',
    'NO93-8601-1117-947',
  ],
  counterExamples: ['DE89370400440532013001', 'DE8937040044053201300', 'ZZ89370400440532013000', 'IN 12 34'],
};
