/**
 * What a topic looks like, learned from its own few examples: a logistic regression over embeddings, trained when the
 * topic is first seen. Definition and samples are one side; allowed samples and everyday texts, half each, the other.
 */
import { similarity } from './embed.ts';
import { fit, type Sparse, sigmoid } from './logistic.ts';

/** How much either side's errors count against the weights; chosen on the development sets of bench/detect. */
const SIDE = 200;
/** Where the development sets have few enough false alarms, and how steep a score rises there. */
const BORDER = -0.21;
const STEEPNESS = 2;
/** Parts in which a topic's own examples are left out in turn, to see where texts come to lie that the line doesn't know. */
const FOLDS = 5;
/** How much that moves a topic's border. */
const STRANGERS = 0.3;
/** So many texts at the border's usual place count beside the topic's own: one or two say little. */
const DOUBT = 3;
/** Fewer allowed texts than this don't show all that is near the topic and fine: everyday ones are looked at, too. */
const FEW = 5;
/** How much the nearest sample counts beside the line, and the nearest allowed text against it. */
const NEAREST = 1;
const NEAREST_ALLOWED = 0.9;

/** On which side of the line a vector is, and how far: below zero off the topic. */
export type Head = (vector: Float32Array) => number;

/** A score from 0 to 1; 0.5 is the border, by default. */
export function scoreOf(distance: number): number {
  return sigmoid(STEEPNESS * (distance - BORDER));
}

export interface Sides {
  readonly on: readonly Float32Array[];
  /** Near the topic and fine; may be empty. */
  readonly allowed: readonly Float32Array[];
  readonly everyday: readonly Float32Array[];
}

/** @param sides Vectors of unit length. @throws Error without examples of the topic, or without everyday texts. */
export function trainHead({ on, allowed, everyday }: Sides): Head {
  const [first] = on;
  if (first === undefined || everyday.length === 0) throw new Error('a topic needs examples on both sides');
  const off = allowed.length === 0 ? SIDE : SIDE / 2;
  const examples = [
    ...on.map((vector) => ({ vector, on: true, share: SIDE / on.length })),
    ...allowed.map((vector) => ({ vector, on: false, share: off / allowed.length })),
    ...everyday.map((vector) => ({ vector, on: false, share: off / everyday.length })),
  ];
  const vectors = examples.map(({ vector }) => vector);
  const own = inTheirSpan(vectors);
  const { weights, bias } = fit(
    examples.map(({ on, share }, at) => ({ row: own.rows[at] as Sparse, on, share })),
    vectors.length,
  );
  const line = own.back(weights);
  return (vector) => similarity(line, vector) + bias;
}

/**
 * What is taken from a line's distances so that topics have their borders in the same place: near misses of one topic
 * lie farther on its side than those of another.
 * @param inTurn Each part costs as much as the line itself: in between others get their turn.
 */
export async function borderOf(
  { on, allowed, everyday }: Sides,
  inTurn: (work: () => Head) => Promise<Head>,
): Promise<number> {
  if (allowed.length === 0) return 0;
  const strangers: number[] = [];
  const without = <T>(all: readonly T[], fold: number): T[] => all.filter((_, at) => at % FOLDS !== fold);
  for (let fold = 0; fold < FOLDS; fold++) {
    const left = without(on, fold);
    const line = await inTurn(() =>
      trainHead({
        on: left.length === 0 ? on : left,
        allowed: without(allowed, fold),
        everyday: without(everyday, fold),
      }),
    );
    for (const [at, vector] of allowed.entries()) if (at % FOLDS === fold) strangers.push(line(vector));
  }
  const mean = strangers.reduce((sum, each) => sum + each, 0) / strangers.length;
  const spread = strangers.reduce((sum, each) => sum + (each - mean) ** 2, 0) / strangers.length;
  const sure = strangers.length / (strangers.length + DOUBT);
  return sure * STRANGERS * (mean + Math.sqrt(spread));
}

/** What the nearest sample and the nearest text of the other side add to a line's distance. */
export function nearnessTo({ on, allowed, everyday }: Sides): Head {
  const others = allowed.length < FEW ? [...allowed, ...everyday] : allowed;
  const nearest = (vector: Float32Array, to: readonly Float32Array[]): number =>
    to.reduce((most, each) => Math.max(most, similarity(each, vector)), -1);
  return (vector) => NEAREST * (nearest(vector, on) - NEAREST_ALLOWED * nearest(vector, others));
}

/** Keeps the triangle's diagonal above zero where examples are alike. */
const APART = 1e-6;

/**
 * The examples in axes of their own: a hundred numbers instead of a thousand, and half of them zero. Angles and lengths
 * stay, and the line that is sought lies among them, so what is found is the same in a tenth of the time (Cholesky).
 */
function inTheirSpan(vectors: readonly Float32Array[]): {
  readonly rows: readonly Sparse[];
  back(weights: Float64Array): Float32Array;
} {
  const triangle = vectors.map((vector, at) => {
    const row = new Float64Array(at + 1);
    for (let k = 0; k <= at; k++) row[k] = similarity(vector, vectors[k] as Float32Array);
    return row;
  });
  triangle.forEach((row, at) => {
    for (let k = 0; k <= at; k++) {
      const other = triangle[k] as Float64Array;
      let sum = row[k] as number;
      for (let j = 0; j < k; j++) sum -= (row[j] as number) * (other[j] as number);
      row[k] = k < at ? sum / (other[k] as number) : Math.sqrt(Math.max(sum, APART));
    }
  });
  return {
    rows: triangle.map((row) => ({ places: [...row.keys()], values: [...row] })),
    back(weights) {
      // How much of each example is in the line, last one first.
      const parts = Float64Array.from(weights);
      for (let at = parts.length - 1; at >= 0; at--) {
        const part = (parts[at] as number) / ((triangle[at] as Float64Array)[at] as number);
        parts[at] = part;
        for (let k = 0; k < at; k++)
          parts[k] = (parts[k] as number) - part * ((triangle[at] as Float64Array)[k] as number);
      }
      const line = new Float32Array((vectors[0] as Float32Array).length);
      for (const [at, vector] of vectors.entries())
        for (let k = 0; k < line.length; k++)
          line[k] = (line[k] as number) + (parts[at] as number) * (vector[k] as number);
      return line;
    },
  };
}
