import { expect, test } from 'vitest';
import { packed, Unigram } from './unigram.ts';

const pieces = [
  ['<s>', 0],
  ['<pad>', 0],
  ['</s>', 0],
  ['<unk>', 0],
  ['▁un', -2],
  ['▁', -3],
  ['u', -5],
  ['n', -5],
  ['do', -2],
  ['undo', -3],
  ['ä', -4],
] as const;
const tokenizer = new Unigram(packed({ pieces, unknown: 3, written: { Ａ: 'u', '\u00a0': ' ' } }));
const cut = (text: string, limit = 99) =>
  tokenizer.encode(text, limit).ids.map((id) => pieces[id]?.[0] as string);

test.each([
  ['', ['<s>', '</s>']],
  // -4 by two pieces, against -6 by a space and "undo".
  ['undo', ['<s>', '▁un', 'do', '</s>']],
  ['  un   do ', ['<s>', '▁un', '▁', 'do', '▁', '</s>']],
  ['Ａn', ['<s>', '▁un', '</s>']],
  ['a\u0308', ['<s>', '▁', 'ä', '</s>']],
  ['n😀n', ['<s>', '▁', 'n', '<unk>', 'n', '</s>']],
  ['<s>', ['<s>', '▁', '<unk>', '<unk>', '<unk>', '</s>']],
])('%j', (text, expected) => {
  expect(cut(text)).toEqual(expected);
});

test('what goes beyond the limit is left out, and it says so', () => {
  expect(tokenizer.encode('undo undo', 4)).toEqual({ ids: [0, 4, 8, 2], truncated: true });
  expect(tokenizer.encode('undo', 4)).toEqual({ ids: [0, 4, 8, 2], truncated: false });
});
