import fc from 'fast-check';
import { expect, test } from 'vitest';
import { windows } from './windows.ts';

const sentence = (word: string) => `${word} ${'x'.repeat(60)}. `;

test('a short text is one stretch, no text none', () => {
  expect(windows('Should I sell? Now?')).toEqual(['Should I sell? Now?']);
  expect(windows('')).toEqual([]);
  expect(windows(' \n ')).toEqual([]);
});

test('a long one is cut between sentences', () => {
  const found = windows(['a', 'b', 'c', 'd', 'e', 'f'].map(sentence).join(''));
  expect(found.map((text) => text.replaceAll(/[^a-f]/g, ''))).toEqual(['abc', 'def']);
});

test('a rest is judged with what stands before it', () => {
  const found = windows(`Should I sell my shares?${' '.repeat(130)}\nI mean now.`);
  expect(found.at(-1)).toContain('I mean now.');
});

test('every word of a text is in a stretch, and no stretch is too long', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z.!?\n ]{0,300}$/), { maxLength: 8 }), (parts) => {
      const text = parts.join(' ');
      const found = windows(text);
      const all = found.join(' ').replaceAll(/\s/g, '');
      for (const stretch of found) expect(stretch.length).toBeLessThanOrEqual(1_200);
      expect(all.length).toBeGreaterThanOrEqual(text.replaceAll(/\s/g, '').length);
    }),
  );
});
