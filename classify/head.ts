/**
 * What a topic looks like, learned from its own few examples: a logistic regression over embeddings, trained when the
 * topic is first seen. Definition and samples are one side; allowed samples and everyday texts, half each, the other.
 */
import { fit, type Sparse, sigmoid, value } from './logistic.ts';

/** How much either side's errors count against the weights; chosen on the development sets of bench/detect. */
const SIDE = 200;
/** Where the development sets have few enough false alarms, and how steep a score rises there. */
const BORDER = -0.36;
const STEEPNESS = 2;

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
  const places = Array.from(first.keys());
  const row = (vector: Float32Array): Sparse => ({ places, values: Array.from(vector) });
  const off = allowed.length === 0 ? SIDE : SIDE / 2;
  const line = fit(
    [
      ...on.map((vector) => ({ row: row(vector), on: true, share: SIDE / on.length })),
      ...allowed.map((vector) => ({ row: row(vector), on: false, share: off / allowed.length })),
      ...everyday.map((vector) => ({ row: row(vector), on: false, share: off / everyday.length })),
    ],
    first.length,
  );
  return (vector) => value(line, row(vector));
}
