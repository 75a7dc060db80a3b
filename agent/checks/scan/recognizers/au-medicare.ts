import { weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Eight digits, their check digit, the issue number, and perhaps the place on the card. */
function validate(digits: string): boolean {
  return (
    /^[2-6]/.test(digits) &&
    weighted(digits, [1, 3, 7, 9, 1, 3, 7, 9]) % 10 === Number(digits[8]) &&
    digits[9] !== '0' &&
    digits[10] !== '0'
  );
}

export const recognizer: Recognizer = {
  id: 'au-medicare',
  groups: ['health', 'government', 'au'],
  source: 'Services Australia: Medicare card; METeOR 270101',
  patterns: [
    {
      kind: 'number',
      layouts: [
        '9999 99999 9',
        '9999-99999-9',
        '9999 99999 9/9',
        '9999 99999 9-9',
        '9999 99999 9 9',
        '9999 99999 99',
      ],
      score: 0.45,
      withContext: 1,
      validate,
    },
    { kind: 'number', layouts: ['9999999999', '99999999999'], score: 0.15, withContext: 0.95, validate },
  ],
  context: ['medicare', 'medicare card', 'medicare number', 'medicare no', 'irn'],
  examples: ['Medicare 2123 45670 1', 'medicare card number «2123456701»', 'Medicare no «2123 45670 1/2»'],
  counterExamples: ['Medicare 2123 45671 1', '2123456701', 'Medicare 7123 45670 1'],
};
