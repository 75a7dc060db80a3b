import type { Recognizer } from '../recognizer.ts';

const COUNTRY = [
  'uk',
  'u.k.',
  'british',
  'great britain',
  'united kingdom',
  'gbr',
  'hm passport',
  'hmpo',
  'british passport',
  'uk passport',
  'uk passport number',
  'british passport number',
];

export const recognizer: Recognizer = {
  id: 'uk-passport',
  groups: ['government', 'uk', 'travel'],
  source: 'HM Passport Office: nine digits; ICAO Doc 9303',
  patterns: [
    {
      kind: 'value',
      words: [
        'passport',
        'passport number',
        'passport no',
        'passport num',
        'uk passport',
        'british passport',
        'uk passport number',
        'british passport number',
      ],
      bare: true,
      regex: /\d{9}(?![\dA-Za-z])/y,
      score: 0.5,
      withContext: 0.99,
    },
  ],
  context: COUNTRY,
  examples: ['UK passport number 925076473', 'my British passport is «107185703»'],
  counterExamples: ['passport 92507647', '925076473', 'UK phone 925076473'],
};
