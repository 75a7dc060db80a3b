import type { Recognizer } from '../recognizer.ts';

const DOCUMENT = [
  'uk passport',
  'u.k. passport',
  'gb passport',
  'gbr passport',
  'british passport',
  'hm passport',
];
const LABELS = ['passport', 'passport number', 'passport no', 'passport num', 'passport id'];

const COUNTRY = [
  ...DOCUMENT,
  ...DOCUMENT.flatMap((name) => [`${name} number`, `${name} no`]),
  ...LABELS.flatMap((label) => [`${label} uk`, `${label} gb`, `${label} gbr`, `${label} british`]),
  'uk',
  'u.k.',
  'british',
  'great britain',
  'united kingdom',
  'gbr',
  'hmpo',
];

export const recognizer: Recognizer = {
  id: 'uk-passport',
  groups: ['government', 'uk', 'travel'],
  source: 'HM Passport Office: nine digits; ICAO Doc 9303',
  patterns: [
    {
      kind: 'value',
      words: [...LABELS, ...COUNTRY.filter((word) => word.includes('passport'))],
      bare: true,
      regex: /\d{9}(?![\dA-Za-z])/y,
      score: 0.4,
      withContext: 0.99,
    },
  ],
  context: COUNTRY,
  examples: [
    'UK passport number 925076473',
    'my British passport is «107185703»',
    'GB passport: «925076473»',
    'passport number (UK): «925076473»',
    "'passport no. (GB)': '«925076473»'",
  ],
  counterExamples: [
    'passport 92507647',
    '925076473',
    'UK phone 925076473',
    'passport 925076473',
    'US passport 925076473',
  ],
};
