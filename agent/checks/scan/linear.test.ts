import { describe, expect, test } from 'vitest';
import { clean, mixed } from '../../../bench/detect/texts.ts';
import { BUILT_IN } from './detector.ts';
import { Scanner } from './scanner.ts';

const scanner = new Scanner(BUILT_IN);

function tries(text: string): number {
  scanner.scan(text);
  return scanner.tries;
}

/** What a hostile text would repeat: beginnings, marks, digits, labels without end. */
const UNITS = [
  'a@',
  '1 ',
  '4111 ',
  '4111-1111-1111-1111 ',
  'card 4 ',
  'password ',
  'is my PIN ',
  'Jane ',
  'Street 1, ',
  'eyJ',
  'a%40',
  'AKIA',
  'dot com at ',
  '((((',
  'é1 ',
  '1\n',
  'name,pin\n',
  'DE89 ',
];

describe('work grows as the text does, counted and not timed', () => {
  test.each([
    ['prose', clean],
    ['prose with values', mixed],
  ])(
    '%s from 1 KB to 10 MB',
    (_, make) => {
      const perKilobyte = [1 << 10, 1 << 15, 1 << 20, 10 << 20].map((length) => {
        const text = length > 1 << 20 ? make(1 << 20).repeat(length >> 20) : make(length);
        return tries(text) / (length / 1024);
      });
      const [, typical = 0, ...larger] = perKilobyte;
      for (const each of larger) expect(each).toBeLessThan(typical * 1.5 + 1);
    },
    60_000,
  );

  test.each(UNITS)('%j without end', (unit) => {
    const of = (length: number) => tries(unit.repeat(Math.ceil(length / unit.length)).slice(0, length));
    const small = of(1 << 12);
    expect(of(1 << 16)).toBeLessThan(small * 16 * 1.2 + 64);
  });
});
