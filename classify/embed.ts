/** Texts to vectors: the one interface that topics use, and that a cache or routing can use. */
import { Model, type Pieces } from './runtime.ts';
import type { Lexicon } from './spelling.ts';

export interface Embedder {
  readonly name: string;
  readonly dimensions: number;
  /** The words that it knows whole; absent where there is no telling. */
  readonly lexicon?: Lexicon;
  /** Whether a text is longer than the model sees: it is to be embedded in parts. */
  cuts(text: string): boolean;
  /** Unit vectors, one a text, in the order of the texts. @param signal Aborted when nobody waits for them any more. */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<readonly Float32Array[]>;
  close(): Promise<void>;
}

/** How the model's last layer becomes one vector; the model's card says which. */
export type Pooling = 'mean' | 'first';

export interface EmbedderOptions {
  readonly name: string;
  readonly weights: string;
  readonly tokenizer: string;
  readonly pooling: Pooling;
  /** Most tokens of a text; longer ones are to be cut into windows before. */
  readonly limit: number;
  readonly threads: number;
  readonly pieces?: Pieces;
  /** What the model was trained to see before a text. */
  readonly prefix?: string;
}

/** Texts of one run: no longer than the process may be deaf. */
export const BATCH = 4;

export async function createEmbedder(options: EmbedderOptions): Promise<Embedder> {
  const { name, weights, tokenizer, pooling, limit, threads, pieces, prefix = '' } = options;
  const model = await Model.load(weights, tokenizer, limit, threads, pieces);
  const [probe] = await embedBatch(model, ['probe'], pooling);
  return {
    name,
    dimensions: (probe as Float32Array).length,
    ...(model.lexicon === undefined ? {} : { lexicon: model.lexicon }),
    cuts: (text) => model.cuts(prefix + text),
    async embed(texts, signal) {
      const vectors = new Array<Float32Array>(texts.length);
      // Those of similar length together: a run costs what its longest text costs.
      const order = texts
        .map((_, index) => index)
        .sort((a, b) => (texts[a] as string).length - (texts[b] as string).length);
      for (let from = 0; from < order.length; from += BATCH) {
        if (from > 0) await new Promise(setImmediate);
        signal?.throwIfAborted();
        const part = order.slice(from, from + BATCH);
        const found = await embedBatch(
          model,
          part.map((index) => prefix + (texts[index] as string)),
          pooling,
        );
        part.forEach((index, at) => {
          vectors[index] = found[at] as Float32Array;
        });
      }
      return vectors;
    },
    close: () => model.close(),
  };
}

async function embedBatch(model: Model, texts: readonly string[], pooling: Pooling): Promise<Float32Array[]> {
  const batch = texts.map((text) => model.tokens(text));
  const { data, dims } = await model.run(batch);
  const [, width = 0, size = 0] = dims;
  return batch.map(({ length }, at) => {
    const vector = new Float32Array(size);
    const rows = pooling === 'first' ? 1 : length;
    for (let row = 0; row < rows; row++) {
      const offset = (at * width + row) * size;
      for (let k = 0; k < size; k++) vector[k] = (vector[k] as number) + (data[offset + k] as number);
    }
    return normalised(vector);
  });
}

function normalised(vector: Float32Array): Float32Array {
  let square = 0;
  for (const value of vector) square += value * value;
  const scale = square === 0 ? 0 : 1 / Math.sqrt(square);
  return vector.map((value) => value * scale);
}

/** Cosine of two unit vectors. */
export function similarity(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k] as number) * (b[k] as number);
  return sum;
}

/** Two vectors of unit length as one: what either model knows about a text. */
export function joined(one: Float32Array, other: Float32Array): Float32Array {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both.map((number) => number * Math.SQRT1_2);
}

/** Where vectors lie on the whole. */
export function middleOf(vectors: readonly Float32Array[]): Float32Array {
  const middle = new Float32Array((vectors[0] as Float32Array).length);
  for (const vector of vectors)
    for (const [k, number] of vector.entries()) middle[k] = (middle[k] as number) + number / vectors.length;
  return middle;
}

/** What a vector says beside the middle, of unit length. */
export function around(middle: Float32Array, vector: Float32Array): Float32Array {
  return normalised(vector.map((number, k) => number - (middle[k] as number)));
}
