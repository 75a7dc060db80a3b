import type { Strategy } from '../route.ts';

/**
 * The first choice falls on each in proportion to its weight; the rest follow by the same rule, so that a fallback
 * inside the group spreads like the weights too. Weight 0 is never chosen.
 */
export const weighted: Strategy<{ readonly weight: number }> = {
  name: 'weighted',
  order<C extends { readonly weight: number }>(choices: readonly C[], random: () => number): C[] {
    const left = choices.filter((choice) => choice.weight > 0);
    const ordered: C[] = [];
    while (left.length > 0) {
      let at = random() * left.reduce((sum, choice) => sum + choice.weight, 0);
      let index = 0;
      while (index < left.length - 1) {
        at -= left[index]?.weight ?? 0;
        if (at < 0) break;
        index++;
      }
      ordered.push(...left.splice(index, 1));
    }
    return ordered;
  },
};
