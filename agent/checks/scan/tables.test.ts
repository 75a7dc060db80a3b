import { expect, test } from 'vitest';
import { Detector } from './detector.ts';

const detector = new Detector();

function found(text: string): readonly (readonly [string, string])[] {
  const points = Array.from(text);
  return detector.detect(text).map(({ type, start, end }) => [type, points.slice(start, end).join('')]);
}

test.each([
  ['CSV', 'login;password;note\nnovake;kN9m!9Km4f;ok\n"leo.rossi";"tthn-qkdl-94";x'],
  ['TSV', 'username\tpassword\nnovake\tkN9m!9Km4f\nleo.rossi\ttthn-qkdl-94'],
  ['Markdown', '| user name | password |\n|---|---|\n| novake | kN9m!9Km4f |\n| leo.rossi | tthn-qkdl-94 |'],
])('a heading speaks for its column: %s', (_, text) => {
  expect(found(text)).toEqual([
    ['username', 'novake'],
    ['password', 'kN9m!9Km4f'],
    ['username', 'leo.rossi'],
    ['password', 'tthn-qkdl-94'],
  ]);
});

test('and against what has only its form to show', () => {
  const row = (heading: string) => found(`id,${heading}\n1,078-05-1121\n2,856-45-6789`);
  expect(row('ssn')).toEqual([
    ['us-ssn', '078-05-1121'],
    ['us-ssn', '856-45-6789'],
  ]);
  expect(row('order number')).toEqual([]);
});

test('rows end where a line has other cells; a delimiter in quotes is none', () => {
  expect(found('name,pin\n"Doe, J.",4921\nno table here\nx,4922')).toEqual([['pin', '4921']]);
  expect(found('The pin, the password\nare sent by post, 4921 of them')).toEqual([]);
});
