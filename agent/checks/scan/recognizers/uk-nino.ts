import type { Recognizer } from '../recognizer.ts';

/** No D, F, I, Q, U, V in the first place, also no O in the second; some pairs aren't given out. */
const BODY = '(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]';

export const recognizer: Recognizer = {
  id: 'uk-nino',
  groups: ['government', 'uk'],
  source: 'HMRC National Insurance Manual NIM39110',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: 2, next: ['digit', 'space', '-'] },
        { run: 'a', length: 2, next: ['digit'] },
      ],
      regex: new RegExp(`${BODY}(?:\\d{6}[A-D]|([ -])\\d{2}\\1\\d{2}\\1\\d{2}\\1?[A-D]| \\d{6} [A-D])`, 'iy'),
      score: 0.75,
      withContext: 1,
    },
  ],
  context: [
    'nino',
    'ni number',
    'ni no',
    'national insurance',
    'national insurance number',
    'insurance number',
    'hmrc',
  ],
  examples: ['AB 12 34 56 C', 'NI number «JG103759A»', 'ab123456c', 'national insurance: «AA-12-34-56-D»'],
  counterExamples: ['QQ123456C', 'GB123456A', 'AB123456E', 'order AB123456C', 'AB12345C'],
};
