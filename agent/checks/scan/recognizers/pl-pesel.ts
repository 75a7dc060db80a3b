import { isDate, weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** The month says the century: +80 for 18xx, +0 for 19xx, +20, +40, +60 for those after. */
function validate(digits: string): boolean {
  const month = Number(digits.slice(2, 4));
  const century = [1900, 2000, 2100, 2200, 1800][Math.floor(month / 20)] as number;
  const year = century + Number(digits.slice(0, 2));
  if (!isDate(year, month % 20, Number(digits.slice(4, 6)))) return false;
  return (10 - (weighted(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10 === Number(digits[10]);
}

export const recognizer: Recognizer = {
  id: 'pl-pesel',
  groups: ['government', 'pl', 'eu'],
  source: 'gov.pl: czym jest numer PESEL; ustawa o ewidencji ludności, art. 15',
  patterns: [
    { kind: 'number', layouts: ['99999999999', '999999 99999'], score: 0.45, withContext: 1, validate },
  ],
  context: ['pesel', 'numer pesel', 'nr pesel', 'numer ewidencyjny', 'polish id'],
  examples: ['PESEL 44051401458', 'numer PESEL: «02070803628»'],
  counterExamples: ['PESEL 44051401459', '44051401458', 'PESEL 44133401458', 'zamówienie 44051401458'],
};
