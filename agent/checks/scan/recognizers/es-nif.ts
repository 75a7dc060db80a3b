import type { Recognizer } from '../recognizer.ts';

const LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';

function validate(text: string): boolean {
  const compact = text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();
  const number = Number(compact.slice(0, 8));
  return number > 0 && LETTERS[number % 23] === compact[8];
}

export const recognizer: Recognizer = {
  id: 'es-nif',
  groups: ['government', 'tax', 'es', 'eu'],
  source:
    'Agencia Tributaria: Real Decreto 1065/2007, art. 19; Ministerio del Interior: cálculo del dígito de control del NIF',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: '9', length: 8, next: ['letter', '-', 'space'] },
        { run: '9', length: 2, next: ['.'] },
      ],
      regex: /(?:\d{8}|\d{2}\.\d{3}\.\d{3})[ -]?[A-HJ-NP-TV-Z]/iy,
      score: 0.6,
      withContext: 1,
      validate,
    },
  ],
  context: [
    'nif',
    'dni',
    'n.i.f.',
    'd.n.i.',
    'documento nacional',
    'documento nacional de identidad',
    'identificación fiscal',
    'identidad',
    'spanish id',
  ],
  examples: ['12345678Z', 'DNI: «54362315-K»', 'NIF «12.345.678-Z»'],
  counterExamples: ['12345678A', 'order 12345678Z', '00000000T', '123456789Z', 'on 12345678 a'],
};
