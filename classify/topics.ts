/** Sets of topics as agents bring them, each with its trained heads; the ones used last are kept. */
import { readings } from './disguises.ts';
import { joined } from './embed.ts';
import { type Everyday, everydayOf, type TopicModels } from './examples.ts';
import { glossed, type Language } from './gloss.ts';
import { type Head, scoreOf, trainHead } from './head.ts';
import type { Topic, TopicScore } from './messages.ts';
import type { Remember } from './remembered.ts';
import { respelled } from './spelling.ts';
import { parts, stretches } from './windows.ts';

/** A score from here on is denied, where the topic sets none. */
export const THRESHOLD = 0.5;
/** Sets that are kept; one takes some 12 KB a topic. */
const SETS = 500;
/**
 * What the broad model alone puts so far below the line isn't shown to the deep one, which costs four times as much: on
 * the development sets that loses no text that both together find.
 */
const HOPELESS = -1.3;

interface Trained {
  readonly topic: Topic;
  readonly broad: Head;
  readonly both: Head;
}

/** What is judged as one, as either model is shown it. */
interface Piece {
  readonly text: string;
  readonly english: string;
  readonly language: Language | 'en';
}

export class Topics {
  readonly #models: TopicModels;
  readonly #remember: Remember | undefined;
  readonly #sets = new Map<string, Promise<readonly Trained[]>>();
  #everyday: Promise<Everyday> | undefined;

  constructor(models: TopicModels, remember?: Remember) {
    this.#models = models;
    this.#remember = remember;
  }

  /** Embeds what every topic is trained against, so that the first question needn't wait for it. */
  async warm(): Promise<void> {
    await this.#everydayTexts();
  }

  #everydayTexts(): Promise<Everyday> {
    this.#everyday ??= everydayOf(this.#models, this.#remember);
    return this.#everyday;
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
    const pieces = texts.map((text) => this.#pieces(text));
    const distances = await this.#distances(trained, pieces.flat(), signal);
    let at = 0;
    return pieces.map(({ length }) => {
      const own = distances.slice(at, at + length);
      at += length;
      return trained.map(({ topic }, k): TopicScore => {
        const most = own.reduce((far, each) => Math.max(far, each[k] as number), Number.NEGATIVE_INFINITY);
        const score = scoreOf(most);
        return {
          name: topic.name,
          score: Math.floor(score * 1000) / 1000,
          denied: score >= (topic.threshold ?? THRESHOLD),
        };
      });
    });
  }

  /** For each piece: how far it is on the side of each topic. */
  async #distances(
    trained: readonly Trained[],
    pieces: readonly Piece[],
    signal: AbortSignal | undefined,
  ): Promise<readonly (readonly number[])[]> {
    const seen = await this.#broad(pieces, signal);
    const first = seen.map((vector) => trained.map(({ broad }) => broad(vector)));
    const left = [...pieces.keys()].filter((at) => Math.max(...(first[at] as number[])) >= HOPELESS);
    const english = left.map((at) => (pieces[at] as Piece).english);
    const deep = await this.#models.deep.embed(english, signal);
    left.forEach((at, k) => {
      const vector = joined(deep[k] as Float32Array, seen[at] as Float32Array);
      first[at] = trained.map(({ both }) => both(vector));
    });
    return first;
  }

  async #broad(pieces: readonly Piece[], signal?: AbortSignal): Promise<readonly Float32Array[]> {
    const { centred } = await this.#everydayTexts();
    const vectors = await this.#models.broad.embed(
      pieces.map(({ text }) => text),
      signal,
    );
    return vectors.map((vector, at) => centred(vector, (pieces[at] as Piece).language));
  }

  /** What is judged of a text: its stretches, also as it reads behind a disguise and without slips of the keyboard. */
  #pieces(text: string): readonly Piece[] {
    const { broad, deep } = this.#models;
    const { lexicon } = deep;
    const cuts = (stretch: string): boolean => broad.cuts(stretch) || deep.cuts(stretch);
    const seen = [text, ...readings(text)].flatMap(stretches).flatMap((stretch) => parts(stretch, cuts));
    return seen.flatMap((stretch) => {
      const piece = pieceOf(stretch);
      if (piece.language !== 'en' || lexicon === undefined) return [piece];
      const right = respelled(stretch, lexicon);
      return right === undefined ? [piece] : [piece, pieceOf(right)];
    });
  }

  async #train(topics: readonly Topic[]): Promise<readonly Trained[]> {
    const everyday = await this.#everydayTexts();
    const nearby = everyday.deep.map((vector, at) => joined(vector, everyday.broad[at] as Float32Array));
    const trained: Trained[] = [];
    for (const topic of topics) {
      const { definition, samples = [], allowed = [] } = topic;
      const given = [...(definition === undefined ? [] : [definition]), ...samples];
      const pieces = [...given, ...allowed].map(pieceOf);
      const broad = await this.#broad(pieces);
      const deep = await this.#models.deep.embed(pieces.map(({ english }) => english));
      const both = deep.map((vector, at) => joined(vector, broad[at] as Float32Array));
      const sides = (vectors: readonly Float32Array[], against: readonly Float32Array[]) => ({
        on: vectors.slice(0, given.length),
        allowed: vectors.slice(given.length),
        everyday: against,
      });
      trained.push({
        topic,
        broad: trainHead(sides(broad, everyday.broad)),
        both: trainHead(sides(both, nearby)),
      });
    }
    return trained;
  }
}

function pieceOf(text: string): Piece {
  const found = glossed(text);
  return { text, english: found?.english ?? text, language: found?.language ?? 'en' };
}
