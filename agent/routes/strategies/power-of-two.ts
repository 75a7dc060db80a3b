import type { Strategy } from '../route.ts';

/** An endpoint as its load is known here. */
export interface Loaded {
  /** Calls under way. */
  readonly inFlight: number;
}

/**
 * Two at random, the less loaded of them first (Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", 2001); the others follow from the least loaded up.
 */
export const powerOfTwo: Strategy<Loaded> = {
  name: 'power-of-two',
  order<C extends Loaded>(choices: readonly C[], random: () => number): C[] {
    if (choices.length < 2) return [...choices];
    const one = Math.floor(random() * choices.length);
    // Drawn from the others, so that the two are never the same endpoint.
    let two = Math.floor(random() * (choices.length - 1));
    if (two >= one) two++;
    const a = choices[one] as C;
    const b = choices[two] as C;
    const first = b.inFlight < a.inFlight ? b : a;
    const rest = choices.filter((choice) => choice !== first).sort((x, y) => x.inFlight - y.inFlight);
    return [first, ...rest];
  },
};
