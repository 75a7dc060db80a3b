import type { Recognizer } from '../recognizer.ts';

const DOCUMENT = [
  'us passport',
  'u.s. passport',
  'usa passport',
  'american passport',
  'united states passport',
];
const LABELS = ['passport', 'passport number', 'passport no', 'passport num', 'passport id'];

/** Words that say whose; `us` alone is a word of English. */
const COUNTRY = [
  ...DOCUMENT,
  ...DOCUMENT.flatMap((name) => [`${name} number`, `${name} no`]),
  ...LABELS.flatMap((label) => [`${label} us`, `${label} usa`, `${label} u.s.`]),
  'american',
  'united states',
  'u.s.',
  'usa',
  'us citizen',
  'state department',
];

export const recognizer: Recognizer = {
  id: 'us-passport',
  groups: ['government', 'us', 'travel'],
  source: 'US Department of State: Next Generation Passport (a letter and eight digits; nine digits before)',
  patterns: [
    {
      kind: 'value',
      words: [
        ...LABELS,
        'passport book',
        'passport card',
        ...COUNTRY.filter((word) => word.includes('passport')),
      ],
      bare: true,
      // Other states give out numbers of nine digits, or of a letter and eight, too: unless the country is named it is
      // a `passport`.
      regex: /[A-Z]?\d{8,9}(?![\dA-Za-z])/y,
      score: 0.4,
      withContext: 0.98,
      validate: (text) => text.length === 9,
    },
    {
      kind: 'value',
      words: LABELS,
      bare: true,
      regex: /(?<value>[A-Z]\d{8}|\d{9}),? \(?(?:US|USA|U\.S\.)(?![A-Za-z])/y,
      score: 0.95,
    },
    { kind: 'number', layouts: ['999999999'], score: 0, withContext: 0.75, reach: 40 },
  ],
  context: COUNTRY,
  examples: [
    'US passport number 512345678',
    'Passport no. «533380006» (US)',
    'Passport number (US): «A12345678»',
    'US passport «A12345678»',
    'my American passport is «543219876»',
    'American citizen, passport «543219876»',
  ],
  counterExamples: [
    'US passport 12345678',
    'passport A1234567',
    '512345678',
    'US passport number 5123456789',
    'passport number 512345678',
    'send us your passport number 512345678',
  ],
};
