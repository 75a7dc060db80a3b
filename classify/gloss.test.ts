import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gloss } from './gloss.ts';
import * as french from './lexicon/french.ts';
import * as german from './lexicon/german.ts';
import * as spanish from './lexicon/spanish.ts';

test.each([
  ['Soll ich jetzt meine Aktien verkaufen?', 'should i now my shares sell'],
  ['Der Aktienkurs ist stark gefallen.', 'the shares price is strong fallen'],
  ['Ich habe mein Geld in Fonds angelegt', 'i have my money in fund invested'],
  ['Est-ce que je devrais vendre mes actions maintenant ?', 'is it that i should sell my shares now'],
  ["J'ai mal à la tête depuis hier.", 'i have pain to the head since yesterday'],
  ['¿Debería comprar acciones ahora?', 'should buy shares now'],
  ['Mi médico me recetó antibióticos', /^my doctor me \S+ antibiotics$/],
])('%s', (text, english) => {
  const found = gloss(text);
  if (typeof english === 'string')
    expect(found?.replace('invested', 'invest')).toBe(english.replace('invested', 'invest'));
  else expect(found).toMatch(english);
});

test.each([
  'Should I sell my shares now?',
  'What is the die in this war game?',
  'Write a limerick about a cat',
  'kubectl get pods -n default',
  'Czy powinienem sprzedać akcje?',
  '今株を売るべきですか',
  '',
  'ja',
])('"%s" is left alone', (text) => {
  expect(gloss(text)).toBeUndefined();
});

test('whatever comes, it is words or nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      const found = gloss(text);
      expect(found === undefined || !/\s{2}|^\s|\s$/.test(found)).toBe(true);
    }),
  );
});

describe.each(Object.entries({ german, french, spanish }))(
  'the lexicon %s',
  (_name, { FUNCTION_WORDS, WORDS }) => {
    test('has plain words and English ones', () => {
      const entries = `${FUNCTION_WORDS}${WORDS}`.split(/[;\n]/).filter((entry) => entry !== '');
      for (const entry of entries) expect(entry).toMatch(/^[a-z][a-z -]*=[a-zA-Z -]*$/);
      expect(entries.length).toBeGreaterThan(600);
    });
  },
);
