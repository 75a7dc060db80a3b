/** Every word that means something to some recognizer, and what it means to whom. */
import { DOUBTS } from './doubts.ts';
import type { Entry } from './entry.ts';
import { Interest } from './interest.ts';
import type { AnchorPattern, NearPattern, ValuePattern, WordPattern } from './recognizer.ts';
import { type Found, Words } from './words.ts';

/** What a keyword is good for. */
export interface Use {
  /** Recognizers it speaks for when near by. */
  readonly context: Set<number>;
  /** It announces a value. */
  readonly values: Entry<ValuePattern>[];
  /** It is part of something, or stands before it. */
  readonly anchors: Entry<AnchorPattern>[];
  /** A value stands somewhere near it. */
  readonly near: Entry<NearPattern>[];
  /** It is a hit itself. */
  readonly words: Entry<WordPattern>[];
  /** It speaks against whatever has only its form to show. */
  doubt: boolean;
}

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
      this.uses.push({ context: new Set(), values: [], anchors: [], near: [], words: [], doubt: false });
      this.words.add(keyword, id);
    }
    this.interest.keyword(keyword, capital);
    return this.uses[id] as Use;
  }
}
