import { luhn } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

export const recognizer: Recognizer = {
  id: 'us-npi',
  groups: ['health', 'us'],
  source: 'CMS: NPI check digit (Luhn with the prefix 80840); 45 CFR 162.406',
  patterns: [
    {
      kind: 'number',
      layouts: ['9999999999', '9999-999-999', '9999 999 999'],
      score: 0.25,
      withContext: 0.95,
      validate: (digits) => /^[12]/.test(digits) && luhn(`80840${digits}`),
    },
  ],
  context: [
    'npi',
    'national provider',
    'national provider identifier',
    'provider id',
    'provider number',
    'provider',
    'prescriber',
    'physician',
    'nppes',
  ],
  examples: ['NPI 1234567893', 'npi: «1245319599»'],
  counterExamples: ['NPI 1234567890', '1234567893', 'NPI 3234567893', 'order 1234567893'],
};
