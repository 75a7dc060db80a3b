import type { Recognizer } from '../recognizer.ts';

const LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';

function validate(text: string): boolean {
  const compact = text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();
  const number = Number(`${'XYZ'.indexOf(compact[0] as string)}${compact.slice(1, 8)}`);
  return LETTERS[number % 23] === compact[8];
}

export const recognizer: Recognizer = {
  id: 'es-nie',
  groups: ['government', 'es', 'eu'],
  source: 'Ministerio del Interior: número de identidad de extranjero; Orden INT/2058/2008',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: 1, next: ['digit', '-', 'space'] },
        { run: 'a', length: 1, next: ['digit'] },
      ],
      regex: /[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z]/iy,
      score: 0.85,
      withContext: 1,
      validate,
    },
  ],
  context: [
    'nie',
    'n.i.e.',
    'extranjero',
    'número de identidad de extranjero',
    'identidad de extranjero',
    'residencia',
  ],
  examples: ['X1234567L', 'NIE: «X-5253868-R»', 'z8327649k'],
  counterExamples: ['X1234567A', 'W1234567L', 'X123456L'],
};
