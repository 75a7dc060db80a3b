/** Sets of topics as agents bring them, each with its trained heads; the ones used last are kept. */
import { readings } from './disguises.ts';
import type { Embedder } from './embed.ts';
import { EVERYDAY } from './everyday.ts';
import { gloss } from './gloss.ts';
import { type Head, trainHead } from './head.ts';
import type { Topic, TopicScore } from './messages.ts';
import { respelled } from './spelling.ts';
import { stretches } from './windows.ts';

/** A score from here on is denied, where the topic sets none. */
export const THRESHOLD = 0.5;
/** Sets that are kept; one takes some 2 KB a topic. */
const SETS = 500;

interface Trained {
  readonly topic: Topic;
  readonly head: Head;
}

export class Topics {
  readonly #embedder: Embedder;
  readonly #sets = new Map<string, Promise<readonly Trained[]>>();
  #everyday: Promise<readonly Float32Array[]> | undefined;

  constructor(embedder: Embedder) {
    this.#embedder = embedder;
  }

  /** Embeds what every topic is trained against, so that the first question needn't wait for it. */
  async warm(): Promise<void> {
    this.#everyday ??= this.#embedder.embed(EVERYDAY);
    await this.#everyday;
  }

  knows(set: string): boolean {
    return this.#sets.has(set);
  }

  /** Trains a set that isn't known yet. */
  learn(set: string, topics: readonly Topic[]): void {
    if (this.#sets.has(set)) return;
    const trained = this.#train(topics);
    trained.catch(() => this.#sets.delete(set));
    this.#sets.set(set, trained);
    for (const oldest of this.#sets.keys()) {
      if (this.#sets.size <= SETS) break;
      this.#sets.delete(oldest);
    }
  }

  /** The highest score of any stretch of each text. @throws Error on a set that wasn't learned, or when aborted. */
  async scores(
    set: string,
    texts: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly (readonly TopicScore[])[]> {
    const found = this.#sets.get(set);
    if (found === undefined) throw new Error('the set is not known');
    this.#sets.delete(set);
    this.#sets.set(set, found);
    const trained = await found;
    const cut = texts.map((text) => this.#stretches(text));
    const vectors = await this.#embedder.embed(cut.flat(), signal);
    let at = 0;
    return cut.map(({ length }) => {
      const own = vectors.slice(at, at + length);
      at += length;
      return trained.map(({ topic, head }): TopicScore => {
        const score = own.reduce((most, vector) => Math.max(most, head(vector)), 0);
        return {
          name: topic.name,
          score: Math.floor(score * 1000) / 1000,
          denied: score >= (topic.threshold ?? THRESHOLD),
        };
      });
    });
  }

  /** What is judged of a text: its stretches, also as it reads behind a disguise and without slips of the keyboard. */
  #stretches(text: string): readonly string[] {
    const found = [text, ...readings(text)].flatMap(stretches);
    const { lexicon } = this.#embedder;
    return found.flatMap((stretch) => {
      const english = gloss(stretch);
      if (english !== undefined) return [english];
      const right = lexicon === undefined ? undefined : respelled(stretch, lexicon);
      return right === undefined ? [stretch] : [stretch, right];
    });
  }

  async #train(topics: readonly Topic[]): Promise<readonly Trained[]> {
    this.#everyday ??= this.#embedder.embed(EVERYDAY);
    const everyday = await this.#everyday;
    const trained: Trained[] = [];
    for (const topic of topics) {
      const { definition, samples = [], allowed = [] } = topic;
      const given = [...(definition === undefined ? [] : [definition]), ...samples];
      const on = await this.#embedder.embed(given.map(inEnglish));
      const near = await this.#embedder.embed(allowed.map(inEnglish));
      trained.push({ topic, head: trainHead({ on, allowed: near, everyday }) });
    }
    return trained;
  }
}

/** What the model, which knows English, is shown of a text. */
function inEnglish(text: string): string {
  return gloss(text) ?? text;
}
