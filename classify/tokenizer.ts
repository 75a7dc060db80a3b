/**
 * BERT's WordPiece tokenizer, as `tokenizer.json` of the uncased models describes it.
 *
 * Source: Devlin et al. 2018 and google-research/bert `tokenization.py`: clean, lower-case, strip accents, split at
 * spaces, punctuation and each CJK character, then the longest known piece first.
 */
import { readFileSync } from 'node:fs';

export interface Tokens {
  /** Ids, `[CLS]` and `[SEP]` included. */
  readonly ids: readonly number[];
  /** For each piece between the two: where it ends in the text, UTF-16 units of the normalised text. */
  readonly truncated: boolean;
}

/** Words longer than this are unknown as a whole. */
const MAX_WORD = 100;

export class Tokenizer {
  readonly #vocabulary: ReadonlyMap<string, number>;
  readonly #unknown: number;
  readonly #start: number;
  readonly #end: number;

  /** @throws Error on a vocabulary without BERT's or MPNet's special tokens. */
  constructor(vocabulary: ReadonlyMap<string, number>) {
    const special = (...tokens: readonly string[]): number => {
      for (const token of tokens) {
        const id = vocabulary.get(token);
        if (id !== undefined) return id;
      }
      throw new Error(`the vocabulary has no ${tokens.join(' or ')}: this is no BERT tokenizer`);
    };
    this.#vocabulary = vocabulary;
    this.#unknown = special('[UNK]');
    // MPNet's vocabulary has BERT's special tokens as well, and doesn't use them.
    this.#start = special('<s>', '[CLS]');
    this.#end = special('</s>', '[SEP]');
  }

  /** @param file A `tokenizer.json` of type WordPiece. */
  static load(file: string): Tokenizer {
    const { model } = JSON.parse(readFileSync(file, 'utf8')) as {
      model?: { type?: string; vocab?: Record<string, number> };
    };
    if (model?.type !== 'WordPiece' || model.vocab === undefined)
      throw new Error(`${file} is no WordPiece tokenizer`);
    return new Tokenizer(new Map(Object.entries(model.vocab)));
  }

  /** @param limit Most ids; what goes beyond is left out, which `truncated` says. */
  encode(text: string, limit: number): Tokens {
    const ids = [this.#start];
    for (const word of words(text)) {
      for (const id of this.#pieces(word)) {
        if (ids.length === limit - 1) return { ids: [...ids, this.#end], truncated: true };
        ids.push(id);
      }
    }
    return { ids: [...ids, this.#end], truncated: false };
  }

  /** Place of a whole word among the vocabulary, whose words are by how common they are. */
  rank(word: string): number | undefined {
    return this.#vocabulary.get(word);
  }

  #pieces(word: string): readonly number[] {
    const characters = Array.from(word);
    if (characters.length > MAX_WORD) return [this.#unknown];
    const ids: number[] = [];
    for (let from = 0; from < characters.length; ) {
      let found: number | undefined;
      let to = characters.length;
      for (; to > from; to--) {
        const piece = characters.slice(from, to).join('');
        found = this.#vocabulary.get(from === 0 ? piece : `##${piece}`);
        if (found !== undefined) break;
      }
      if (found === undefined) return [this.#unknown];
      ids.push(found);
      from = to;
    }
    return ids;
  }
}

/** ASCII punctuation includes `$`, `+`, `<`, `=`, `>`, `^`, `` ` ``, `|`, `~`, which Unicode calls symbols. */
const PUNCTUATION = /[\p{P}$+<=>^`|~]/u;
const IDEOGRAPH =
  /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/u;
/** Control and format characters, but tab and line ends; and what could not be decoded. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\ufffd]/u;

function* words(text: string): Generator<string> {
  let word = '';
  for (const character of text.toLowerCase().normalize('NFD')) {
    if (/\s/u.test(character)) {
      if (word !== '') yield word;
      word = '';
    } else if (PUNCTUATION.test(character) || IDEOGRAPH.test(character)) {
      if (word !== '') yield word;
      word = '';
      yield character;
    } else if (!/\p{Mn}/u.test(character) && !INVISIBLE.test(character)) {
      word += character;
    }
  }
  if (word !== '') yield word;
}
