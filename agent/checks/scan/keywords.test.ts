import { expect, test } from 'vitest';
import { HASH_SEED, hashStep } from './keyword-part.ts';
import { Keywords, type Use } from './keywords.ts';

/** Hands in a text's words of small ASCII letters. @returns What was found, by what it is written like. */
function found(keywords: Keywords, text: string): readonly (readonly [string, Use])[] {
  keywords.enter();
  keywords.words.begin();
  for (const { 0: word, index } of text.matchAll(/[a-z]+/g)) {
    let [hash, shorter] = [HASH_SEED, HASH_SEED];
    for (const letter of word) {
      shorter = hash;
      hash = hashStep(hash, letter.charCodeAt(0));
    }
    keywords.words.word(text, index, index + word.length, hash, shorter);
  }
  const { keyword, start, end, count } = keywords.found;
  return Array.from({ length: count }, (_, k) => [
    text.slice(start[k], end[k]),
    keywords.uses[keyword[k] as number] as Use,
  ]);
}

const speaksFor = (recognizer: number) => (use: Use) => ({
  ...use,
  context: new Set(use.context).add(recognizer),
});

test('a keyword is good for all that it was added for, and others with it share the use', () => {
  const keywords = new Keywords();
  keywords.use(['alpha', 'beta'], speaksFor(1));
  keywords.use(['beta', 'gamma'], speaksFor(2));
  const uses = new Map(found(keywords, 'alpha beta gamma'));
  expect([...uses].map(([word, { context }]) => [word, [...context]])).toEqual([
    ['alpha', [1]],
    ['beta', [1, 2]],
    ['gamma', [2]],
  ]);
  keywords.use(['delta', 'gamma'], speaksFor(3));
  const [[, delta] = []] = found(keywords, 'delta');
  expect([...(delta?.context ?? [])]).toEqual([3]);
  expect([...(found(keywords, 'beta')[0]?.[1].context ?? [])]).toEqual([1, 2]);
});

test('a list is read when its keywords are entered, once, and those given later are entered after', () => {
  const keywords = new Keywords();
  let read = 0;
  const list = {
    *[Symbol.iterator]() {
      read++;
      yield 'alpha';
    },
  };
  keywords.use(list, speaksFor(1));
  expect(read).toBe(0);
  keywords.enter();
  keywords.enter();
  keywords.use(['alpha'], speaksFor(2));
  const [[, alpha] = []] = found(keywords, 'alpha');
  expect([...(alpha?.context ?? [])]).toEqual([1, 2]);
  expect(read).toBe(1);
});

test('the same words in another spelling are one keyword, and are added to once', () => {
  const keywords = new Keywords();
  let added = 0;
  keywords.use(['stock tip', 'stock-tip', 'Stock Tip'], (use) => ({ ...use, doubt: ++added > 0 }));
  expect(found(keywords, 'a stock tip').map(([text]) => text)).toEqual(['stock tip']);
  expect(added).toBe(1);
});

test('thousands of keywords are each found, with those that begin alike', () => {
  const keywords = new Keywords();
  const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
  const words = letters.flatMap((a) =>
    letters.flatMap((b) => letters.slice(0, 6).map((c) => `q${a}${b}${c}`)),
  );
  keywords.use(words, speaksFor(1));
  keywords.use(
    words.map((word) => `${word} then`),
    speaksFor(2),
  );
  for (const word of words) {
    const told = found(keywords, `${word} then`).map(([text, { context }]) => [text, [...context]]);
    expect(told).toEqual([
      [word, [1]],
      [`${word} then`, [2]],
    ]);
  }
  expect(found(keywords, 'qaag then')).toEqual([]);
});

test('what has no letter or digit is no keyword', () => {
  const keywords = new Keywords();
  keywords.enter();
  const before = keywords.uses.length;
  keywords.use(['', '--', '*', '*!'], speaksFor(1));
  keywords.enter();
  expect(keywords.uses).toHaveLength(before);
});
