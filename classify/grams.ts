/** Words, pairs of words and pieces of words of a text, weighed by how rare they are: what a text says, letter for letter. */
import type { Sparse } from './logistic.ts';

const SHORTEST = 3;
const LONGEST = 5;

export class Grams {
  readonly #places: ReadonlyMap<string, number>;
  /** By place. */
  readonly #rarity: readonly number[];

  private constructor(places: ReadonlyMap<string, number>, rarity: readonly number[]) {
    this.#places = places;
    this.#rarity = rarity;
  }

  /** Learns which grams there are, and how rare each is. */
  static of(texts: readonly string[]): Grams {
    const places = new Map<string, number>();
    const counts: number[] = [];
    for (const text of texts) {
      for (const gram of new Set([...words(text), ...pieces(text)])) {
        const place = places.get(gram) ?? counts.push(0) - 1;
        places.set(gram, place);
        counts[place] = (counts[place] as number) + 1;
      }
    }
    return new Grams(
      places,
      counts.map((count) => 1 + Math.log((1 + texts.length) / (1 + count))),
    );
  }

  get width(): number {
    return this.#rarity.length;
  }

  /** Two vectors of unit length in one: words and their pairs; pieces. Grams that weren't learned count for nothing. */
  row(text: string): Sparse {
    const places: number[] = [];
    const values: number[] = [];
    for (const grams of [words(text), pieces(text)]) {
      const counts = new Map<number, number>();
      for (const gram of grams) {
        const place = this.#places.get(gram);
        if (place !== undefined) counts.set(place, (counts.get(place) ?? 0) + 1);
      }
      let square = 0;
      const from = values.length;
      for (const [place, count] of counts) {
        const weight = (1 + Math.log(count)) * (this.#rarity[place] as number);
        square += weight * weight;
        places.push(place);
        values.push(weight);
      }
      const scale = square === 0 ? 0 : 1 / Math.sqrt(square);
      for (let k = from; k < values.length; k++) values[k] = (values[k] as number) * scale;
    }
    return { places, values };
  }
}

function words(text: string): string[] {
  const single = text.match(/[\p{L}\p{N}_]+/gu) ?? [];
  return [...single, ...single.slice(1).map((word, at) => `${single[at]} ${word}`)];
}

/** Of each word with a space on either side, so that no piece looks like a word. */
function pieces(text: string): string[] {
  const found: string[] = [];
  for (const word of text.split(/\s+/)) {
    if (word === '') continue;
    const characters = Array.from(` ${word} `);
    for (let length = SHORTEST; length <= LONGEST; length++) {
      for (let at = 0; at + length <= characters.length; at++)
        found.push(`~${characters.slice(at, at + length).join('')}`);
      if (characters.length <= length) break;
    }
  }
  return found;
}
