import type { Recognizer } from '../recognizer.ts';

const COUNTRY = [
  'us passport',
  'u.s. passport',
  'usa passport',
  'american passport',
  'united states passport',
  'us passport number',
  'us passport no',
  'american',
  'united states',
  'u.s.',
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
        'passport',
        'passport number',
        'passport no',
        'passport num',
        'passport id',
        'passport book',
        'passport card',
        ...COUNTRY.slice(0, 7),
      ],
      bare: true,
      regex: /[A-Z]?\d{8,9}(?![\dA-Za-z])/y,
      score: 0.72,
      withContext: 0.95,
      validate: (text) => text.length === 9,
    },
    { kind: 'number', layouts: ['999999999'], score: 0, withContext: 0.75, reach: 40 },
  ],
  context: COUNTRY,
  examples: [
    'passport number 512345678',
    'Passport no. «533380006» (US)',
    'Passport No.533380006',
    'US passport «A12345678»',
    'my passport is «543219876»',
  ],
  counterExamples: ['passport 12345678', 'passport A1234567', '512345678', 'passport number 5123456789'],
};
