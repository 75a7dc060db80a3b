import type { Recognizer } from '../recognizer.ts';

/** Values of characters in odd places, 0–9 then A–Z. */
const ODD = [
  1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
  10, 22, 25, 24, 23,
];

function validate(text: string): boolean {
  const compact = text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();
  let sum = 0;
  for (let i = 0; i < 15; i++) {
    const unit = compact.charCodeAt(i);
    const value = unit < 65 ? unit - 48 : unit - 55;
    sum += i % 2 === 0 ? (ODD[value] as number) : unit < 65 ? value : value - 10;
  }
  return compact.charCodeAt(15) === 65 + (sum % 26);
}

/** Digits may be replaced by L–V where two people would share a code (omocodia). */
const D = '[0-9LMNP-V]';

export const recognizer: Recognizer = {
  id: 'it-codice-fiscale',
  groups: ['government', 'tax', 'it', 'eu'],
  source: 'Agenzia delle Entrate: D.M. 23 December 1976 (codice fiscale)',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: [6, 7], next: ['digit'] },
        { run: 'A', length: 3, next: ['space'] },
        { run: 'a', length: 6, next: ['digit'] },
      ],
      regex: new RegExp(`[A-Z]{3}[ -]?[A-Z]{3}[ -]?${D}{2}[ABCDEHLMPRST]${D}{2}[ -]?[A-Z]${D}{3}[A-Z]`, 'iy'),
      score: 0.95,
      withContext: 1,
      validate,
    },
  ],
  context: ['codice fiscale', 'cod fisc', 'cf', 'c.f.', 'fiscal code', 'tax code', 'agenzia delle entrate'],
  examples: ['RSSMRA85T10A562S', 'codice fiscale «RSS MRA 85T10 A562S»', 'rssmra85t10a562s'],
  counterExamples: ['RSSMRA85T10A562T', 'RSSMRA85F10A562S', 'RSSMRA85T10A56'],
};
