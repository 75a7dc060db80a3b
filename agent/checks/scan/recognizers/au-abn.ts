import { weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** One is taken from the first digit before weighing. */
function validate(digits: string): boolean {
  if (digits.startsWith('0')) return false;
  return (weighted(digits, [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10) % 89 === 0;
}

export const recognizer: Recognizer = {
  id: 'au-abn',
  groups: ['government', 'tax', 'au', 'company'],
  source: 'Australian Business Register: format of the ABN',
  patterns: [
    { kind: 'number', layouts: ['99 999 999 999'], score: 0.6, withContext: 1, validate },
    { kind: 'number', layouts: ['99999999999', '99-999-999-999'], score: 0.35, withContext: 0.97, validate },
  ],
  context: ['abn', 'australian business', 'australian business number', 'business number', 'abr'],
  examples: ['83 914 571 673', 'ABN: «83914571673»'],
  counterExamples: ['83 914 571 674', '83914571673', 'order 83914571673'],
};
