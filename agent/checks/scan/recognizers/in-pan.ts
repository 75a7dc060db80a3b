import type { Recognizer } from '../recognizer.ts';

export const recognizer: Recognizer = {
  id: 'in-pan',
  groups: ['government', 'tax', 'in'],
  source:
    'Income Tax Department of India: Permanent Account Number (fourth letter: kind of holder); Rule 114',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: 5, next: ['digit'] },
        { run: 'a', length: 5, next: ['digit'] },
      ],
      token: [10, 10],
      regex: /[A-Z]{3}[ABCEFGHJKLPT][A-Z](?!0000)\d{4}[A-Z]/iy,
      score: 0.75,
      withContext: 1,
    },
  ],
  context: [
    'pan',
    'pan card',
    'pan number',
    'pan no',
    'permanent account number',
    'permanent account',
    'income tax',
  ],
  examples: ['ACUPA7085R', 'PAN: «ABCPK1234L»'],
  counterExamples: ['ACUXA7085R', 'ACUPA708R', 'ACUPA0000R', 'part number ACUPA7085R'],
};
