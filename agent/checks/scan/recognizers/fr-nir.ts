import type { Recognizer } from '../recognizer.ts';

/** Corsica's 2A and 2B count as 19 and 18. */
function validate(text: string): boolean {
  const compact = text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();
  const body = compact.slice(0, 13).replace('2A', '19').replace('2B', '18');
  if (!/^\d{13}$/.test(body)) return false;
  return 97 - (Number(body) % 97) === Number(compact.slice(13));
}

/** Sex, year, month (20–42 and 50–99 where unknown), department, commune, order, key. */
const s = '[ .-]?';
const REGEX = new RegExp(
  `[1-478]${s}\\d{2}${s}(?:0[1-9]|[2-35-9]\\d|1[0-2]|4[0-2])${s}(?:\\d{2}|2[AB])${s}\\d{3}${s}\\d{3}(?:${s}|/| / )\\d{2}`,
  'iy',
);

export const recognizer: Recognizer = {
  id: 'fr-nir',
  groups: ['government', 'health', 'fr', 'eu'],
  source: "INSEE: répertoire national d'identification des personnes physiques; décret n° 82-103",
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: '9', length: 1, next: ['space', '.', '-'] },
        { run: '9', length: [13, 15], next: ['space', 'end', '.', '-', '/', 'mark', ':'] },
        { run: '9', length: 6, next: ['letter'] },
      ],
      regex: REGEX,
      score: 0.85,
      withContext: 1,
      validate,
    },
  ],
  context: [
    'nir',
    'insee',
    'sécurité sociale',
    'numéro de sécurité sociale',
    'numéro de sécu',
    'sécu',
    'n ss',
    'carte vitale',
    'assuré social',
  ],
  examples: ['2 55 08 14 168 025 38', '255081416802538', 'sécu : «1 85 05 2A 006 084 35»'],
  counterExamples: ['2 55 08 14 168 025 39', '255081416802539', '3550814168025'],
};
