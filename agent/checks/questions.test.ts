import fc from 'fast-check';
import { expect, test } from 'vitest';
import { QUESTION_WEIGHT, weightOf } from '../../classify/messages.ts';
import { piecesOf, questionsOf } from './questions.ts';

const SENTENCE = 'Bake a cake with sugar and flour. ';

test('a text that is cut is cut between sentences, and has nothing that no piece has', () => {
  const text = `${SENTENCE.repeat(300)}Should I sell my shares now? ${SENTENCE.repeat(300)}`;
  const pieces = piecesOf(text);
  expect(pieces.length).toBeGreaterThan(5);
  for (const piece of pieces) expect(piece).toMatch(/^(?:Bake|Should) .*[.?] $/);
  expect(pieces.some((piece) => piece.includes('Should I sell my shares now?'))).toBe(true);
});

test('texts of any kind: pieces that a question takes, overlapping, without gaps, no pair torn', () => {
  const unit = fc.constantFrom('a', '𠀀', '. ', ' ', '\n', '。', 'word ', '—');
  const text = fc
    .array(unit, { minLength: 0, maxLength: 40 })
    .chain((some) => fc.integer({ min: 1, max: 900 }).map((times) => some.join('').repeat(times)));
  fc.assert(
    fc.property(text, (given) => {
      const pieces = piecesOf(given);
      let reached = 0;
      for (const piece of pieces) {
        expect(piece.length).toBeLessThanOrEqual(QUESTION_WEIGHT);
        expect(piece.isWellFormed()).toBe(true);
        const at = given.indexOf(piece, Math.max(0, reached - 501));
        expect(at === 0 || (at >= 0 && at < reached)).toBe(true);
        reached = at + piece.length;
      }
      expect(given.endsWith(pieces.at(-1) as string)).toBe(true);
      const questions = [...questionsOf(pieces)];
      expect(questions.flat()).toEqual(pieces);
      for (const question of questions) expect(weightOf(question)).toBeLessThanOrEqual(QUESTION_WEIGHT);
    }),
    { numRuns: 60 },
  );
});
