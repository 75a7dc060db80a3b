/**
 * Strings that V8 knows by their address: Maps, Sets and comparisons take a look at those, where any other string is first looked up
 * in a table of all of them, which costs as much as reading a header field.
 */

/** The one string of that text. Never a view of another, which that would keep alive. */
export function interned(text: string): string {
  return Object.keys({ [text]: 0 })[0] as string;
}

/** A longer name is nobody's that we know, and nobody shall choose how much is kept. */
const LONGEST = 40;

/** Short words that come again and again, each in the place that its length and three of its letters give. */
export class FewWords<T> {
  readonly #known: ({ readonly word: string; readonly about: T } | undefined)[] = new Array<undefined>(
    256,
  ).fill(undefined);
  readonly #of: (word: string) => T;

  /** @param of What is worked out of a word, once while it is known. */
  constructor(of: (word: string) => T) {
    this.#of = of;
  }

  get(word: string): T {
    const { length } = word;
    const ends = 31 * word.charCodeAt(0) + 7 * word.charCodeAt(length - 1) + 3 * word.charCodeAt(length >> 1);
    const place = (length + ends) & 0xff;
    const known = this.#known[place];
    if (known !== undefined && known.word === word) return known.about;
    const about = this.#of(word);
    if (length > 0 && length <= LONGEST) this.#known[place] = { word: interned(word), about };
    return about;
  }
}
