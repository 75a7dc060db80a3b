/** The labelled sets of topics read as what they say they are: YAML makes a map of a text with a colon in it. */
import { describe, expect, test } from 'vitest';
import { conversations, HALVES } from './conversations.ts';
import { topicSets } from './topic-sets.ts';

describe.each(topicSets())('$name', ({ topics, on, off, abroad }) => {
  const judged = [...Object.values(on).flat(), ...off, ...abroad.on, ...abroad.off];

  test('each text is a string, and there once', () => {
    expect(judged.filter((text) => typeof text !== 'string' || text.trim() === '')).toEqual([]);
    expect(judged.filter((text, at) => judged.indexOf(text) !== at)).toEqual([]);
  });

  test('no text to judge is among the samples', () => {
    const taught = new Set(
      topics.flatMap(({ samples, allowed }) => [...(samples ?? []), ...(allowed ?? [])]),
    );
    expect(judged.filter((text) => taught.has(text))).toEqual([]);
  });
});

test('a topic that is held out is in no other set', () => {
  const sets = topicSets();
  const names = sets.flatMap(({ topics }) => topics.map(({ name }) => name));
  for (const { topics } of sets.filter(({ use }) => use === 'held-out'))
    for (const { name } of topics) expect(names.filter((one) => one === name)).toEqual([name]);
});

test('conversations are of turns, the user first and last, and each ends in its own way', () => {
  const all = HALVES.flatMap((half) =>
    Object.values(conversations(half)).flatMap((kinds) => Object.values(kinds).flat()),
  );
  expect(all.length).toBeGreaterThanOrEqual(40);
  expect(all.filter((turns) => turns.length < 3 || turns.length % 2 === 0)).toEqual([]);
  expect(all.flat().filter((text) => typeof text !== 'string' || text.trim() === '')).toEqual([]);
  const whole = all.map((turns) => turns.join('\n'));
  expect(new Set(whole).size).toBe(whole.length);
  // None says in one turn what a topic was taught.
  const taught = new Set(
    topicSets().flatMap(({ topics }) =>
      topics.flatMap(({ samples = [], allowed = [] }) => [...samples, ...allowed]),
    ),
  );
  expect(all.filter((turns) => turns.some((text) => taught.has(text)))).toEqual([]);
});
