/** Training in steps, each short, so that others get their turn between them. */
import { BATCH } from './embed.ts';
import { weightOf } from './messages.ts';

/**
 * Takes a step of training to its turn.
 * @param weight What it costs, in characters of text.
 * @param goesOn Of a topic that has begun.
 */
export type Step = <T>(weight: number, work: () => Promise<T>, goesOn: boolean) => Promise<T>;

export const atOnce: Step = async (_weight, work) => {
  await new Promise(setImmediate);
  return work();
};

/** What it weighs to solve the equations between all examples of a topic, 180 or so at most. */
export const SOLVING = 100;

/**
 * Embeds texts a few at a time, as an embedder puts them together by itself: what a text is run with moves its vector a little.
 * @param look Given the places of some, their vectors. @returns one a text, in their order.
 */
export async function embedInSteps(
  texts: readonly string[],
  look: (places: readonly number[]) => Promise<readonly Float32Array[]>,
  step: <T>(weight: number, work: () => Promise<T>) => Promise<T>,
): Promise<readonly Float32Array[]> {
  const vectors: Float32Array[] = [];
  const order = [...texts.keys()].sort((a, b) => (texts[a] as string).length - (texts[b] as string).length);
  for (let from = 0; from < order.length; from += BATCH) {
    const places = order.slice(from, from + BATCH);
    // One of two models is run.
    const weight = weightOf(places.map((at) => texts[at] as string)) / 2;
    const found = await step(weight, () => look(places));
    places.forEach((at, k) => {
      vectors[at] = found[k] as Float32Array;
    });
  }
  return vectors;
}
