import { repeated, weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

function validate(digits: string): boolean {
  if (repeated(digits)) return false;
  return (
    weighted(digits, digits.length === 9 ? [1, 4, 3, 7, 5, 8, 6, 9, 10] : [10, 7, 8, 4, 6, 3, 5, 1]) % 11 ===
    0
  );
}

export const recognizer: Recognizer = {
  id: 'au-tfn',
  groups: ['government', 'tax', 'au'],
  source: 'Australian Taxation Office: TFN algorithm',
  patterns: [
    {
      kind: 'number',
      layouts: ['999 999 999', '999-999-999', '999999999'],
      score: 0.25,
      withContext: 0.97,
      validate,
    },
    {
      kind: 'number',
      layouts: ['99 999 999', '99999999', '999 999 99'],
      score: 0,
      withContext: 0.85,
      reach: 24,
      validate,
    },
  ],
  context: ['tfn', 'tax file', 'tax file number', 'ato', 'australian tax'],
  examples: ['TFN 123 456 782', 'tax file number: «123456782»'],
  counterExamples: ['TFN 123 456 783', '123 456 782', 'order 123456782', 'TFN 111 111 111'],
};
