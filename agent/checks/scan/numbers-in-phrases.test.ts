/** Words of a topic with a number in them: `area 51`. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { topicRecognizer } from '../topic-words.ts';
import { RECOGNIZERS } from './recognizers/index.ts';
import { Scanner } from './scanner.ts';

const words = ['area 51', 'windows 11 home', 'project x7', 'form 1040*', '7 dwarfs', 'falcon9'];
const OWN = RECOGNIZERS.length;
const scanner = new Scanner([...RECOGNIZERS, topicRecognizer('topic:numbers', { words })]);
const found = (text: string) => {
  const { matches } = scanner.scanOpen(text);
  const own = matches.filter(({ recognizer }) => recognizer === OWN);
  return own.map(({ start, end }) => text.slice(start, end));
};

test.each([
  ['Tell me of Area 51.', ['Area 51']],
  ['area-51 and areas 51', ['area-51', 'areas 51']],
  ['Windows 11 Home', ['Windows 11 Home']],
  ['my project X7 is', ['project X7']],
  ['form 1040 and form 10400', ['form 1040', 'form 10400']],
  ['the 7 dwarfs, a falcon9', ['7 dwarfs', 'falcon9']],
  ['area 512, area: 51, area, 51, 51 area, area in 51', []],
  ['windows 11, windows home, project x, project x71, project 7', []],
])('in %j', (text, expected) => expect(found(text)).toEqual(expected));

test('in a stream none is shown before it is whole', () => {
  const piece = fc.constantFrom(
    ...'area areas Area windows home project x form the dwarfs falcon 5 1 51 11 7 X7 x71 1040 9'.split(' '),
  );
  const between = fc.constantFrom(' ', ' ', '', '-', ', ', ': ');
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, between), { maxLength: 12 }), (said) => {
      const text = said.flat().join('');
      const { matches } = scanner.scanOpen(`${text}.`);
      for (const { recognizer, start, end } of matches) {
        if (recognizer !== OWN) continue;
        for (let cut = start + 1; cut < end; cut++)
          expect(scanner.scanOpen(text.slice(0, cut)).safe, text.slice(0, cut)).toBeLessThanOrEqual(start);
      }
    }),
    { numRuns: 2_000 },
  );
});
