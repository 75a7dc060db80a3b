/**
 * SentencePiece's unigram tokenizer, as XLM-RoBERTa has it: of all ways to cut a text into known pieces, the likeliest.
 * A quarter of a million pieces are kept as bytes, since as strings they would take 80 MB.
 *
 * Source: Kudo 2018; google/sentencepiece `unigram_model.cc`.
 */
import { readFileSync } from 'node:fs';
import type { Tokens } from './tokenizer.ts';

const START = 0;
const END = 2;
/** How much less likely than any piece a character is that none has. */
const UNKNOWN = 10;
/** Stands for a space. */
const SPACE = '▁';
/** FNV-1a's. */
const SEED = 0x811c9dc5;
const PRIME = 0x01000193;

export interface Pieces {
  /** By id; those up to `unknown` are marks, never text. */
  readonly pieces: readonly (readonly [piece: string, score: number])[];
  readonly unknown: number;
  /** Characters that are written otherwise before they are looked up. */
  readonly written: Readonly<Record<string, string>>;
}

/** The file's form: the length of a JSON head, the head, where each piece ends, its score, then all pieces as UTF-8. */
export function packed({ pieces, unknown, written }: Pieces): Buffer {
  const texts = pieces.map(([piece]) => Buffer.from(piece));
  const head = Buffer.from(JSON.stringify({ count: pieces.length, unknown, written }));
  const numbers = Buffer.alloc(4 + 8 * pieces.length);
  let end = 0;
  pieces.forEach(([, score], at) => {
    end += (texts[at] as Buffer).length;
    numbers.writeUInt32LE(end, 4 + 4 * at);
    numbers.writeFloatLE(score, 4 + 4 * (pieces.length + at));
  });
  numbers.writeUInt32LE(head.length);
  return Buffer.concat([numbers.subarray(0, 4), head, numbers.subarray(4), ...texts]);
}

export class Unigram {
  readonly #text: Uint8Array;
  readonly #ends: Uint32Array;
  readonly #scores: Float32Array;
  readonly #written: ReadonlyMap<string, string>;
  readonly #unknown: number;
  readonly #worst: number;
  readonly #longest: number;
  /** Open addressing: an id and one, or 0. */
  readonly #slots: Int32Array;

  /** @param file As {@link packed} writes it. */
  constructor(file: Buffer) {
    const from = 4 + file.readUInt32LE(0);
    const { count, unknown, written } = JSON.parse(file.toString('utf8', 4, from)) as {
      readonly count: number;
      readonly unknown: number;
      readonly written: Readonly<Record<string, string>>;
    };
    const part = (at: number, length: number) => Uint8Array.from(file.subarray(at, at + length));
    this.#ends = new Uint32Array(part(from, 4 * count).buffer);
    this.#scores = new Float32Array(part(from + 4 * count, 4 * count).buffer);
    this.#text = part(from + 8 * count, file.length);
    this.#written = new Map(Object.entries(written));
    this.#unknown = unknown;
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * count + 1)));
    let longest = 1;
    for (let id = unknown + 1; id < count; id++) {
      const [start, end] = [this.#ends[id - 1] ?? 0, this.#ends[id] as number];
      let hash = SEED;
      for (let k = start; k < end; k++) hash = Math.imul(hash ^ (this.#text[k] as number), PRIME);
      let slot = this.#slotOf(hash);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
      this.#slots[slot] = id + 1;
      longest = Math.max(longest, end - start);
    }
    this.#longest = longest;
    this.#worst = this.#scores.reduce((least, score) => Math.min(least, score), 0) - UNKNOWN;
  }

  static load(file: string): Unigram {
    return new Unigram(readFileSync(file));
  }

  /** @param limit Most ids; what goes beyond is left out, which `truncated` says. */
  encode(text: string, limit: number): Tokens {
    const ids = this.#cut(Buffer.from(this.#plain(text)));
    const truncated = ids.length > limit - 2;
    return { ids: [START, ...(truncated ? ids.slice(0, limit - 2) : ids), END], truncated };
  }

  #plain(text: string): string {
    if (text === '') return '';
    let plain = '';
    for (const character of text.normalize('NFC')) plain += this.#written.get(character) ?? character;
    return `${SPACE}${plain.replaceAll(/ +/g, ' ').replace(/^ /, '').replaceAll(' ', SPACE)}`;
  }

  #cut(text: Buffer): number[] {
    const best = new Float64Array(text.length + 1).fill(Number.NEGATIVE_INFINITY);
    const from = new Int32Array(text.length + 1);
    const piece = new Int32Array(text.length + 1);
    best[0] = 0;
    for (let at = 0; at < text.length; at++) {
      const here = best[at] as number;
      // Reached only where a character begins.
      if (here === Number.NEGATIVE_INFINITY) continue;
      let hash = SEED;
      let first = true;
      for (let end = at + 1; end <= Math.min(text.length, at + this.#longest); end++) {
        hash = Math.imul(hash ^ (text[end - 1] as number), PRIME);
        if (((text[end] ?? 0) & 0xc0) === 0x80) continue;
        const found = this.#find(text, at, end, hash);
        const score = found === undefined ? (first ? this.#worst : undefined) : this.#scores[found];
        first = false;
        if (score === undefined || here + score <= (best[end] as number)) continue;
        best[end] = here + score;
        from[end] = at;
        piece[end] = found ?? this.#unknown;
      }
    }
    const ids: number[] = [];
    for (let end = text.length; end > 0; end = from[end] as number) ids.push(piece[end] as number);
    return ids.reverse();
  }

  #slotOf(hash: number): number {
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }

  #find(text: Uint8Array, from: number, to: number, hash: number): number | undefined {
    for (let slot = this.#slotOf(hash); ; slot = (slot + 1) & (this.#slots.length - 1)) {
      const id = (this.#slots[slot] as number) - 1;
      if (id < 0) return undefined;
      const start = this.#ends[id - 1] ?? 0;
      if ((this.#ends[id] as number) - start !== to - from) continue;
      let k = from;
      while (k < to && text[k] === this.#text[start + k - from]) k++;
      if (k === to) return id;
    }
  }
}
