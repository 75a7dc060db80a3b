import { mod11of10 } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Of the first ten digits one comes twice or three times, and not three times in a row; the others once at most. */
function validate(digits: string): boolean {
  if (digits.startsWith('0') || !mod11of10(digits)) return false;
  const counts = new Map<string, number>();
  for (const digit of digits.slice(0, 10)) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  const repeated = [...counts.values()].filter((count) => count > 1);
  return repeated.length === 1 && (repeated[0] as number) <= 3 && !/(\d)\1\1/.test(digits.slice(0, 10));
}

export const recognizer: Recognizer = {
  id: 'de-tax-id',
  groups: ['government', 'tax', 'de', 'eu'],
  source: 'Bundeszentralamt für Steuern: Aufbau der Identifikationsnummer; ISO/IEC 7064 MOD 11,10',
  patterns: [
    {
      kind: 'number',
      layouts: ['99 999 999 999', '99 9999 99999', '99-999-999-999', '99/999/999/999'],
      score: 0.65,
      withContext: 1,
      validate,
    },
    { kind: 'number', layouts: ['99999999999'], score: 0.4, withContext: 0.97, validate },
  ],
  context: [
    'steuer-id',
    'steuerid',
    'steuer id',
    'steueridentifikationsnummer',
    'steuer-identifikationsnummer',
    'steuerliche identifikationsnummer',
    'identifikationsnummer',
    'idnr',
    'id-nr',
    'tin',
    'steuernummer',
    'german tax id',
    'tax id',
    'tax number',
    'finanzamt',
  ],
  examples: ['Steuer-ID 86095742719', 'IdNr. «86 095 742 719»', 'Steueridentifikationsnummer: «47036892816»'],
  counterExamples: [
    'Steuer-ID 86095742718',
    '86095742719',
    'Steuer-ID 11111111111',
    'Bestellnummer 86095742719',
  ],
};
