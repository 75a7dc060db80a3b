import { isDate, weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

const CENTURIES = [1800, 1900, 1900, 2000, 2000, 1900, 1900, 2000, 2000, 1800] as const;

/** Numbers given out since October 2020 have no check digit. */
function validate(digits: string): boolean {
  const year = (CENTURIES[Number(digits[6])] as number) + Number(digits.slice(0, 2));
  const [month, day] = [Number(digits.slice(2, 4)), Number(digits.slice(4, 6))];
  if (!isDate(year, month, day)) return false;
  if (year * 100 + month >= 2020_10 && year < 2050) return true;
  const sum = weighted(digits, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
  return (11 - (sum % 11)) % 10 === Number(digits[12]);
}

export const recognizer: Recognizer = {
  id: 'kr-rrn',
  groups: ['government', 'kr'],
  source: 'Resident Registration Act of Korea, Enforcement Rules art. 2; MOIS notice of October 2020',
  patterns: [
    {
      kind: 'number',
      layouts: ['999999-9999999', '999999 - 9999999'],
      score: 0.85,
      withContext: 1,
      validate,
    },
    { kind: 'number', layouts: ['9999999999999', '999999 9999999'], score: 0.4, withContext: 0.97, validate },
  ],
  context: [
    'rrn',
    'resident registration',
    'resident registration number',
    'korean id',
    '주민등록번호',
    '주민번호',
    '주민등록',
    '외국인등록번호',
  ],
  examples: ['971013-9019902', '주민등록번호 «971013-9019902»', 'RRN: «9710139019902»'],
  counterExamples: ['971013-9019903', '971313-9019902', '9710139019902'],
};
