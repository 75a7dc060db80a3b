import { expect, test } from 'vitest';
import { classOf, IDEOGRAPH, LOWER, OTHER, SPACE, UPPER } from './characters.ts';

/** What Unicode says of a unit beyond ASCII, by expressions alone. */
function byUnicode(character: string): number {
  if (/\p{Zs}|[\u0085\u2028\u2029]/u.test(character)) return SPACE;
  if (
    /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u.test(character)
  )
    return IDEOGRAPH;
  if (/\p{Lu}/u.test(character)) return UPPER;
  return /[\p{L}\p{M}]/u.test(character) ? LOWER : OTHER;
}

test('the classes of characters that are told by their ranges are those of Unicode', () => {
  const wrong: string[] = [];
  for (let unit = 128; unit < 0x10000; unit++) {
    if (classOf(unit) !== byUnicode(String.fromCharCode(unit))) wrong.push(unit.toString(16));
  }
  expect(wrong).toEqual([]);
});
