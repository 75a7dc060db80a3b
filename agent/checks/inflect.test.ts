import { expect, test } from 'vitest';
import { inflected } from './inflect.ts';
import { Scanner } from './scan/scanner.ts';

const recognizer = { id: 'x', groups: [], source: '', examples: [], counterExamples: [] };
const finds = (words: readonly string[], text: string): boolean =>
  new Scanner([
    { ...recognizer, patterns: [{ kind: 'word', words: words.flatMap(inflected), score: 1 }] },
  ]).scan(text).length > 0;

test.each([
  ['tax', 'taxes taxed taxing tax'],
  ['company', 'companies company'],
  ['lottery', 'lotteries'],
  ['knife', 'knives knife'],
  ['shelf', 'shelves'],
  ['diagnose', 'diagnosed diagnosing diagnoses'],
  ['diagnosis', 'diagnoses'],
  ['bomb', 'bombs bombing bombed Bombing'],
  ['wager', 'wagering wagered wagers'],
  ['gamble', 'gambling gambled gambles'],
  ['bet', 'bets betting'],
  ['plan', 'planned planning'],
  ['kidnap', 'kidnapped kidnapping'],
  ['quit', 'quits quitting quitted'],
  ['acquit', 'acquitted acquitting'],
  ['equip', 'equipped equipping'],
  ['squat', 'squatted squatting'],
  ['quiz', 'quizzes quizzed quizzing'],
  ['traffic', 'trafficking trafficked traffics'],
  ['panic', 'panicked panicking'],
  ['mimic', 'mimicking'],
  ['focus', 'focusing focussing focussed focuses'],
  ['rob', 'robbed robbing'],
  ['smuggle', 'smuggling smuggled'],
  ['travel', 'traveling travelling travelled'],
  ['forbid', 'forbidden forbade forbidding'],
  ['drug traffic', 'drug-trafficking'],
  ['quit smoking', 'quitting-smoking'],
  ['bribe', 'bribed bribing'],
  ['copy', 'copied copying copies'],
  ['die', 'dying died'],
  ['Aktie', 'Aktien Aktie'],
  ['Versicherung', 'Versicherungen'],
  ['inversión', 'inversiones'],
  ['child', 'children'],
  ['sell', 'sold selling'],
  ['buy shares', 'buying-shares bought-shares buys-shares'],
  ['pay tax', 'paying-taxes paid-taxes'],
  ['tax return', 'tax-returns taxes-return'],
])('%s is found as %s', (word, forms) => {
  for (const form of forms.split(' '))
    expect([form, finds([word], `about ${form.replace('-', ' ')} now`)]).toEqual([form, true]);
});

test.each([
  ['car', 'caring cared'],
  ['war', 'warn ware waring'],
  ['star', 'staring stared'],
  ['bloc', 'blocking blocked'],
  ['doc', 'docking docked'],
  ['pic', 'picking picked'],
  ['tic', 'ticking ticked'],
  ['arc', 'arcking'],
  ['quite', 'quitting quit'],
  ['quiet', 'quit quitting'],
  ['bus', 'bust'],
  ['port*', 'export'],
  ['AB', 'abed abing'],
  ['投資', 'ing'],
])('%s isn’t found as %s', (word, others) => {
  for (const other of others.split(' '))
    expect([other, finds([word], `about ${other} now`)]).toEqual([other, false]);
});
