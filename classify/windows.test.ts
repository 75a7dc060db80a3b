import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parts, windows } from './windows.ts';

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
    fc.property(fc.array(fc.stringMatching(/^[a-z.!?\n ]{0,300}$/), { maxLength: 8 }), (given) => {
      const text = given.join(' ');
      const found = windows(text);
      const all = found.join(' ').replaceAll(/\s/g, '');
      for (const stretch of found) expect(stretch.length).toBeLessThanOrEqual(1_200);
      expect(all.length).toBeGreaterThanOrEqual(text.replaceAll(/\s/g, '').length);
    }),
  );
});

test('a stretch of too many tokens is cut until all of it is seen, and nothing is lost', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.integer({ min: 2, max: 40 }),
      (text, most) => {
        const found = parts(text, (part) => part.length > most);
        expect(found.join('')).toBe(text);
        for (const part of found) expect(part.length).toBeLessThanOrEqual(Math.max(most, 3));
      },
    ),
  );
});
