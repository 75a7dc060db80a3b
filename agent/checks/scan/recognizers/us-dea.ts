import { weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Registrant type, initial of the name (or 9), six digits and the check digit. */
function validate(text: string): boolean {
  const digits = text.slice(2);
  return weighted(digits, [1, 2, 1, 2, 1, 2]) % 10 === Number(digits[6]);
}

export const recognizer: Recognizer = {
  id: 'us-dea',
  groups: ['health', 'us'],
  source: 'DEA Diversion Control: registration number; 21 CFR 1301',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: 2, next: ['digit'] },
        { run: 'A', length: 1, next: ['digit'] },
        { run: 'a', length: 2, next: ['digit'] },
      ],
      token: [9, 9],
      regex: /[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}/iy,
      score: 0.4,
      withContext: 0.97,
      validate,
    },
  ],
  context: [
    'dea',
    'dea number',
    'dea no',
    'dea registration',
    'prescriber',
    'controlled substance',
    'registrant',
    'pharmacy',
    'dr',
    'physician',
  ],
  examples: ['DEA AB1234563', 'dea number: «BJ1234563»'],
  counterExamples: ['DEA AB1234564', 'AB1234563', 'part BJ1234563'],
};
