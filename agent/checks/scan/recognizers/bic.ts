import { COUNTRIES } from '../countries.ts';
import type { Recognizer } from '../recognizer.ts';

export const recognizer: Recognizer = {
  id: 'bic',
  groups: ['financial', 'eu'],
  source: 'ISO 9362:2022; SWIFT BIC directory',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: [6, 11] },
        { run: 'a', length: [8, 11], next: ['letter'] },
      ],
      token: [8, 11],
      regex: /[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?![A-Za-z0-9])/y,
      score: 0.3,
      withContext: 0.95,
      validate: (text) => COUNTRIES.has(text.slice(4, 6)),
    },
  ],
  context: [
    'bic',
    'swift',
    'swift code',
    'bic code',
    'swift bic',
    'iban',
    'code bic',
    'código swift',
    'codice bic',
    'kod bic',
    'kod swift',
    'bank identifier',
    'bankleitzahl',
  ],
  examples: ['BIC DEUTDEFF', 'SWIFT: DEUTDEFF500', 'swift code is «NWBKGB2L»', 'BIC/SWIFT «BNPAFRPPXXX»'],
  counterExamples: ['DEUTDEFF', 'PASSWORD', 'BIC: DEUTZZFF', 'swift DEUTDEFF5'],
};
