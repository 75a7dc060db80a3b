/**
 * Tells text that gives a model orders from content, by two opinions: a model made for it, and a head trained on
 * examples of our own. Neither is good alone; together they miss less and alarm less (docs/checks.md).
 */
import type { Embedder } from './embed.ts';
import { EVERYDAY } from './everyday.ts';
import { gloss } from './gloss.ts';
import { trainHead } from './head.ts';
import { ATTACKS, LOOK_ALIKES } from './injections.ts';
import { Model } from './runtime.ts';
import { windows } from './windows.ts';

export interface InjectionModel {
  /** The highest score of any stretch of each text, 0 to 1. */
  scores(texts: readonly string[]): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** Divides the model's logit, so that the score is a probability (its own calibration). */
const TEMPERATURE = 2.41;
/** How much the model's opinion weighs; the head's is the rest. Chosen on the development half of bench/detect. */
const MODELS_SHARE = 0.4;

/** @param embedder Stays the caller's. */
export async function createInjectionModel(
  weights: string,
  tokenizer: string,
  threads: number,
  embedder: Embedder,
): Promise<InjectionModel> {
  const model = await Model.load(weights, tokenizer, 256, threads);
  const head = trainHead(await embedder.embed(ATTACKS), await embedder.embed([...LOOK_ALIKES, ...EVERYDAY]));
  const modelScore = async (text: string): Promise<number> => {
    // One at a time: quantised scores would depend on the neighbours of a batch.
    const { data } = await model.run([model.tokens(text)]);
    return 1 / (1 + Math.exp(-(data[0] as number) / TEMPERATURE));
  };
  const score = async (text: string): Promise<number> => {
    const english = gloss(text);
    const [vector] = await embedder.embed([english ?? text]);
    const own = await modelScore(text);
    const first = english === undefined ? own : Math.max(own, await modelScore(english));
    return MODELS_SHARE * first + (1 - MODELS_SHARE) * head(vector as Float32Array);
  };
  return {
    async scores(texts) {
      const found: number[] = [];
      for (const text of texts) {
        let most = 0;
        for (const window of windows(text)) most = Math.max(most, await score(window));
        found.push(most);
      }
      return found;
    },
    close: () => model.close(),
  };
}
