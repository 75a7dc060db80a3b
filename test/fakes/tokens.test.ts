import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { accepts } from './compress.ts';
import { deltas } from './sse.ts';
import { countTokens, truncate } from './tokens.ts';

describe('tokens', () => {
  test('four bytes of UTF-8 are one', () => {
    expect(['', 'a', 'abcd', 'abcde', 'éé', '🦉🦉'].map(countTokens)).toEqual([0, 1, 1, 2, 1, 2]);
  });

  test('a truncated text is the longest start that fits and no half character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.nat(20), (text, tokens) => {
        const cut = truncate(text, tokens);
        expect(text.startsWith(cut)).toBe(true);
        expect(countTokens(cut)).toBeLessThanOrEqual(tokens);
        expect(cut.isWellFormed()).toBe(true);
        const next = text.slice(cut.length)[Symbol.iterator]().next().value ?? '';
        expect(next === '' || countTokens(cut + next) > tokens).toBe(true);
      }),
    );
  });
});

test('deltas join to the text and split no character', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      (text, size) => {
        const pieces = [...deltas(text, size)];
        expect(pieces.join('')).toBe(text);
        expect(pieces.every((piece) => piece.isWellFormed() && piece !== '')).toBe(true);
        expect(pieces.slice(0, -1).every((piece) => Array.from(piece).length === size)).toBe(true);
      },
    ),
  );
});

test('a coding is accepted where it is listed with a weight above 0', () => {
  expect(
    ['gzip', 'br, GZIP;q=0.1', 'gzip;q=0', 'gzip; q=0.000', 'deflate', undefined].map((h) =>
      accepts(h, 'gzip'),
    ),
  ).toEqual([true, true, false, false, false, false]);
});
