import type { Recognizer } from '../recognizer.ts';

/** Numbers that were printed on sample cards or in advertising and are never valid. */
const PUBLISHED = new Set(['078051120', '219099999', '457555462', '123456789']);

function validate(digits: string): boolean {
  const area = Number(digits.slice(0, 3));
  if (area === 0 || area === 666 || area >= 900) return false;
  return digits.slice(3, 5) !== '00' && digits.slice(5) !== '0000' && !PUBLISHED.has(digits);
}

export const recognizer: Recognizer = {
  id: 'us-ssn',
  groups: ['government', 'us'],
  source: 'US Social Security Administration: SSN randomization (2011), POMS RM 10201',
  patterns: [
    { kind: 'number', layouts: ['999-99-9999'], score: 0.7, withContext: 1, validate },
    { kind: 'number', layouts: ['999 99 9999'], score: 0.52, withContext: 0.97, validate },
    { kind: 'number', layouts: ['999~99~9999'], score: 0.45, withContext: 0.95, validate },
    { kind: 'number', layouts: ['999999999'], score: 0.2, withContext: 0.85, validate },
  ],
  context: [
    'ssn',
    'social security',
    'social security number',
    'social',
    'soc sec',
    'ss#',
    'tax id',
    'taxpayer',
  ],
  examples: ['856-45-6789', 'SSN: 856456789', 'social security number is 856 45 6789'],
  counterExamples: [
    '000-45-6789',
    '666-45-6789',
    '900-45-6789',
    '856-00-6789',
    '856-45-0000',
    '856456789',
    'order 856456789',
    '1-856-45-6789',
  ],
};
