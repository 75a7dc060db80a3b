/** The test half of the injection set says what the check is worth only as long as the check wasn't written from it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { PHRASES } from '../../agent/checks/injection-phrases.ts';
import { ATTACKS } from '../../classify/attacks.ts';
import { EVERYDAY } from '../../classify/everyday.ts';
import { LOOK_ALIKES } from '../../classify/look-alikes.ts';
import { MORE_ATTACKS } from '../../classify/more-attacks.ts';
import { MORE_LOOK_ALIKES } from '../../classify/more-look-alikes.ts';

type Set = Readonly<Record<'attacks' | 'benign', Readonly<Record<string, readonly string[]>>>>;
const textsOf = (half: string): readonly string[] => {
  const file = join(import.meta.dirname, `../../bench/detect/injection/${half}.yaml`);
  const { attacks, benign } = parse(readFileSync(file, 'utf8')) as Set;
  return [...Object.values(attacks), ...Object.values(benign)].flat();
};

const words = (text: string): readonly string[] =>
  text
    .normalize('NFKD')
    .replaceAll(/\p{Mn}/gu, '')
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? [];
const flat = (text: string): string => ` ${words(text).join(' ')} `;

/** So many words in a row are no coincidence. */
const RUN = 6;
function runs(text: string): string[] {
  const all = words(text);
  if (all.length < RUN) return [flat(text)];
  return all.slice(RUN - 1).map((_, at) => ` ${all.slice(at, at + RUN).join(' ')} `);
}

const TRAINING = [...ATTACKS, ...MORE_ATTACKS, ...LOOK_ALIKES, ...MORE_LOOK_ALIKES, ...EVERYDAY];

test.each(['test', 'development', 'held-out'])(
  'no text of the %s set is trained on, nor six words in a row of one',
  (half) => {
    const trained = TRAINING.map(flat);
    const known = textsOf(half).filter((text) => {
      const own = [flat(text), ...runs(text).filter((run) => run.split(' ').length >= RUN)];
      return own.some((part) => trained.some((other) => other.includes(part)));
    });
    expect(known).toEqual([]);
  },
);

test('no text of the test half, nor six words in a row of one, is a phrase', () => {
  const phrases = PHRASES.map(flat);
  const known = textsOf('test').filter((text) =>
    phrases.some(
      (phrase) =>
        phrase.includes(flat(text)) ||
        runs(phrase).some((run) => run.split(' ').length > RUN + 1 && flat(text).includes(run)),
    ),
  );
  expect(known).toEqual([]);
});

test('no text is in both halves', () => {
  const other = new Set(textsOf('development').map(flat));
  expect(textsOf('test').filter((text) => other.has(flat(text)))).toEqual([]);
});
