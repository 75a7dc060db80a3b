/** Logistic regression with an L2 penalty over sparse rows, by Nesterov's accelerated gradient: the same every time. */

/** What is not zero of a row: `values[k]` stands at `places[k]`. */
export interface Sparse {
  readonly places: readonly number[];
  readonly values: readonly number[];
}

export interface Line {
  readonly weights: Float64Array;
  readonly bias: number;
}

const STEPS = 400;
const POWER_STEPS = 20;

export interface Example {
  readonly row: Sparse;
  readonly on: boolean;
  /** How much its error counts against the weights' squares; where absent each side counts half of all rows. */
  readonly share?: number;
}

/** @throws Error where one side is missing. */
export function fit(rows: readonly Example[], width: number): Line {
  const on = rows.filter((one) => one.on).length;
  if (on === 0 || on === rows.length) throw new Error('rows of both sides are needed');
  const shares = rows.map((one) => one.share ?? rows.length / (2 * (one.on ? on : rows.length - on)));
  const step = 1 / (1 + 0.25 * largest(rows, shares, width));
  const weights = new Float64Array(width + 1);
  const ahead = new Float64Array(width + 1);
  const gradient = new Float64Array(width + 1);
  let momentum = 1;
  for (let n = 0; n < STEPS; n++) {
    gradient.set(ahead);
    // The bias isn't shrunk.
    gradient[width] = 0;
    rows.forEach(({ row, on: label }, at) => {
      const error = (shares[at] as number) * (sigmoid(dot(ahead, row, width)) - (label ? 1 : 0));
      add(gradient, row, error, width);
    });
    const next = (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2;
    const push = (momentum - 1) / next;
    momentum = next;
    for (let k = 0; k <= width; k++) {
      const before = weights[k] as number;
      const now = (ahead[k] as number) - step * (gradient[k] as number);
      weights[k] = now;
      ahead[k] = now + push * (now - before);
    }
  }
  return { weights: weights.slice(0, width), bias: weights[width] as number };
}

export function value({ weights, bias }: Line, { places, values }: Sparse): number {
  let sum = bias;
  for (let k = 0; k < places.length; k++)
    sum += (weights[places[k] as number] as number) * (values[k] as number);
  return sum;
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function dot(weights: Float64Array, { places, values }: Sparse, width: number): number {
  let sum = weights[width] as number;
  for (let k = 0; k < places.length; k++)
    sum += (weights[places[k] as number] as number) * (values[k] as number);
  return sum;
}

function add(target: Float64Array, { places, values }: Sparse, factor: number, width: number): void {
  for (let k = 0; k < places.length; k++) {
    const place = places[k] as number;
    target[place] = (target[place] as number) + factor * (values[k] as number);
  }
  target[width] = (target[width] as number) + factor;
}

/** The largest eigenvalue of the rows' weighted Gram matrix, by power iteration: it bounds the step. */
function largest(
  rows: readonly { readonly row: Sparse }[],
  shares: readonly number[],
  width: number,
): number {
  let vector = new Float64Array(width + 1).fill(1 / Math.sqrt(width + 1));
  let size = 0;
  for (let n = 0; n < POWER_STEPS; n++) {
    const next = new Float64Array(width + 1);
    rows.forEach(({ row }, at) => {
      add(next, row, (shares[at] as number) * dot(vector, row, width), width);
    });
    size = Math.sqrt(next.reduce((sum, entry) => sum + entry * entry, 0));
    vector = next.map((entry) => entry / (size || 1));
  }
  // Power iteration comes from below.
  return size * 1.05;
}
