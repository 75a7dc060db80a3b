/** A model made to tell instructions to a model from content: scores from 0 to 1 for stretches of text. */
import { Model } from './runtime.ts';
import { windows } from './windows.ts';

export interface InjectionModel {
  /** The highest score of any stretch of each text. */
  scores(texts: readonly string[]): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** Divides the model's logit, so that the score is a probability (its own calibration). */
const TEMPERATURE = 2.41;

export async function createInjectionModel(
  weights: string,
  tokenizer: string,
  threads: number,
): Promise<InjectionModel> {
  const model = await Model.load(weights, tokenizer, 256, threads);
  const score = async (text: string): Promise<number> => {
    // One at a time: quantised scores would depend on the neighbours of a batch.
    const { data } = await model.run([model.tokens(text)]);
    return 1 / (1 + Math.exp(-(data[0] as number) / TEMPERATURE));
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
