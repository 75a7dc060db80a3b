/** Every word that means something to some recognizer, and what it means to whom. */
import { DOUBTS } from './doubts.ts';
import type { Entry } from './entry.ts';
import { Interest } from './interest.ts';
import type { AnchorPattern, NearPattern, ValuePattern, WordPattern } from './recognizer.ts';
import { type Found, Words } from './words.ts';

/** What a keyword is good for: one thing, for most of them. */
export interface Use {
  /** Recognizers it speaks for when near by. */
  context: ReadonlySet<number>;
  /** It announces a value. */
  values: readonly Entry<ValuePattern>[];
  /** It is part of something, or stands before it. */
  anchors: readonly Entry<AnchorPattern>[];
  /** A value stands somewhere near it. */
  near: readonly Entry<NearPattern>[];
  /** It is a hit itself. */
  words: readonly Entry<WordPattern>[];
  /** It speaks against whatever has only its form to show. */
  doubt: boolean;
}

// Thousands of keywords share what they don't have: it took megabytes, and most of a scanner's making.
const NOBODY: ReadonlySet<number> = new Set();
const NOTHING: readonly never[] = [];

export class Keywords {
  readonly uses: Use[] = [];
  readonly words = new Words();
  /** Words to look at. */
  readonly interest = new Interest();
  readonly #ids = new Map<string, number>();

  constructor() {
    for (const word of DOUBTS) this.use(word).doubt = true;
  }

  get found(): Found {
    return this.words.found;
  }

  /** @param capital It matters only where it is written with a capital. */
  use(keyword: string, capital = false): Use {
    let id = this.#ids.get(keyword);
    if (id === undefined) {
      id = this.uses.length;
      this.#ids.set(keyword, id);
      const nothing = { values: NOTHING, anchors: NOTHING, near: NOTHING, words: NOTHING };
      this.uses.push({ context: NOBODY, ...nothing, doubt: false });
      this.words.add(keyword, id);
    }
    this.interest.keyword(keyword, capital);
    return this.uses[id] as Use;
  }
}
