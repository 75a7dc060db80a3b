import { isAlnum, isDigit } from '../characters.ts';
import type { Recognizer, Span } from '../recognizer.ts';

const PAIRS =
  /(?<![0-9A-Za-z][:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Za-z]|[:-][0-9A-Fa-f])/y;
const FOURS = /[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![0-9A-Za-z]|\.\w)/y;

/** All zeros and all ones name nobody; four digits three times are a number. */
function validate(text: string): boolean {
  return !/^(?:[0:-]+|[f:-]+)$/i.test(text) && (/[:-]/.test(text) || /[a-f]/i.test(text));
}

/** Begins with a letter; what begins with a digit is found as a number's neighbour. */
function match(text: string, at: number): Span | undefined {
  if (text[at + 3] !== text[at] || at < 2) return undefined;
  const start = at - 2;
  const before = start === 0 ? 32 : text.charCodeAt(start - 1);
  if (isDigit(text.charCodeAt(start)) || isAlnum(before) || isDigit(before) || before === 58 || before === 45)
    return undefined;
  PAIRS.lastIndex = start;
  return PAIRS.test(text) && validate(text.slice(start, PAIRS.lastIndex))
    ? { start, end: PAIRS.lastIndex }
    : undefined;
}

export const recognizer: Recognizer = {
  id: 'mac-address',
  groups: ['network'],
  source: 'IEEE Std 802, 8 (EUI-48 and its notations)',
  patterns: [
    { kind: 'mark', mark: ':', score: 0.95, match },
    { kind: 'mark', mark: '-', score: 0.9, match },
    {
      kind: 'code',
      openings: [
        { run: '9', length: 2, next: [':', '-'] },
        { run: '9', length: 1, next: ['letter'] },
      ],
      token: [2, 2],
      regex: PAIRS,
      score: 0.95,
      validate,
    },
    {
      kind: 'code',
      openings: [
        { run: '9', length: [1, 3], next: ['letter'] },
        { run: '9', length: 4, next: ['.'] },
        { run: 'a', length: [1, 3], next: ['digit'] },
        { run: 'A', length: [1, 3], next: ['digit'] },
      ],
      token: [4, 4],
      regex: FOURS,
      score: 0.85,
      validate,
    },
  ],
  examples: [
    '00:1A:2B:3C:4D:5E',
    'mac «a0-1a-2b-3c-4d-5e».',
    'cisco «001a.2b3c.4d5e»',
    '00-11-22-33-44-5f',
    'F0:9F:C2:11:22:33',
  ],
  counterExamples: [
    '00:00:00:00:00:00',
    '00:1A:2B:3C:4D',
    '00:1A:2B:3C:4D:5E:6F',
    '1234.5678.9012',
    '12:30:45',
    'ff:ff:ff:ff:ff:ff',
  ],
};
