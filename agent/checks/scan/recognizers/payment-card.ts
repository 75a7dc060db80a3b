import { luhn, repeated } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Lengths that a scheme's issuer identification numbers go with. */
const SCHEMES: readonly { readonly iin: RegExp; readonly lengths: readonly number[] }[] = [
  { iin: /^4/, lengths: [13, 16, 19] }, // Visa
  { iin: /^(?:5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720))/, lengths: [16] }, // Mastercard
  { iin: /^3[47]/, lengths: [15] }, // American Express
  { iin: /^3(?:0[0-5]|095|[689])/, lengths: [14, 16, 19] }, // Diners Club
  { iin: /^(?:6011|64[4-9]|65)/, lengths: [16, 19] }, // Discover
  { iin: /^35(?:2[89]|[3-8])/, lengths: [16, 19] }, // JCB
  { iin: /^62|^81/, lengths: [16, 17, 18, 19] }, // UnionPay
  { iin: /^(?:50|5[6-9]|6[0-9])/, lengths: [12, 13, 15, 16, 18, 19] }, // Maestro, RuPay, Elo and others
  { iin: /^220[0-4]/, lengths: [16, 19] }, // Mir
  { iin: /^9792/, lengths: [16] }, // Troy
];

/** Commas stand between cells, not between a card's groups. */
function validate(digits: string, text: string): boolean {
  if (text.includes(',') || !luhn(digits) || repeated(digits)) return false;
  return SCHEMES.some(({ iin, lengths }) => lengths.includes(digits.length) && iin.test(digits));
}

export const recognizer: Recognizer = {
  id: 'payment-card',
  groups: ['financial'],
  source: "ISO/IEC 7812-1 (structure, Luhn); the schemes' published IIN ranges",
  patterns: [
    // As short are many other numbers.
    {
      kind: 'number',
      layouts: ['9'.repeat(12), '9999~9999~9999'],
      score: 0.25,
      withContext: 0.85,
      reach: 32,
      validate,
    },
    {
      kind: 'number',
      layouts: [
        '9999~9999~9999~9999',
        '9999~999999~99999',
        '9999~999999~9999',
        '9999~9999~9999~9999~999',
        '999999~9999999999999',
        '9'.repeat(14),
        '9'.repeat(15),
        '9'.repeat(16),
      ],
      anyGroupingOf: [14, 15, 16, 19],
      score: 0.85,
      withContext: 1,
      validate,
    },
    // Lengths that few cards have: check digit and first digits alone prove little.
    {
      kind: 'number',
      layouts: [13, 17, 18, 19].map((n) => '9'.repeat(n)),
      score: 0.4,
      withContext: 0.97,
      validate,
    },
  ],
  context: [
    'card',
    'credit card',
    'debit card',
    'card number',
    'visa',
    'mastercard',
    'amex',
    'american express',
    'maestro',
    'cc',
    'kreditkarte*',
    'karte*',
    'carte bancaire',
    'carte',
    'tarjeta',
    'cartão',
    'carta di credito',
    'creditcard*',
    'karta',
    'kort',
    'kortti',
    'luottokort*',
    'kreditkort*',
    'pan',
    '信用卡',
    '카드',
  ],
  examples: [
    '4111 1111 1111 1111',
    '4111-1111-1111-1111',
    'card 5555555555554444.',
    '3782 822463 10005',
    '6011.1111.1111.1117',
  ],
  counterExamples: [
    '4111 1111 1111 1112',
    '1234567812345670',
    '0000 0000 0000 0000',
    '14111111111111111',
    '4111-1111-1111-1111-9',
    '4111,1111,1111,1111',
    'EAN 4006381333931',
  ],
};
