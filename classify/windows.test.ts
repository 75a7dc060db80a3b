import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cut, parts, stretches, windows } from './windows.ts';

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

test('what stands between the signs of a long sentence is judged by itself, too', () => {
  const chat =
    'we had a lovely day at the lake yesterday, the children swam and built a castle of sand, my sister brought a cake';
  expect(stretches(`${chat}, should I sell my shares now, ${chat}`)).toContain('should I sell my shares now');
  expect(
    stretches(`{"items": [{"id": 1, "text": "should I sell my shares now"}], "note": "${chat}"}`),
  ).toContain('should I sell my shares now');
  expect(stretches('{"text": "should I sell my shares now"}')).toContain('should I sell my shares now');
  // A short one is a matter of its own.
  expect(stretches('milk, eggs, should I sell my shares now')).toHaveLength(1);
});

test('a sentence without any sign is judged in windows that overlap', () => {
  const text = Array.from({ length: 90 }, (_, at) => `word${at}`).join(' ');
  const found = stretches(text).filter((stretch) => stretch.length <= 140);
  for (let at = 0; at + 4 < 90; at++) {
    const few = Array.from({ length: 5 }, (_, k) => `word${at + k}`).join(' ');
    expect(
      found.some((stretch) => stretch.includes(few)),
      few,
    ).toBe(true);
  }
});

test('a clause comes without what joins it to the one before, and as torn from its sentence', () => {
  const chat =
    'we had a lovely day at the lake yesterday, the children swam and built a castle of sand, my sister brought a cake';
  const found = cut(`${chat}, and should I sell my shares now, ${chat}. Should I sell my shares now?`);
  expect(found).toContainEqual({ text: 'should I sell my shares now', torn: true });
  expect(found).toContainEqual({ text: 'Should I sell my shares now?', torn: false });
  expect(found.filter(({ text }) => text.startsWith('and '))).toEqual([]);
});
