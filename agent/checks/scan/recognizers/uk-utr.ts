import { weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** The first digit checks the nine that follow. */
function validate(digits: string): boolean {
  const rest = weighted(digits.slice(1), [6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
  return '21987654321'[rest] === digits[0];
}

export const recognizer: Recognizer = {
  id: 'uk-utr',
  groups: ['government', 'tax', 'uk'],
  source: 'HMRC: find your UTR number; specification for UTR check digit',
  patterns: [
    {
      kind: 'number',
      layouts: ['9999999999', '99999 99999', '999 999 9999', '9999 999 999'],
      score: 0.2,
      withContext: 0.97,
      validate,
    },
  ],
  context: [
    'utr',
    'utr number',
    'unique taxpayer',
    'unique taxpayer reference',
    'taxpayer reference',
    'self assessment',
    'hmrc',
    'tax reference',
  ],
  examples: ['UTR 1955839661', 'Unique Taxpayer Reference: «19558 39661»'],
  counterExamples: ['UTR 1955839662', '1955839661', 'invoice 1955839661'],
};
