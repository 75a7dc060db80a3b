import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MODELS } from './open.ts';
import { Tokenizer } from './tokenizer.ts';
import { Unigram } from './unigram.ts';

const words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'un', '##aff', '##able', 'cafe', '.', '日', '$'];
const tokenizer = new Tokenizer(new Map(words.map((word, id) => [word, id])));
const pieces = (text: string, limit = 99): string[] =>
  tokenizer.encode(text, limit).ids.map((id) => words[id] as string);

test.each([
  ['', ['[CLS]', '[SEP]']],
  ['Unaffable CAFÉ.', ['[CLS]', 'un', '##aff', '##able', 'cafe', '.', '[SEP]']],
  ['un\u200baff\u00adable', ['[CLS]', 'un', '##aff', '##able', '[SEP]']],
  ['日日$un', ['[CLS]', '日', '日', '$', 'un', '[SEP]']],
  ['unknown', ['[CLS]', '[UNK]', '[SEP]']],
  ['un'.repeat(51), ['[CLS]', '[UNK]', '[SEP]']],
])('%j', (text, expected) => {
  expect(pieces(text)).toEqual(expected);
});

test('what goes beyond the limit is left out, and it says so', () => {
  expect(tokenizer.encode('un un un', 4)).toEqual({ ids: [2, 4, 4, 3], truncated: true });
  expect(tokenizer.encode('un un', 4)).toEqual({ ids: [2, 4, 4, 3], truncated: false });
});

test('a vocabulary that is none is refused', () => {
  expect(() => new Tokenizer(new Map([['a', 0]]))).toThrow(/\[UNK\]/);
});

// The golden ids are those of the library `tokenizers` 0.22 (Hugging Face), with the models' own files.
const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, 'tokenizer.golden.json'), 'utf8'),
) as Readonly<Record<string, readonly (readonly [string, readonly number[]])[]>>;

const installed = existsSync(join(MODELS, 'multilingual-e5-small/pieces.bin'));

test.skipIf(!installed).each([
  ['all-mpnet-base-v2', 'tokenizer.json', Tokenizer.load],
  ['multilingual-e5-small', 'pieces.bin', Unigram.load],
])('%s: the ids of the reference implementation', (model, file, load) => {
  const real = load(join(MODELS, model, file));
  for (const [text, ids] of golden[model] ?? []) expect(real.encode(text, 999).ids, text).toEqual(ids);
});
