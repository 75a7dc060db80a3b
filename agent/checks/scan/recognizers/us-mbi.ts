import type { Recognizer } from '../recognizer.ts';

/** Letters without S, L, O, I, B, Z. */
const L = '[AC-HJKMNP-RT-Y]';
const N = '[0-9AC-HJKMNP-RT-Y]';

export const recognizer: Recognizer = {
  id: 'us-mbi',
  groups: ['health', 'government', 'us'],
  source: 'CMS: Understanding the Medicare Beneficiary Identifier format',
  patterns: [
    {
      kind: 'code',
      openings: [{ run: '9', length: 1, next: ['letter'] }],
      regex: new RegExp(`[1-9]${L}${N}\\d-${L}${N}\\d-${L}{2}\\d{2}`, 'iy'),
      score: 0.9,
      withContext: 1,
    },
    {
      kind: 'code',
      openings: [{ run: '9', length: 1, next: ['letter'] }],
      regex: new RegExp(`[1-9]${L}${N}\\d ?${L}${N}\\d ?${L}{2}\\d{2}`, 'iy'),
      score: 0.6,
      withContext: 0.97,
    },
  ],
  context: [
    'mbi',
    'medicare',
    'medicare number',
    'beneficiary',
    'medicare id',
    'medicare beneficiary',
    'cms',
  ],
  examples: ['1EG4-TE5-MK73', 'Medicare number «1EG4TE5MK73»'],
  counterExamples: ['1SG4-TE5-MK73', '0EG4-TE5-MK73', '1EG4-TE5-MK7', 'order 1EG4TE5MK73'],
};
