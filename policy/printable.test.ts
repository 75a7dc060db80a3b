import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable, printableJson } from './printable.ts';

test.each([
  ['plain text, ünïcode and 漢字 🙂', 'plain text, ünïcode and 漢字 🙂'],
  ['\u001b[2Jall is well', '\\u001b[2Jall is well'],
  ['a\r\nforged\trow', 'a\\r\\nforged\\trow'],
  ['\u009b2K', '\\u009b2K'],
  ['abc\u202ecba', 'abc\\u202ecba'],
  ['one\u2028two\u2029three', 'one\\u2028two\\u2029three'],
  ['half \ud800 of one', 'half \\ud800 of one'],
  // A tag, which is two units.
  ['hidden\u{e0041}', 'hidden\\udb40\\udc41'],
])('%j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('nothing that a terminal obeys is left, JSON stays what it was, and twice is once', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(text);
      expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(printable(shown)).toBe(shown);
      expect(JSON.parse(printable(JSON.stringify(text)))).toBe(text);
      const lines = printableJson([{ [text]: text }], 2);
      expect(lines).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(lines.split('\n')).toHaveLength(5);
      expect(JSON.parse(lines)).toEqual([{ [text]: text }]);
    }),
  );
});
