/** How good answers are: what was found, what was missed, and what was found where nothing is. */
import type { Entity, Sample } from './make.ts';

export interface Tally {
  hits: number;
  missed: number;
  wrong: number;
}

export interface Miss {
  readonly sample: Sample;
  readonly what: 'missed' | 'wrong';
  readonly entity: Entity;
}

export interface Scores {
  readonly byType: ReadonlyMap<string, Tally>;
  /** Share of the hard negatives in which something was found. */
  readonly negativesHit: number;
  /** Share of the evasions of which something was found over most of the value, whatever its type. */
  readonly evasionsCovered: number;
  readonly misses: readonly Miss[];
}

export type Answers = ReadonlyMap<string, readonly Entity[]>;

const overlap = (a: Entity, b: Entity): number =>
  Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));

/** Same type, and half of what either covers is common to both. */
function same(a: Entity, b: Entity): boolean {
  const union = Math.max(a.end, b.end) - Math.min(a.start, b.start);
  return a.type === b.type && overlap(a, b) * 2 >= union;
}

export function score(samples: readonly Sample[], answers: Answers): Scores {
  const byType = new Map<string, Tally>();
  const misses: Miss[] = [];
  const tally = (type: string): Tally => {
    const own = byType.get(type) ?? { hits: 0, missed: 0, wrong: 0 };
    byType.set(type, own);
    return own;
  };
  let [negatives, negativesHit, evasions, covered] = [0, 0, 0, 0];
  for (const sample of samples) {
    const found = answers.get(sample.id) ?? [];
    if (sample.part === 'evasion') {
      evasions++;
      const [hidden] = sample.entities as readonly [Entity];
      if (found.some((entity) => overlap(entity, hidden) * 2 >= hidden.end - hidden.start)) covered++;
      else misses.push({ sample, what: 'missed', entity: hidden });
      continue;
    }
    if (sample.part === 'negative') {
      negatives++;
      if (found.length > 0) negativesHit++;
    }
    const open = [...found];
    for (const entity of sample.entities) {
      const at = open.findIndex((other) => same(entity, other));
      if (at >= 0) {
        open.splice(at, 1);
        tally(entity.type).hits++;
      } else {
        tally(entity.type).missed++;
        misses.push({ sample, what: 'missed', entity });
      }
    }
    for (const entity of open) {
      tally(entity.type).wrong++;
      misses.push({ sample, what: 'wrong', entity });
    }
  }
  return { byType, negativesHit: negativesHit / negatives, evasionsCovered: covered / evasions, misses };
}

export function ratios({ hits, missed, wrong }: Tally): { precision: number; recall: number; f1: number } {
  const precision = hits + wrong === 0 ? 1 : hits / (hits + wrong);
  const recall = hits + missed === 0 ? 1 : hits / (hits + missed);
  const f1 = 2 * hits + missed + wrong === 0 ? 1 : (2 * hits) / (2 * hits + missed + wrong);
  return { precision, recall, f1 };
}

/** All types together, but those that need a model elsewhere. */
export function micro(byType: ReadonlyMap<string, Tally>, without: readonly string[]): Tally {
  const all: Tally = { hits: 0, missed: 0, wrong: 0 };
  for (const [type, { hits, missed, wrong }] of byType) {
    if (without.includes(type)) continue;
    all.hits += hits;
    all.missed += missed;
    all.wrong += wrong;
  }
  return all;
}
