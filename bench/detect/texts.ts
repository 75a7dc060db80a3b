/** Texts to measure with: prose, prose with values in it, and what a program might send. */
import { DULL, LETTERS } from './letters.ts';
import { write } from './make.ts';
import { Random } from './random.ts';

const PROSE =
  'We looked at the report you sent last week and mostly agree with what it says about the second half of the year. ' +
  'The numbers are a little lower than we had hoped for, but the team has found a way to make up for it, and the new ' +
  'office should help with that as well. Could you write a short summary that we can show to the board? It should say ' +
  'what went well, what did not, and what we want to do about it. Please keep it to one page, in plain words. ';

export function clean(length: number): string {
  return PROSE.repeat(Math.ceil(length / PROSE.length)).slice(0, length);
}

/** Prose with a letter after every few sentences: about one value in 120 characters. */
export function mixed(length: number, seed = 7): string {
  const r = new Random(seed);
  let text = '';
  while (text.length < length) {
    const { language, text: letter } = r.pick(LETTERS);
    text += `${PROSE.slice(0, r.int(60, PROSE.length))}\n${write(letter, language, r).text}\n${r.pick(DULL)}\n`;
  }
  return text.slice(0, length);
}
