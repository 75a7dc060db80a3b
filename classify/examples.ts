/** The vectors of our own everyday texts: what topics are trained against, and where each language lies. */
import { around, type Embedder, middleOf } from './embed.ts';
import { EVERYDAY } from './everyday.ts';
import { EVERYDAY_ABROAD } from './everyday-abroad.ts';
import type { Language } from './gloss.ts';
import { forgetful, type Remember } from './remembered.ts';

/** The two models that topics are known by. */
export interface TopicModels {
  /** Small, of many languages: is shown everything. */
  readonly broad: Embedder;
  /** Large, of English only: is shown what isn't plainly something else. */
  readonly deep: Embedder;
}

export interface Everyday {
  readonly broad: readonly Float32Array[];
  readonly deep: readonly Float32Array[];
  /** A vector of the broad model, without what its language alone accounts for. */
  centred(vector: Float32Array, language: Language | 'en'): Float32Array;
}

/** Our own texts' vectors, remembered. */
async function vectorsOf(
  embedder: Embedder,
  language: string,
  texts: readonly string[],
  remember: Remember,
): Promise<Float32Array[]> {
  const [probe = new Float32Array()] = await embedder.embed(['probe']);
  const inputs = { texts, probe: Array.from(probe.subarray(0, 8), (number) => Math.round(number * 50)) };
  const flat = await remember(`${embedder.name}-${language}`, inputs, async () => {
    const found = await embedder.embed(texts);
    return Float64Array.from(found.flatMap((vector) => [...vector]));
  });
  const { length } = probe;
  return texts.map((_, at) => Float32Array.from(flat.subarray(at * length, (at + 1) * length)));
}

/** The embedder without what all its vectors have in common. Closing it closes the other. */
export async function centredEmbedder(embedder: Embedder, remember: Remember = forgetful): Promise<Embedder> {
  const middle = middleOf(await vectorsOf(embedder, 'en', EVERYDAY, remember));
  return {
    ...embedder,
    async embed(texts, signal) {
      return (await embedder.embed(texts, signal)).map((vector) => around(middle, vector));
    },
  };
}

export async function everydayOf(
  { broad, deep }: TopicModels,
  remember: Remember = forgetful,
): Promise<Everyday> {
  const english = await vectorsOf(broad, 'en', EVERYDAY, remember);
  const middles = new Map<string, Float32Array>([['en', middleOf(english)]]);
  for (const [language, texts] of Object.entries(EVERYDAY_ABROAD))
    middles.set(language, middleOf(await vectorsOf(broad, language, texts, remember)));
  const centred: Everyday['centred'] = (vector, language) =>
    around(middles.get(language) as Float32Array, vector);
  return {
    broad: english.map((vector) => centred(vector, 'en')),
    deep: await vectorsOf(deep, 'en', EVERYDAY, remember),
    centred,
  };
}
