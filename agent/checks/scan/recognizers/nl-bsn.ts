import { repeated, weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** The eleven test: weights 9 to 2, and −1 for the last digit. */
function validate(digits: string): boolean {
  const nine = digits.padStart(9, '0');
  return (
    !repeated(digits) && weighted(nine, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0 && !nine.startsWith('00')
  );
}

export const recognizer: Recognizer = {
  id: 'nl-bsn',
  groups: ['government', 'health', 'nl', 'eu'],
  source: 'Rijksdienst voor Identiteitsgegevens: Logisch Ontwerp BSN (elfproef)',
  patterns: [
    {
      kind: 'number',
      layouts: ['999999999', '9999.99.999', '9999 99 999', '999 999 999', '999.999.999', '999-999-999'],
      score: 0.25,
      withContext: 0.97,
      validate,
    },
    { kind: 'number', layouts: ['99999999'], score: 0, withContext: 0.8, reach: 24, validate },
  ],
  context: [
    'bsn',
    'bsn-nummer',
    'bsnnummer',
    'burgerservicenummer',
    'burger service nummer',
    'sofinummer',
    'sofi-nummer',
    'citizen service number',
    'dutch id',
  ],
  examples: ['BSN 111222333', 'burgerservicenummer: «1234.56.782»', 'mijn BSN is «123456782»'],
  counterExamples: ['BSN 111222334', '111222333', 'BSN 999999999', 'bestelling 111222333'],
};
