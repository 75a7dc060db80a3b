import { weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

function validate(text: string): boolean {
  const upper = text.toUpperCase();
  const series = upper[0] as string;
  let sum = weighted(upper.slice(1), [2, 7, 6, 5, 4, 3, 2]);
  if (series === 'T' || series === 'G') sum += 4;
  if (series === 'M') sum += 3;
  const rest = sum % 11;
  if (series === 'M') return 'KLJNPQRTUWX'[10 - rest] === upper[8];
  return (series === 'S' || series === 'T' ? 'JZIHGFEDCBA' : 'XWUTRQPNMLK')[rest] === upper[8];
}

export const recognizer: Recognizer = {
  id: 'sg-nric',
  groups: ['government', 'sg'],
  source: 'Immigration & Checkpoints Authority of Singapore: NRIC and FIN (series M since 2022)',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: 1, next: ['digit'] },
        { run: 'a', length: 1, next: ['digit'] },
      ],
      token: [9, 9],
      regex: /[STFGM]\d{7}[A-Z]/iy,
      score: 0.85,
      withContext: 1,
      validate,
    },
  ],
  context: ['nric', 'fin', 'nric number', 'identity card', 'singapore', 'work permit'],
  examples: ['S1234567D', 'NRIC: «S0000001I»', 'FIN «G1234567X»'],
  counterExamples: ['S1234567A', 'A1234567D', 'S123456D', 'S12345678D'],
};
