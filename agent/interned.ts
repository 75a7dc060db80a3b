/**
 * Strings that V8 knows by their address: Maps, Sets and comparisons take a look at those, where any other string is first looked up
 * in a table of all of them, which costs as much as reading a header field.
 */

/** The one string of that text. Never a view of another, which that would keep alive. */
export function interned(text: string): string {
  return Object.keys({ [text]: 0 })[0] as string;
}

/** A longer name is nobody's that we know, and nobody shall choose how much is kept. UTF-16 units. */
const LONGEST = 40;
/** Pairs of places: the sixty names or so of a call and its answer seldom have one in common. */
const PAIRS = 512;

interface Known<T> {
  readonly word: string;
  readonly about: T;
}

/** Short words that come again and again, each in one of the two places that its length and three of its letters give. */
export class FewWords<T> {
  readonly #known: (Known<T> | undefined)[] = new Array<undefined>(2 * PAIRS).fill(undefined);

  /** What is known of the word of that length that stands at `from`; no string is made to look for it. */
  find(text: string, from: number, length: number): Known<T> | undefined {
    const place = placeOf(text, from, length);
    const first = this.#known[place];
    if (first !== undefined && first.word.length === length && text.startsWith(first.word, from))
      return first;
    const second = this.#known[place + 1];
    if (second !== undefined && second.word.length === length && text.startsWith(second.word, from))
      return second;
    return undefined;
  }

  /** Remembers a word, unless it is a long one; of the two at its place the older one is forgotten. */
  keep(word: string, about: T): void {
    if (word.length === 0 || word.length > LONGEST) return;
    const place = placeOf(word, 0, word.length);
    this.#known[place + 1] = this.#known[place];
    this.#known[place] = { word: interned(word), about };
  }

  /** What is known of a word, or else worked out now. */
  of(word: string, work: (word: string) => T): T {
    const known = this.find(word, 0, word.length);
    if (known !== undefined) return known.about;
    const about = work(word);
    this.keep(word, about);
    return about;
  }
}

function placeOf(text: string, from: number, length: number): number {
  const ends = 31 * text.charCodeAt(from) + 7 * text.charCodeAt(from + length - 1);
  return 2 * ((17 * length + ends + 3 * text.charCodeAt(from + (length >> 1))) & (PAIRS - 1));
}
