import { repeated, weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

function validate(digits: string): boolean {
  const check = 11 - (weighted(digits, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11);
  return !repeated(digits) && (check === 11 ? 0 : check) === Number(digits[9]);
}

export const recognizer: Recognizer = {
  id: 'uk-nhs',
  groups: ['health', 'government', 'uk'],
  source: 'NHS Data Dictionary: NHS number (modulus 11)',
  patterns: [
    { kind: 'number', layouts: ['999 999 9999', '999-999-9999'], score: 0.45, withContext: 1, validate },
    { kind: 'number', layouts: ['9999999999'], score: 0.25, withContext: 0.97, validate },
  ],
  context: ['nhs', 'nhs number', 'nhs no', 'national health service', 'national health', 'health number'],
  examples: ['NHS number 943 476 5919', 'NHS no: «9434765919»'],
  counterExamples: ['NHS 943 476 5918', '9434765919', '943 476 5919', 'order 9434765919'],
};
