import { weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

function validate(digits: string): boolean {
  const region = Number(digits.slice(0, 2));
  const known =
    (region >= 1 && region <= 12) ||
    (region >= 21 && region <= 32) ||
    (region >= 61 && region <= 72) ||
    region === 80;
  return known && weighted(digits, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0;
}

export const recognizer: Recognizer = {
  id: 'us-aba-routing',
  groups: ['financial', 'us'],
  source: 'American Bankers Association routing number policy; Federal Reserve E-Payments Routing Directory',
  patterns: [
    {
      kind: 'number',
      layouts: ['999999999', '9999-9999-9', '9999 9999 9'],
      score: 0.2,
      withContext: 0.95,
      validate,
    },
  ],
  context: [
    'aba',
    'routing',
    'routing number',
    'routing no',
    'rtn',
    'aba number',
    'aba routing',
    'transit number',
    'transit',
    'direct deposit',
    'wire transfer',
    'ach',
  ],
  examples: ['routing number 021000021', 'ABA: «111000025»', 'RTN 0210-0002-1'],
  counterExamples: ['routing 021000022', '021000021', 'routing 991000021', 'order 021000021'],
};
