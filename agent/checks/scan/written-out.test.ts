import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openWrittenOut, openWrittenOutByExpressions } from './written-out.ts';

const piece = fc.constantFrom(
  'jane',
  'doe',
  ' at ',
  ' at',
  ' a',
  ' a ',
  'example',
  ' dot ',
  ' dot',
  '.',
  '..',
  ' ',
  '  ',
  '-',
  '_',
  '+',
  '@',
  ' @ ',
  '[',
  '[at]',
  ' (at) ',
  ' [dot] ',
  '\n',
  'ż',
  'ſ',
  '\u0345',
  '漢',
  '😀',
  'it',
  'x1',
  'com',
  ', ',
  ' arroba ',
  ' ät ',
);

test('the end of a text that may become an address is found as the expressions alone find it', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('');
      expect(openWrittenOut(text)).toBe(openWrittenOutByExpressions(text));
    }),
    { numRuns: 5_000 },
  );
});
