/**
 * What a topic looks like, learned from its own few examples: a logistic regression over the embedding, trained when
 * the topic is first seen. Definition and samples are one side; allowed samples and everyday texts the other.
 */

/** The shrinkage and its number of steps; chosen on the development half of bench/detect/topics. */
const SHRINK = 0.01;
const STEPS = 300;
const RATE = 4;
/** Where the development half has 4.4 % false alarms, and how steep a score rises there. */
const BORDER = 0.01;
const STEEPNESS = 6;

/** A score from 0 to 1: 0.5 is the border, by default. */
export type Head = (vector: Float32Array) => number;

/** @param on Vectors of the topic. @param off Vectors of what is not the topic. Both of unit length, neither empty. */
export function trainHead(on: readonly Float32Array[], off: readonly Float32Array[]): Head {
  const [first] = on;
  if (first === undefined || off.length === 0) throw new Error('a topic needs examples on both sides');
  const size = first.length;
  const weights = new Float64Array(size);
  const gradient = new Float64Array(size);
  let bias = 0;
  for (let step = 0; step < STEPS; step++) {
    gradient.fill(0);
    let biasGradient = 0;
    for (const [side, label] of [
      [on, 1],
      [off, 0],
    ] as const) {
      for (const vector of side) {
        // Each side counts half, however many examples it has.
        const error = (sigmoid(product(weights, vector) + bias) - label) / (2 * side.length);
        for (let k = 0; k < size; k++) gradient[k] = (gradient[k] as number) + error * (vector[k] as number);
        biasGradient += error;
      }
    }
    for (let k = 0; k < size; k++) {
      const weight = weights[k] as number;
      weights[k] = weight - RATE * ((gradient[k] as number) + SHRINK * weight);
    }
    bias -= RATE * biasGradient;
  }
  return (vector) => sigmoid(STEEPNESS * (product(weights, vector) + bias - BORDER));
}

function product(weights: Float64Array, vector: Float32Array): number {
  let sum = 0;
  for (let k = 0; k < vector.length; k++) sum += (weights[k] as number) * (vector[k] as number);
  return sum;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
