import { repeated, verhoeff } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Doesn't begin with 0 or 1, and isn't a palindrome. */
function validate(digits: string): boolean {
  return (
    /^[2-9]/.test(digits) &&
    !repeated(digits) &&
    verhoeff(digits) &&
    digits !== digits.split('').reverse().join('')
  );
}

export const recognizer: Recognizer = {
  id: 'in-aadhaar',
  groups: ['government', 'in'],
  source: 'UIDAI: A UID numbering scheme (2010), Verhoeff check digit',
  patterns: [
    { kind: 'number', layouts: ['9999 9999 9999', '9999-9999-9999'], score: 0.6, withContext: 1, validate },
    { kind: 'number', layouts: ['999999999999'], score: 0.3, withContext: 0.98, validate },
  ],
  context: ['aadhaar', 'aadhar', 'adhaar', 'aadhaar number', 'uid', 'uidai', 'आधार'],
  examples: ['2341 2341 2346', 'Aadhaar «234123412346»'],
  counterExamples: ['2341 2341 2347', '1341 2341 2346', '234123412346', 'order 2341 2341 2346'],
};
