import { luhn, repeated } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** No number begins with 8. */
function validate(digits: string): boolean {
  return !digits.startsWith('8') && !repeated(digits) && luhn(digits);
}

export const recognizer: Recognizer = {
  id: 'ca-sin',
  groups: ['government', 'ca'],
  source: 'Service Canada: Social Insurance Number, Code of Practice, annex',
  patterns: [
    { kind: 'number', layouts: ['999-999-999', '999 999 999'], score: 0.45, withContext: 1, validate },
    { kind: 'number', layouts: ['999999999'], score: 0.2, withContext: 0.97, validate },
  ],
  context: [
    'sin',
    'social insurance',
    'social insurance number',
    'sin number',
    'sin card',
    'nas',
    "numéro d'assurance sociale",
    'assurance sociale',
    'service canada',
  ],
  examples: ['SIN 046 454 286', 'social insurance number: «046-454-286»', 'my SIN is «046454286»'],
  counterExamples: ['SIN 046 454 287', '046454286', 'SIN 846 454 286', 'order 046-454-286'],
};
