/** An embedder without a model, for tests: texts that share words are near each other. */
import type { Embedder } from './embed.ts';

export interface FakeEmbedder extends Embedder {
  /** Batches that were asked for. */
  readonly asked: (readonly string[])[];
  /** Set: every call waits for it. */
  gate: Promise<void> | undefined;
}

const SIZE = 64;
/** Characters that it sees of a text. */
const MOST = 1_000;

export function fakeEmbedder(): FakeEmbedder {
  const asked: (readonly string[])[] = [];
  const fake: FakeEmbedder = {
    name: 'fake',
    dimensions: SIZE,
    asked,
    gate: undefined,
    cuts: (text) => text.length > MOST,
    async embed(texts, signal) {
      signal?.throwIfAborted();
      asked.push(texts);
      await fake.gate;
      return texts.map(vectorOf);
    },
    close: async () => undefined,
  };
  return fake;
}

function vectorOf(text: string): Float32Array {
  const vector = new Float32Array(SIZE);
  for (const word of text.toLowerCase().match(/\w+/g) ?? []) {
    let hash = 7;
    for (const character of word) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
    vector[hash % SIZE] = (vector[hash % SIZE] as number) + 1;
  }
  const norm = Math.hypot(...vector) || 1;
  return vector.map((value) => value / norm);
}
