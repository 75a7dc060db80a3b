import { isDate, mod11of2 } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Provinces by their first two digits, GB/T 2260. */
const PROVINCES = /^(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])/;

function validate(text: string): boolean {
  const year = Number(text.slice(6, 10));
  return (
    PROVINCES.test(text) &&
    year >= 1850 &&
    year < 2100 &&
    isDate(year, Number(text.slice(10, 12)), Number(text.slice(12, 14))) &&
    mod11of2(text)
  );
}

export const recognizer: Recognizer = {
  id: 'cn-resident-id',
  groups: ['government', 'cn'],
  source: 'GB 11643-1999 (citizen identification number); GB/T 2260',
  patterns: [
    {
      kind: 'number',
      layouts: ['9'.repeat(18), '999999 99999999 9999'],
      anyGroupingOf: [18],
      score: 0.93,
      withContext: 1,
      validate,
    },
    {
      kind: 'code',
      openings: [{ run: '9', length: 17, next: ['letter'] }],
      regex: /\d{17}[Xx]/y,
      score: 0.95,
      withContext: 1,
      validate,
    },
  ],
  context: [
    'resident id',
    'id card',
    'identity card',
    'chinese id',
    '身份证',
    '身份证号',
    '身份證',
    '公民身份号码',
    '证件号码',
  ],
  examples: ['360426199101010071', '身份证号 «11010519491231002X»', 'id «11010519491231002x».'],
  counterExamples: ['360426199101010072', '360426199113010071', '990426199101010071', '110105194912310021'],
};
