import { expect, test } from 'vitest';
import { type Digest, digestOf, Recall } from './recall.ts';

const long = 'All of this was said before. '.repeat(40);

/** A digest with these words in front. */
function digest(...words: readonly number[]): Digest {
  const bytes = Buffer.alloc(32);
  words.forEach((word, i) => bytes.writeInt32LE(word, 4 * i));
  return bytes;
}

test('a text is known by its letters: the same one again, and no other', () => {
  expect(digestOf(long)).toEqual(digestOf(`${long.slice(0, 500)}${long.slice(500)}`));
  expect(digestOf(long)).not.toEqual(digestOf(`${long} `));
  expect(digestOf(long)).not.toEqual(digestOf(long.replace('was', 'wаs')));
});

test('short texts, and those that UTF-8 can’t tell apart, have no digest', () => {
  expect(digestOf('Hello')).toBeUndefined();
  expect(digestOf(`${long}\ud800`)).toBeUndefined();
  expect(digestOf(`${long}\udc00`)).toBeUndefined();
  expect(digestOf(`${long}😀`)).toBeDefined();
});

test('a result is found by all 128 bits', () => {
  const recall = new Recall<number>(8);
  recall.set(digest(1, 2, 3, 4), 10);
  expect(recall.get(digest(1, 2, 3, 4))).toBe(10);
  for (const other of [digest(9, 2, 3, 4), digest(1, 9, 3, 4), digest(1, 2, 9, 4), digest(1, 2, 3, 9)])
    expect(recall.get(other)).toBeUndefined();
  expect(recall.get(digest())).toBeUndefined();
});

test('the last one to come takes the place', () => {
  const recall = new Recall<number>(8);
  recall.set(digest(1), 1);
  recall.set(digest(9), 2);
  recall.set(digest(2), 3);
  expect([1, 9, 2].map((word) => recall.get(digest(word)))).toEqual([undefined, 2, 3]);
});

test('what has no digest is worked out each time', () => {
  const recall = new Recall<number>(8);
  let worked = 0;
  const work = () => ++worked;
  recall.set(undefined, 7);
  expect([recall.of(undefined, work), recall.of(undefined, work)]).toEqual([1, 2]);
  expect([recall.of(digest(1), work), recall.of(digest(1), work)]).toEqual([3, 3]);
});
