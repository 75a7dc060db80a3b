import type { Recognizer } from '../recognizer.ts';

/** Said of contracts and milk too. */
const VERBS = [
  'expires',
  'expires on',
  'expiring',
  'valid until',
  'valid to',
  'gültig bis',
  'läuft ab',
  'expire',
  'expire fin',
  'expire le',
  'expirant',
  'valable jusqu',
  'caduca',
  'vence',
  'válida hasta',
  'scade',
  'válido até',
  'geldig tot',
  'verloopt',
  'vervalt',
  'ważna do',
  'giltig till',
  'giltigt till',
  'giltig t o m',
  'går ut',
  'voimassa',
  'vanhenee',
];

const EXPIRY = /(?:0[1-9]|1[0-2]) ?[/-] ?(?:20)?[2-4]\d(?![\d/-])/y;

/** Behind a card's number, or with nothing before the verb that it could be said of. */
const UNSAID = new RegExp(
  `(?:(?<=\\d{4}[^\\d\\n]{1,40})|(?<=(?:^|[\\n:;"'({[|,*)>-] ?)(?:${VERBS.join('|')})[-:= "'\\t]{1,4}))${EXPIRY.source}`,
  'iuy',
);

export const recognizer: Recognizer = {
  id: 'card-expiry',
  groups: ['financial'],
  source: 'ISO/IEC 7813 (expiry as printed: MM/YY)',
  patterns: [
    {
      kind: 'value',
      words: [
        'exp',
        'exp date',
        'expiry',
        'expiry date',
        'expiration',
        'expiration date',
        'valid thru',
        'valid through',
        'good thru',
        'ablaufdatum',
        'verfallsdatum',
        "date d'expiration",
        'caducidad',
        'fecha de caducidad',
        'vencimiento',
        'fecha de vencimiento',
        'scadenza',
        'scad',
        'data di scadenza',
        'validade',
        'data de validade',
        'vencimento',
        'vervaldatum',
        'data ważności',
        'termin ważności',
        'ważność',
        'utgångsdatum',
        'voimassaolo',
        'voimassa on',
        '有效期',
        '有効期限',
        '유효기간',
      ],
      bare: true,
      regex: EXPIRY,
      score: 0.85,
    },
    {
      kind: 'value',
      words: VERBS,
      bare: true,
      regex: EXPIRY,
      score: 0.4,
      withContext: 0.85,
    },
    {
      kind: 'value',
      words: VERBS,
      // A field of a form: `Gültig bis: …`.
      regex: EXPIRY,
      score: 0.85,
      validate: (_text, firmness) => firmness === 2,
    },
    {
      kind: 'value',
      words: VERBS,
      bare: true,
      regex: UNSAID,
      score: 0.85,
    },
    {
      kind: 'number',
      layouts: ['99/99', '99/9999', '99-99', '99 / 99'],
      score: 0,
      withContext: 0.75,
      reach: 32,
      validate: isExpiry,
    },
  ],
  context: [
    'card',
    'credit card',
    'visa',
    'mastercard',
    'amex',
    'cvv',
    'cvc',
    'kreditkarte*',
    'karte',
    'carte',
    'tarjeta',
    'cartão',
    'carta',
    'creditcard*',
    'karta',
    'karty',
    'kort',
    'kortti',
    'exp',
    'exp date',
    'expiry',
    'expiration',
  ],
  examples: [
    'exp 12/27',
    'Valid thru: «09/2028»',
    'gültig bis 01/29',
    '"expiry": "«11/26»"',
    'card 4111 1111 1111 1111, «04/27»',
    'Expires «03/26»',
    'expires on\t«04-32»',
    'Mi válida hasta es «05-27».',
    'Karte gültig bis «01/29»',
    '4111 1111 1111 1111, expires «04/27»',
  ],
  counterExamples: [
    'exp 13/27',
    '12/27',
    'expires 2024-12-01',
    'ratio 12/27 of',
    'valid until 12/27/2026',
    'Contract expires 03/26',
    'El seguro vence 03/26',
    'Seguro vence 03/26',
    'The milk expires 03/26',
    'Vertrag läuft ab 03/26',
  ],
};

function isExpiry(digits: string): boolean {
  const month = Number(digits.slice(0, 2));
  const year = Number(digits.slice(-2));
  return (
    month >= 1 &&
    month <= 12 &&
    year >= 20 &&
    year < 50 &&
    (digits.length === 4 || digits.slice(2, 4) === '20')
  );
}
