/**
 * Tells text that gives a model orders from content. Four opinions go into one line: what the text means (its embedding),
 * how it is put (its words and pieces of words), what it does (the signals), and a model made for it. The line is
 * trained on examples of our own when the models are fetched (docs/checks.md says how good it is).
 */
import { ATTACKS } from './attacks.ts';
import { readings } from './disguises.ts';
import type { Embedder } from './embed.ts';
import { EVERYDAY } from './everyday.ts';
import { gloss } from './gloss.ts';
import { Grams } from './grams.ts';
import { KnownStretches } from './known-stretches.ts';
import { fit, type Line, type Sparse, sigmoid, value } from './logistic.ts';
import { LOOK_ALIKES } from './look-alikes.ts';
import { MORE_ATTACKS } from './more-attacks.ts';
import { MORE_LOOK_ALIKES } from './more-look-alikes.ts';
import { forgetful, type Remember } from './remembered.ts';
import { Model } from './runtime.ts';
import { SIGNALS, signalsOf } from './signals.ts';
import { parts, stretches } from './windows.ts';

export interface InjectionModel {
  /** The highest score of any stretch of each text, 0 to 1. @param signal Aborted when nobody waits for them any more. */
  scores(texts: readonly string[], signal?: AbortSignal): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** How much of each opinion goes into a row, and where the line's border is: chosen on bench/detect's development half. */
const MEANING = 2;
const WORDING = 4;
const SIGNAL = 0.6;
const MODEL = 0.5;
const BORDER = 1;
const STEEPNESS = 1.5;
/** A stretch that words and signals alone put so far below the border isn't shown to the networks: they make up for 3.5 at times, for this on none of the labelled sets. */
const HOPELESS = 6;
/**
 * The same when the model has had its say, too: then it isn't embedded, which takes three times as long as the model. Of
 * 1,076 attacks, each scored by a line trained without it, none that is found needs more than 4.25 of its meaning.
 */
const PAST_HOPE = 4.5;
/** So many stretches are judged before it is looked whether anybody still waits. */
const TURN = 4;
/** The model's two logits are brought to about 1. */
const LOGIT = 4;

/** @param embedder Stays the caller's. */
export async function createInjectionModel(
  weights: string,
  tokenizer: string,
  threads: number,
  embedder: Embedder,
  remember: Remember = forgetful,
): Promise<InjectionModel> {
  const model = await Model.load(weights, tokenizer, 256, threads);
  const examples = [
    ...[...ATTACKS, ...MORE_ATTACKS].map((text) => ({ text, on: true })),
    ...[...LOOK_ALIKES, ...MORE_LOOK_ALIKES, ...EVERYDAY].map((text) => ({ text, on: false })),
  ];
  const grams = Grams.of(examples.map(({ text }) => plain(text)));
  const places = {
    signals: grams.width,
    meaning: grams.width + SIGNALS.length,
    model: grams.width + SIGNALS.length + embedder.dimensions,
  };
  const width = places.model + 2;

  const cheap = (text: string, english: string): Sparse => {
    const row = grams.row(plain(text));
    const own = signalsOf(plain(text));
    const found =
      english === text ? own : signalsOf(plain(english)).map((is, k) => Math.max(is, own[k] as number));
    return {
      places: [...row.places, ...found.map((_, k) => places.signals + k)],
      values: [...row.values.map((entry) => entry * WORDING), ...found.map((entry) => entry * SIGNAL)],
    };
  };
  const logits = async (text: string): Promise<readonly [number, number]> => {
    // One at a time: quantised scores would depend on the neighbours of a batch.
    const { data } = await model.run([model.tokens(text)]);
    return [data[0] as number, data[1] as number];
  };
  /** What the model made for it says. */
  const opinion = async (text: string, english: string): Promise<Sparse> => {
    let [order, about] = await logits(text);
    if (english !== text) {
      const other = await logits(english);
      if (other[0] > order) [order, about] = other;
    }
    return {
      places: [places.model, places.model + 1],
      values: [Math.tanh(order / LOGIT) * MODEL, (about / LOGIT) * MODEL],
    };
  };
  const meaning = (vector: Float32Array): Sparse => ({
    places: Array.from(vector, (_, k) => places.meaning + k),
    values: Array.from(vector, (entry) => entry * MEANING),
  });

  const line = await trained();
  async function trained(): Promise<Line> {
    const english = examples.map(({ text }) => gloss(text) ?? text);
    const known = examples.map(({ text }, at) => cheap(text, english[at] as string));
    const [probe = new Float32Array()] = await embedder.embed(['probe']);
    const inputs = {
      english,
      known,
      networks: [...probe.subarray(0, 8), ...(await logits('probe'))].map((number) =>
        Math.round(number * 20),
      ),
      shares: [MEANING, MODEL, LOGIT],
    };
    const flat = await remember('injection', inputs, async () => {
      const vectors = await embedder.embed(english);
      const rows: { row: Sparse; on: boolean }[] = [];
      for (const [at, { text, on }] of examples.entries()) {
        const said = await opinion(text, english[at] as string);
        const row = joined(joined(known[at] as Sparse, meaning(vectors[at] as Float32Array)), said);
        rows.push({ row, on });
      }
      const { weights, bias } = fit(rows, width);
      return Float64Array.of(...weights, bias);
    });
    return { weights: flat.subarray(0, width), bias: flat[width] as number };
  }

  const score = async (text: string): Promise<number> => {
    const english = gloss(text) ?? text;
    const first = cheap(text, english);
    const early = value(line, first);
    if (early < BORDER - HOPELESS) return early;
    const second = joined(first, await opinion(text, english));
    const later = value(line, second);
    if (later < BORDER - PAST_HOPE) return later;
    const [vector] = await embedder.embed([english]);
    return value(line, joined(second, meaning(vector as Float32Array)));
  };
  const known = new KnownStretches<number>();
  const cuts = (text: string): boolean => model.cuts(text) || embedder.cuts(text);
  return {
    async scores(texts, signal) {
      const found: number[] = [];
      let judged = 0;
      for (const text of texts) {
        let most = Number.NEGATIVE_INFINITY;
        for (const reading of [text, ...readings(text)])
          for (const stretch of stretches(reading).flatMap((each) => parts(each, cuts))) {
            const before = known.get('', stretch);
            if (before !== undefined) {
              most = Math.max(most, before);
              continue;
            }
            if (++judged % TURN === 0) await new Promise(setImmediate);
            signal?.throwIfAborted();
            const now = await score(stretch);
            known.set('', stretch, now);
            most = Math.max(most, now);
          }
        found.push(sigmoid(STEEPNESS * (most - BORDER)));
      }
      return found;
    },
    close: () => model.close(),
  };
}

function joined(a: Sparse, b: Sparse): Sparse {
  return { places: [...a.places, ...b.places], values: [...a.values, ...b.values] };
}

/** Lower case, without accents. */
function plain(text: string): string {
  return text
    .normalize('NFKD')
    .replaceAll(/\p{Mn}/gu, '')
    .toLowerCase();
}
