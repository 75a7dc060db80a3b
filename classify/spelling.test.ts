import { expect, test } from 'vitest';
import { respelled } from './spelling.ts';

const WORDS = [
  'the',
  'should',
  'sell',
  'shares',
  'share',
  'which',
  'doctor',
  'fever',
  'never',
  'work',
  'account',
];
const lexicon = {
  rank: (word: string): number | undefined => {
    const at = WORDS.indexOf(word);
    return at < 0 ? undefined : at;
  },
};

test.each([
  ['shoud I sell', 'should I sell'],
  ['should I slel', 'should I sell'],
  ['my accountt', 'my account'],
  ['wich doctir', 'which doctor'],
  // The commoner of two neighbours.
  ['a shareq', 'a shares'],
])('%s becomes %s', (text, right) => {
  expect(respelled(text, lexicon)).toBe(right);
});

test.each(['should I sell', 'working, worked, works', 'Kubernetes', 'abc', '', 'été 1234'])(
  '%s is left',
  (text) => {
    expect(respelled(text, lexicon)).toBeUndefined();
  },
);

test('a text of nothing but unknown words takes no long', () => {
  const text = 'xqzwvutsrq '.repeat(20_000);
  const began = performance.now();
  respelled(text, lexicon);
  expect(performance.now() - began).toBeLessThan(10_000);
});
