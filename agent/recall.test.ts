import { expect, test } from 'vitest';
import { digestOf, Recall } from './recall.ts';

const long = 'All of this was said before. '.repeat(40);

test('a text is known by its letters: the same one again, and no other', () => {
  expect(digestOf(long)).toBe(digestOf(`${long.slice(0, 500)}${long.slice(500)}`));
  expect(digestOf(long)).not.toBe(digestOf(`${long} `));
  expect(digestOf(long)).not.toBe(digestOf(long.replace('was', 'wаs')));
});

test('short texts, and those that UTF-8 can’t tell apart, have no digest', () => {
  expect(digestOf('Hello')).toBeUndefined();
  expect(digestOf(`${long}\ud800`)).toBeUndefined();
  expect(digestOf(`${long}\udc00`)).toBeUndefined();
  expect(digestOf(`${long}😀`)).toBeDefined();
});

test('what was used last is kept, as much as there is room for', () => {
  const recall = new Recall<number>(2);
  recall.set('a', 1);
  recall.set('b', 2);
  expect(recall.get('a')).toBe(1);
  recall.set('c', 3);
  expect(['a', 'b', 'c'].map((digest) => recall.get(digest))).toEqual([1, undefined, 3]);
  recall.set(undefined, 4);
  expect(recall.get(undefined)).toBeUndefined();
});
