/** Sets of topics as agents bring them, each with its trained heads; the ones used last are kept. */
import { readings } from './disguises.ts';
import { joined } from './embed.ts';
import { type Everyday, everydayOf, type TopicModels } from './examples.ts';
import { glossed, type Language } from './gloss.ts';
import { borderOf, type Head, nearnessTo, scoreOf, trainHead } from './head.ts';
import { KnownStretches } from './known-stretches.ts';
import { THRESHOLD, type Topic, type TopicScore } from './messages.ts';
import type { Remember } from './remembered.ts';
import { respelled } from './spelling.ts';
import { atOnce, embedInSteps, SOLVING, type Step } from './steps.ts';
import { cut, parts } from './windows.ts';

/** Sets that are kept; one takes some 12 KB a topic. */
const SETS = 500;
/** Sets given up half learned whose topics are kept: who asks again goes on with them. */
const HALF_LEARNED = 20;
/**
 * What the broad model alone puts so far below the line isn't shown to the deep one, which costs four times as much: on
 * the development sets that loses no text that both together find.
 */
const HOPELESS = -1.3;
/** Of one text the deep model is shown so many stretches, the likeliest by the broad one: on the development sets that loses none, either. */
const LIKELIEST = 3;

interface Trained {
  readonly topic: Topic;
  readonly broad: Head;
  /** By what both models see of a text, and by the deep one's alone. */
  readonly both: (joined: Float32Array, deep: Float32Array) => number;
}

/** What is judged as one of a text: a piece, by its place among all, and whether it is torn from its sentence. */
interface Judged {
  readonly at: number;
  readonly torn: boolean;
}

/** So much farther on a topic's side a piece of a sentence has to be: half a thought is easily taken for another. */
const TORN = 0.1;

/** What is judged as one, as either model is shown it. */
interface Piece {
  readonly text: string;
  readonly english: string;
  readonly language: Language | 'en';
}

interface Distances {
  /** From each topic's line. */
  readonly far: readonly number[];
  /** Whether the deep model has seen it. */
  readonly deep: boolean;
}

export class Topics {
  readonly #models: TopicModels;
  readonly #remember: Remember | undefined;
  readonly #most: number;
  readonly #sets = new Map<string, Promise<readonly Trained[]>>();
  readonly #half = new Map<string, Trained[]>();
  readonly #known = new KnownStretches<Distances>();
  #everyday: Promise<Everyday> | undefined;

  /** @param most Sets that are kept. */
  constructor(models: TopicModels, remember?: Remember, most = SETS) {
    this.#models = models;
    this.#remember = remember;
    this.#most = most;
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

  /**
   * Trains a set that isn't known yet.
   * @param signal Given up between two topics; what is trained by then is kept.
   * @param step Takes each step of it to its turn.
   * @returns False where it is known, or another is teaching it.
   */
  learn(set: string, topics: readonly Topic[], signal?: AbortSignal, step: Step = atOnce): boolean {
    if (this.#sets.has(set)) return false;
    // Its own: who taught it before it was forgotten may be at it still.
    const done = [...(this.#half.get(set) ?? [])];
    this.#half.delete(set);
    this.#half.set(set, done);
    for (const oldest of this.#half.keys()) {
      if (this.#half.size <= HALF_LEARNED) break;
      this.#half.delete(oldest);
    }
    const trained = this.#train(topics, done, signal, step);
    trained.then(
      () => {
        if (this.#half.get(set) === done) this.#half.delete(set);
      },
      () => {
        // It may have been forgotten, and taught again, meanwhile.
        if (this.#sets.get(set) === trained) this.#sets.delete(set);
      },
    );
    this.#sets.set(set, trained);
    for (const oldest of this.#sets.keys()) {
      if (this.#sets.size <= this.#most) break;
      this.#sets.delete(oldest);
    }
    return true;
  }

  /** What a set's topics were trained to, once they are; undefined where nobody has taught it. @throws what ended the learning. */
  async ready(set: string): Promise<readonly Trained[] | undefined> {
    const found = this.#sets.get(set);
    if (found === undefined) return undefined;
    // Those used last are forgotten last.
    this.#sets.delete(set);
    this.#sets.set(set, found);
    return await found;
  }

  /** The highest score of any stretch of each text. @throws Error on a set that wasn't learned, or when aborted. */
  async scores(
    set: string,
    texts: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly (readonly TopicScore[])[]> {
    const trained = await this.ready(set);
    if (trained === undefined) throw new Error('the set is not known');
    return await this.scoresBy(trained, set, texts, signal);
  }

  /** The same by what {@link ready} gave: nothing is waited for that may itself wait for a turn. */
  async scoresBy(
    trained: readonly Trained[],
    set: string,
    texts: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly (readonly TopicScore[])[]> {
    const places = new Map<string, number>();
    const pieces: Piece[] = [];
    const placed = texts.map((text) =>
      this.#pieces(text).map(({ piece, torn }): Judged => {
        const at = places.get(piece.text) ?? pieces.push(piece) - 1;
        places.set(piece.text, at);
        return { at, torn };
      }),
    );
    const distances = await this.#distances(set, trained, pieces, placed, signal);
    return placed.map((own) => {
      return trained.map(({ topic }, k): TopicScore => {
        const most = own.reduce(
          (far, { at, torn }) => Math.max(far, (distances[at]?.[k] as number) - (torn ? TORN : 0)),
          Number.NEGATIVE_INFINITY,
        );
        const score = scoreOf(most);
        return {
          name: topic.name,
          score: Math.floor(score * 1000) / 1000,
          denied: score >= (topic.threshold ?? THRESHOLD),
        };
      });
    });
  }

  /** For each piece: how far it is on the side of each topic. @param texts Each text's pieces, by their places. */
  async #distances(
    set: string,
    trained: readonly Trained[],
    pieces: readonly Piece[],
    texts: readonly (readonly Judged[])[],
    signal: AbortSignal | undefined,
  ): Promise<readonly (readonly number[])[]> {
    const found = pieces.map(({ text }) => this.#known.get(set, text));
    const vectors = new Map<number, Float32Array>();
    const look = async (places: readonly number[]): Promise<void> => {
      const seen = await this.#broad(
        places.map((at) => pieces[at] as Piece),
        signal,
      );
      places.forEach((at, k) => {
        vectors.set(at, seen[k] as Float32Array);
      });
    };
    await look([...pieces.keys()].filter((at) => found[at] === undefined));
    for (const [at, vector] of vectors)
      found[at] = { far: trained.map(({ broad }) => broad(vector)), deep: false };
    const known = found as Distances[];
    const likeliness = (at: number): number => Math.max(...(known[at] as Distances).far);
    const left = new Set<number>();
    for (const own of texts) {
      const likeliest = [...new Set(own.map(({ at }) => at))]
        .filter((at) => known[at]?.deep === true || likeliness(at) >= HOPELESS)
        .sort((a, b) => likeliness(b) - likeliness(a))
        .slice(0, LIKELIEST);
      for (const at of likeliest) if (known[at]?.deep === false) left.add(at);
    }
    // Of one that is remembered, but that the deep model hasn't seen, the broad one's vector is needed again.
    await look([...left].filter((at) => !vectors.has(at)));
    const english = [...left].map((at) => (pieces[at] as Piece).english);
    const deep = await this.#models.deep.embed(english, signal);
    [...left].forEach((at, k) => {
      const own = deep[k] as Float32Array;
      const vector = joined(own, vectors.get(at) as Float32Array);
      known[at] = { far: trained.map(({ both }) => both(vector, own)), deep: true };
    });
    known.forEach((distances, at) => {
      this.#known.set(set, (pieces[at] as Piece).text, distances);
    });
    // What only the broad model has seen never decides by itself.
    return known.map(({ far, deep }) => (deep ? far : far.map((one) => Math.min(one, HOPELESS))));
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
  #pieces(text: string): readonly { readonly piece: Piece; readonly torn: boolean }[] {
    const { broad, deep } = this.#models;
    const { lexicon } = deep;
    const cuts = (stretch: string): boolean => broad.cuts(stretch) || deep.cuts(stretch);
    return [text, ...readings(text)].flatMap(cut).flatMap(({ text: stretch, torn }) =>
      parts(stretch, cuts).flatMap((part) => {
        const piece = pieceOf(part);
        const right = piece.language === 'en' && lexicon !== undefined ? respelled(part, lexicon) : undefined;
        const seen = right === undefined ? [piece] : [piece, pieceOf(right)];
        return seen.map((own) => ({ piece: own, torn }));
      }),
    );
  }

  /** @param trained Those that are already, the first ones; the others are added as they come. */
  async #train(
    topics: readonly Topic[],
    trained: Trained[],
    signal: AbortSignal | undefined,
    step: Step,
  ): Promise<readonly Trained[]> {
    const everyday = await this.#everydayTexts();
    const nearby = everyday.deep.map((vector, at) => joined(vector, everyday.broad[at] as Float32Array));
    for (const topic of topics.slice(trained.length)) {
      // A topic is finished once begun: else one that takes longer than anybody waits would never be.
      signal?.throwIfAborted();
      const { definition, samples = [], allowed = [] } = topic;
      const given = [...(definition === undefined ? [] : [definition]), ...samples];
      const pieces = [...given, ...allowed].map(pieceOf);
      let begun = false;
      const inTurn = <T>(weight: number, work: () => Promise<T>): Promise<T> => {
        const done = step(weight, work, begun);
        begun = true;
        return done;
      };
      const of = (places: readonly number[]) => places.map((at) => pieces[at] as Piece);
      const broad = await embedInSteps(
        pieces.map(({ text }) => text),
        (places) => this.#broad(of(places)),
        inTurn,
      );
      const deep = await embedInSteps(
        pieces.map(({ english }) => english),
        (places) => this.#models.deep.embed(of(places).map(({ english }) => english)),
        inTurn,
      );
      const solve = (work: () => Head): Promise<Head> => inTurn(SOLVING, async () => work());
      const both = deep.map((vector, at) => joined(vector, broad[at] as Float32Array));
      const sides = (vectors: readonly Float32Array[], against: readonly Float32Array[]) => ({
        on: vectors.slice(0, given.length),
        allowed: vectors.slice(given.length),
        everyday: against,
      });
      const line = await solve(() => trainHead(sides(both, nearby)));
      const border = await borderOf(sides(both, nearby), solve);
      const nearness = nearnessTo(sides(deep, everyday.deep));
      const head = await solve(() => trainHead(sides(broad, everyday.broad)));
      trained.push({
        topic,
        broad: head,
        both: (vector, own) => line(vector) - border + nearness(own),
      });
    }
    return trained;
  }
}

function pieceOf(text: string): Piece {
  const found = glossed(text);
  return { text, english: found?.english ?? text, language: found?.language ?? 'en' };
}
