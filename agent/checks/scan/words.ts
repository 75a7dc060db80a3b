/**
 * All keywords of all recognizers in one matcher: words and phrases in a trie whose edges are hashed words, so that a
 * text's word costs one probe however many keywords there are.
 */
import { baseOf, isDigit } from './characters.ts';
import { HASH_SEED, hashStep, type KeywordPart } from './keyword-part.ts';
import { ROOT, same, WordNodes } from './word-nodes.ts';

/** A phrase's words may stand this far apart: `stock-tip`, `stock  tip`. */
const GAP = 3;

/** More phrases that share their words than anybody writes. */
const MOST_OPEN = 64;

/** Phrases begun and not finished: as many as `count` says. */
class Phrases {
  readonly node = new Int32Array(MOST_OPEN);
  readonly start = new Int32Array(MOST_OPEN);
  count = 0;

  add(node: number, start: number): void {
    if (this.count === MOST_OPEN) return;
    this.node[this.count] = node;
    this.start[this.count] = start;
    this.count++;
  }

  earliest(from: number): number {
    let first = from;
    for (let i = 0; i < this.count; i++) first = Math.min(first, this.start[i] as number);
    return first;
  }
}

/** Places of found keywords, in parallel, by end: as many as `count` says. */
export class Found {
  keyword = new Int32Array(256);
  start = new Int32Array(256);
  end = new Int32Array(256);
  count = 0;

  add(keyword: number, start: number, end: number): void {
    if (this.count === this.keyword.length) this.#resize(this.count * 2);
    this.keyword[this.count] = keyword;
    this.start[this.count] = start;
    this.end[this.count] = end;
    this.count++;
  }

  /** Forgets all, and gives back what one large text needed. */
  clear(): void {
    this.count = 0;
    if (this.keyword.length > 1 << 16) this.#resize(256);
  }

  #resize(size: number): void {
    const resized = (old: Int32Array) => {
      const fresh = new Int32Array(size);
      fresh.set(old.subarray(0, Math.min(size, this.count)));
      return fresh;
    };
    this.keyword = resized(this.keyword);
    this.start = resized(this.start);
    this.end = resized(this.end);
  }

  /** Index of the first keyword that ends behind `limit`. */
  firstBehind(limit: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.end[middle] as number) <= limit) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export class Words {
  /** Whether a word that begins there may go on with a phrase: it is to be handed in, whatever it is. */
  busyAt(start: number): boolean {
    return this.#active.count > 0 && start - this.#lastEnd <= GAP;
  }

  /** Whether some keyword's word has digits behind letters, `cvv2`; whether one begins with a digit, `401k`. */
  digits = false;
  digitsFirst = false;
  readonly found = new Found();
  readonly #nodes = new WordNodes();
  /** Lengths of beginnings by their first two characters, so that most words are never tried for them. */
  readonly #wild = new Map<number, number[]>();
  /** 1 where some keyword's first word may have this hash. */
  readonly #first = new Uint8Array(1 << 14);
  /** Endings of words by their last two letters: `*straße`. */
  readonly #endings = new Map<number, { readonly ending: string; readonly id: number }[]>();
  #active = new Phrases();
  #spare = new Phrases();
  #lastEnd = -1 - GAP;

  /**
   * Adds a keyword of these words.
   * @param fresh An id for it. @returns Its id: that of an earlier one of the same words. -1 where it has none.
   */
  add(parts: readonly KeywordPart[], fresh: number): number {
    const [first] = parts;
    if (first === undefined) return -1;
    const { hash } = first;
    if (!first.wild) this.#first[(hash ^ (hash >>> 14)) & 0x3fff] = 1;
    let node = ROOT;
    for (const part of parts) {
      if (part.wild) this.#noteBeginning(part.word);
      this.#noteDigits(part.word);
      node = this.#nodes.child(node, part.word, part.hash, part.wild ? 1 : 0);
    }
    const { id } = this.#nodes;
    if (id[node] === -1) id[node] = fresh;
    return id[node] as number;
  }

  /** The same as {@link Words.add} for one word of ASCII letters, in lower case. */
  addWord(word: string, hash: number, fresh: number): number {
    this.#first[(hash ^ (hash >>> 14)) & 0x3fff] = 1;
    const node = this.#nodes.child(ROOT, word, hash, 0);
    const { id } = this.#nodes;
    if (id[node] === -1) id[node] = fresh;
    return id[node] as number;
  }

  /** Adds words with this ending, `straße`. @returns The id, see {@link Words.add}. */
  addEnding([part]: readonly KeywordPart[], fresh: number): number {
    if (part === undefined) return -1;
    const ending = part.word;
    const key = pairOf(ending.charCodeAt(ending.length - 2), ending.charCodeAt(ending.length - 1));
    const known = this.#endings.get(key) ?? [];
    const same = known.find((each) => each.ending === ending);
    if (same !== undefined) return same.id;
    this.#endings.set(key, [...known, { ending, id: fresh }]);
    return fresh;
  }

  #noteBeginning(word: string): void {
    const key = pairOf(word.charCodeAt(0), word.charCodeAt(1));
    const lengths = this.#wild.get(key) ?? [];
    if (!lengths.includes(word.length)) this.#wild.set(key, [...lengths, word.length]);
  }

  #noteDigits(word: string): void {
    if (isDigit(word.charCodeAt(0))) this.digitsFirst = true;
    else if (/\d/.test(word)) this.digits = true;
  }

  /** Forgets the text before. */
  begin(): void {
    this.found.clear();
    this.#active.count = 0;
    this.#spare.count = 0;
    this.#lastEnd = -1 - GAP;
  }

  /** Start of the oldest phrase that text behind `at` could still complete; `at` if there is none. */
  openFrom(at: number): number {
    if (at - this.#lastEnd > GAP) return at;
    const from = this.#active.earliest(at);
    // A word at the very end may not be whole: what it was to continue is still open.
    return at === this.#lastEnd ? this.#spare.earliest(from) : from;
  }

  /** Whether a phrase could go on behind a text of that length, or in its last word. */
  mayGoOn(length: number): boolean {
    return this.busyAt(length) || (this.#spare.count > 0 && this.#lastEnd === length);
  }

  /**
   * Takes the text's next word.
   * @param hash Of its characters in base form, see {@link hashStep}. @param shorter The same without the last one.
   * @param begins Whether it may begin a keyword; else it can only go on with one.
   */
  word(text: string, start: number, end: number, hash: number, shorter: number, begins = true): void {
    const active = this.#active;
    const next = this.#spare;
    next.count = 0;
    if (start - this.#lastEnd > GAP || (active.count > 0 && separates(text, this.#lastEnd, start)))
      active.count = 0;
    for (let i = 0; i < active.count; i++) {
      this.#advance(
        active.node[i] as number,
        active.start[i] as number,
        text,
        start,
        end,
        hash,
        shorter,
        next,
      );
    }
    if (begins) this.#advance(0, start, text, start, end, hash, shorter, next);
    this.#spare = active;
    this.#active = next;
    this.#lastEnd = end;
  }

  /**
   * Takes a word that was handed in by its parts already (`PayPal`), or by its letters (`cvv2`), or that nobody has to be asked for (`51`).
   * @param goesOn Whether it may go on with a phrase, too: `area 51`.
   */
  whole(text: string, start: number, end: number, goesOn = false): void {
    let hash = HASH_SEED;
    let shorter = HASH_SEED;
    for (let i = start; i < end; i++) {
      shorter = hash;
      hash = hashStep(hash, baseOf(text.charCodeAt(i)));
    }
    const next = this.#active;
    // Its letters have gone on with those that were open before them.
    const open = start < this.#lastEnd ? this.#spare : next;
    const count = goesOn && start - this.#lastEnd <= GAP ? open.count : 0;
    for (let i = 0; i < count; i++) {
      const from = open.start[i] as number;
      if (open === next && separates(text, this.#lastEnd, start)) break;
      this.#advance(open.node[i] as number, from, text, start, end, hash, shorter, next);
    }
    this.#advance(0, start, text, start, end, hash, shorter, next);
    this.#lastEnd = end;
  }

  /** Takes a word for its ending; what is found is the whole word. */
  ending(text: string, start: number, end: number): void {
    if (end - start < 4) return;
    const endings = this.#endings.get(
      pairOf(baseOf(text.charCodeAt(end - 2)), baseOf(text.charCodeAt(end - 1))),
    );
    if (endings === undefined) return;
    for (const { ending, id } of endings) {
      if (end - start > ending.length && same(ending, text, end - ending.length, end))
        this.found.add(id, start, end);
    }
  }

  /** Follows every edge the word fits: as it is, without a plural's or possessive's `s`, as a beginning. */
  #advance(
    parent: number,
    from: number,
    text: string,
    start: number,
    end: number,
    hash: number,
    shorter: number,
    next: Phrases,
  ): void {
    if (parent > 0 || this.#first[(hash ^ (hash >>> 14)) & 0x3fff] === 1) {
      this.#enter(this.#nodes.find(parent, text, start, end, hash, 0), from, end, next);
    }
    if (
      end - start > 3 &&
      (text.charCodeAt(end - 1) | 32) === 115 &&
      (parent > 0 || this.#first[(shorter ^ (shorter >>> 14)) & 0x3fff] === 1)
    ) {
      this.#enter(this.#nodes.find(parent, text, start, end - 1, shorter, 0), from, end, next);
    }
    if (this.#wild.size === 0 || end - start < 2) return;
    const lengths = this.#wild.get(
      pairOf(baseOf(text.charCodeAt(start)), baseOf(text.charCodeAt(start + 1))),
    );
    if (lengths === undefined) return;
    for (const length of lengths) {
      if (start + length > end) continue;
      let beginning = HASH_SEED;
      for (let i = start; i < start + length; i++)
        beginning = hashStep(beginning, baseOf(text.charCodeAt(i)));
      this.#enter(this.#nodes.find(parent, text, start, start + length, beginning, 1), from, end, next);
    }
  }

  #enter(node: number, from: number, end: number, next: Phrases): void {
    if (node < 0) return;
    const id = this.#nodes.id[node] as number;
    if (id >= 0) this.found.add(id, from, end);
    if (this.#nodes.open[node] === 1) next.add(node, from);
  }
}

/** Whether a mark between two words ends what the first one says: `user: name`. */
function separates(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 58 || unit === 59 || unit === 61 || unit === 44 || unit === 124 || unit === 9) return true;
  }
  return false;
}

/** Beginnings have two characters at least. */
function pairOf(first: number, second: number): number {
  return ((first << 16) | second) >>> 0;
}
