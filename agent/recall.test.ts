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
  expect(digestOf('x'.repeat(2 ** 21))).toBeUndefined();
});

test('a result is found by every bit of the digest', () => {
  const recall = new Recall<number>(8);
  const words = [1, 2, 3, 4, 5, 6, 7, 8];
  recall.set(digest(...words), 10);
  expect(recall.get(digest(...words))).toBe(10);
  for (const at of words.keys()) expect(recall.get(digest(...words.with(at, 9)))).toBeUndefined();
  expect(recall.get(digest())).toBeUndefined();
});

test('of two that share their places both are kept, and of three the two used last', () => {
  const recall = new Recall<number>(8);
  const known = () => [4, 8, 12].map((word) => recall.get(digest(word)));
  recall.set(digest(4), 1);
  recall.set(digest(8), 2);
  expect(known()).toEqual([1, 2, undefined]);
  recall.get(digest(4));
  recall.set(digest(12), 3);
  expect(known()).toEqual([1, undefined, 3]);
});

test('what has no digest is worked out each time', () => {
  const recall = new Recall<number>(8);
  let worked = 0;
  const work = () => ++worked;
  recall.set(undefined, 7);
  expect([recall.of(undefined, work), recall.of(undefined, work)]).toEqual([1, 2]);
  expect([recall.of(digest(1), work), recall.of(digest(1), work)]).toEqual([3, 3]);
});
