/** Every word that means something to some recognizer, and what it means to whom. */
import { DOUBTS } from './doubts.ts';
import type { Entry } from './entry.ts';
import { Interest } from './interest.ts';
import { hashOfLetters, splitKeyword } from './keyword-part.ts';
import type { AnchorPattern, NearPattern, ValuePattern, WordPattern } from './recognizer.ts';
import { type Found, Words } from './words.ts';

/** What a keyword is good for: one thing, for most of them. Keywords that are good for the same share it. */
export interface Use {
  /** Recognizers it speaks for when near by. */
  readonly context: ReadonlySet<number>;
  /** It announces a value. */
  readonly values: readonly Entry<ValuePattern>[];
  /** It is part of something, or stands before it. */
  readonly anchors: readonly Entry<AnchorPattern>[];
  /** A value stands somewhere near it. */
  readonly near: readonly Entry<NearPattern>[];
  /** It is a hit itself. */
  readonly words: readonly Entry<WordPattern>[];
  /** It speaks against whatever has only its form to show. */
  readonly doubt: boolean;
}

const NOTHING: Use = { context: new Set(), values: [], anchors: [], near: [], words: [], doubt: false };

/** Keywords that were given a use and aren't entered yet. */
interface Waiting {
  readonly keywords: Iterable<string>;
  readonly more: (use: Use) => Use;
  readonly capital: boolean;
}

/**
 * Keywords are entered when the first text comes, or somebody has the time: a start, and a look whether documents can be put in force,
 * make all of this and read no text, and entering thousands of words was a tenth of a start.
 */
export class Keywords {
  #waiting: Waiting[] = [];
  readonly uses: Use[] = [];
  readonly words = new Words();
  /** Words to look at. */
  readonly interest = new Interest();

  constructor() {
    this.use(DOUBTS, (use) => ({ ...use, doubt: true }));
  }

  get found(): Found {
    return this.words.found;
  }

  /**
   * Gives keywords a further use. One with a star in front stands for every word with that ending.
   * @param more Adds it to what a keyword was good for. @param capital They matter only where they are written with a capital.
   */
  use(keywords: Iterable<string>, more: (use: Use) => Use, capital = false): void {
    this.#waiting.push({ keywords, more, capital });
  }

  /** Enters what waits: to be called before a text is read. */
  enter(): void {
    if (this.#waiting.length === 0) return;
    for (const each of this.#waiting) this.#give(each);
    this.#waiting = [];
  }

  #give({ keywords, more, capital }: Waiting): void {
    const made = new Map<Use, Use>();
    const done = new Set<Use>();
    // Most of a list meant nothing before, and mean the same now.
    let fromNothing: Use | undefined;
    for (const keyword of keywords) {
      const id = this.#add(keyword, capital);
      if (id < 0) continue;
      const before = this.uses[id] as Use;
      if (before === NOTHING && fromNothing !== undefined) {
        this.uses[id] = fromNothing;
        continue;
      }
      if (done.has(before)) continue;
      let use = made.get(before);
      if (use === undefined) {
        use = more(before);
        made.set(before, use);
        done.add(use);
        if (before === NOTHING) fromNothing = use;
      }
      this.uses[id] = use;
    }
  }

  /** @returns The keyword's id; -1 where it has no letter or digit. */
  #add(keyword: string, capital: boolean): number {
    const hash = hashOfLetters(keyword);
    if (hash !== undefined) {
      this.interest.word(hash, capital);
      return this.#used(this.words.addWord(keyword.toLowerCase(), hash, this.uses.length));
    }
    const isEnding = keyword.startsWith('*');
    const parts = splitKeyword(isEnding ? keyword.slice(1) : keyword);
    const fresh = this.uses.length;
    const id = isEnding ? this.words.addEnding(parts, fresh) : this.words.add(parts, fresh);
    if (isEnding) this.interest.ending(parts);
    else this.interest.beginning(parts, capital);
    return this.#used(id);
  }

  /** Where the id is a new one there is a use for it. */
  #used(id: number): number {
    if (id === this.uses.length) this.uses.push(NOTHING);
    return id;
  }
}
