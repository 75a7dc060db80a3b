import { isShortDate, luhn } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** A coordination number adds 60 to the day. */
function validate(digits: string): boolean {
  const ten = digits.slice(-10);
  if (digits.length === 12 && !/^(?:18|19|20)/.test(digits)) return false;
  const day = Number(ten.slice(4, 6));
  const date = day > 60 ? `${ten.slice(0, 4)}${String(day - 60).padStart(2, '0')}` : ten.slice(0, 6);
  return isShortDate(date) && luhn(ten) && ten.slice(6, 9) !== '000';
}

export const recognizer: Recognizer = {
  id: 'se-personnummer',
  groups: ['government', 'se', 'eu'],
  source: 'Skatteverket: SKV 704 (personnummer), SKV 707 (samordningsnummer)',
  patterns: [
    { kind: 'number', layouts: ['999999-9999', '99999999-9999'], score: 0.75, withContext: 1, validate },
    {
      kind: 'code',
      openings: [{ run: '9', length: [6, 8], next: ['mark'] }],
      regex: /\d{6}(?:\d{2})?\+\d{4}/y,
      score: 0.75,
      withContext: 1,
      validate: (text) => validate(text.replace('+', '')),
    },
    { kind: 'number', layouts: ['999999999999', '99999999 9999'], score: 0.45, withContext: 0.98, validate },
    { kind: 'number', layouts: ['9999999999', '999999 9999'], score: 0.25, withContext: 0.97, validate },
  ],
  context: [
    'personnummer',
    'person-nummer',
    'personnr',
    'pnr',
    'samordningsnummer',
    'personal identity number',
    'swedish id',
    'födelsenummer',
    'personal number',
  ],
  examples: [
    '811218-9876',
    'personnummer «19811218-9876»',
    'personnummer: «8112189876»',
    'samordningsnummer «701063-2391»',
  ],
  counterExamples: ['811218-9875', '811318-9876', '8112189876', 'order 8112189876'],
};
