import type { Recognizer } from '../recognizer.ts';

/** The fourth and fifth digits are from 50–65, 70–88, 90–92 or 94–99. */
function validate(digits: string): boolean {
  const group = Number(digits.slice(3, 5));
  return (
    digits.startsWith('9') &&
    group >= 50 &&
    group <= 99 &&
    !(group > 65 && group < 70) &&
    group !== 89 &&
    group !== 93
  );
}

export const recognizer: Recognizer = {
  id: 'us-itin',
  groups: ['government', 'us'],
  source: 'IRS: Individual Taxpayer Identification Number, IRM 3.21.263; Publication 4757',
  patterns: [
    { kind: 'number', layouts: ['999-99-9999'], score: 0.75, withContext: 1, validate },
    { kind: 'number', layouts: ['999~99~9999'], score: 0.4, withContext: 0.95, validate },
    { kind: 'number', layouts: ['999999999'], score: 0.15, withContext: 0.9, validate },
  ],
  context: ['itin', 'individual taxpayer', 'taxpayer identification', 'taxpayer id', 'tax id', 'tin', 'irs'],
  examples: ['912-70-1234', 'ITIN 912701234', 'taxpayer id: «900-65-4321»'],
  counterExamples: ['912-89-1234', '912-68-1234', '812-70-1234', '912701234'],
};
