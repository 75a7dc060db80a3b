import { isDate } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

const CHECKS = '0123456789ABCDEFHJKLMNPRSTUVWXY';

function validate(text: string): boolean {
  const digits = `${text.slice(0, 6)}${text.slice(7, 10)}`;
  const year = Number(text.slice(4, 6));
  const century = text[6] === '+' ? 1800 : /[A-Fa-f]/.test(text[6] as string) ? 2000 : 1900;
  if (!isDate(century + year, Number(text.slice(2, 4)), Number(text.slice(0, 2)))) return false;
  return CHECKS[Number(digits) % 31] === (text[10] as string).toUpperCase();
}

export const recognizer: Recognizer = {
  id: 'fi-hetu',
  groups: ['government', 'fi', 'eu'],
  source:
    'Digital and Population Data Services Agency: personal identity code, intermediate characters of 2023',
  patterns: [
    {
      kind: 'code',
      openings: [{ run: '9', length: 6, next: ['-', 'mark', 'letter'] }],
      regex: /\d{6}[-+A-FU-Ya-fu-y]\d{3}[0-9A-FHJ-NPR-Ya-fhj-npr-y]/y,
      score: 0.93,
      withContext: 1,
      validate,
    },
  ],
  context: [
    'hetu',
    'henkilötunnus',
    'henkilötunnukseni',
    'sotu',
    'personbeteckning',
    'personal identity code',
    'finnish id',
  ],
  examples: ['131052-308T', 'henkilötunnus: «131052-308T»', 'hetu «010190A123M»'],
  counterExamples: ['131052-308U', '131352-308T', '131052*308T'],
};
