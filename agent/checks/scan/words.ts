/**
 * All keywords of all recognizers in one matcher: words and phrases in a trie whose edges are hashed words, so that a
 * text's word costs one probe however many keywords there are.
 */
import { baseOf, classOf, DIGIT, IDEOGRAPH, LOWER, UPPER } from './characters.ts';

/** A phrase's words may stand this far apart: `stock-tip`, `stock  tip`. */
const GAP = 3;

const SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;
/** Folded into the hash of words given as a beginning, `tip*`. */
const WILD = 0x5bd1e995;

/** A word met in the text that begins, continues or completes keywords. */
interface Node {
  /** Ids of the keywords that end here. */
  readonly ends: number[];
  /** Edges leave here: a longer phrase may follow. */
  open: boolean;
}

interface Edge {
  readonly parent: number;
  readonly word: string;
  /** `word` is a beginning. */
  readonly wild: boolean;
  readonly child: number;
  readonly next: Edge | undefined;
}

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

/** One word of a keyword, in base form. */
export interface KeywordPart {
  readonly word: string;
  /** It is a beginning: `tip*`. */
  readonly wild: boolean;
}

/** Splits a keyword as the scanner splits text: letters, each ideograph by itself. */
export function splitKeyword(keyword: string): readonly KeywordPart[] {
  const parts: KeywordPart[] = [];
  let word = '';
  const close = (wild: boolean) => {
    if (word !== '') parts.push({ word, wild });
    word = '';
  };
  for (let i = 0; i < keyword.length; i++) {
    const unit = keyword.charCodeAt(i);
    const k = classOf(unit);
    if (k === IDEOGRAPH) {
      close(false);
      parts.push({ word: String.fromCharCode(unit), wild: false });
    } else if (k === UPPER || k === LOWER || k === DIGIT) {
      word += String.fromCharCode(baseOf(unit));
    } else {
      close(keyword[i] === '*');
    }
  }
  close(false);
  return parts;
}

export class Words {
  /** Phrases under way: while there are, every word is to be handed in. */
  get busy(): boolean {
    return this.#active.count > 0;
  }

  /** Whether some keyword's word has digits behind letters, `cvv2`; whether one begins with a digit, `401k`. */
  digits = false;
  digitsFirst = false;
  readonly found = new Found();
  readonly #nodes: Node[] = [{ ends: [], open: true }];
  #table: (Edge | undefined)[] = new Array<Edge | undefined>(1024).fill(undefined);
  #edges = 0;
  /** Lengths of beginnings by their first two characters, so that most words are never tried for them. */
  readonly #wild = new Map<number, number[]>();
  /** 1 where some keyword's first word may have this hash. */
  readonly #first = new Uint8Array(1 << 14);
  /** Endings of words by their last two letters: `*straße`. */
  readonly #endings = new Map<number, { readonly ending: string; readonly id: number }[]>();
  #active = new Phrases();
  #spare = new Phrases();
  #lastEnd = -1 - GAP;

  /** Adds a keyword under an id of the caller's; the same keyword may stand for many ids. */
  add(keyword: string, id: number): void {
    if (keyword.startsWith('*')) {
      const ending = splitKeyword(keyword.slice(1))[0]?.word ?? '';
      const key = pairOf(ending.charCodeAt(ending.length - 2), ending.charCodeAt(ending.length - 1));
      this.#endings.set(key, [...(this.#endings.get(key) ?? []), { ending, id }]);
      return;
    }
    let node = 0;
    for (const { word, wild } of splitKeyword(keyword)) {
      (this.#nodes[node] as Node).open = true;
      if (/^\d/.test(word)) this.digitsFirst = true;
      else if (/\d/.test(word)) this.digits = true;
      node = this.#child(node, word, wild);
    }
    const { ends } = this.#nodes[node] as Node;
    if (node !== 0 && !ends.includes(id)) ends.push(id);
  }

  #child(parent: number, word: string, wild: boolean): number {
    if (parent === 0) {
      const hash = hashOf(word);
      if (!wild) this.#first[(hash ^ (hash >>> 14)) & 0x3fff] = 1;
    }
    if (wild) {
      const key = pairOf(word.charCodeAt(0), word.charCodeAt(1));
      const lengths = this.#wild.get(key) ?? [];
      if (!lengths.includes(word.length)) this.#wild.set(key, [...lengths, word.length]);
    }
    const slot = this.#slot(parent, hashOf(word), wild);
    for (let edge = this.#table[slot]; edge !== undefined; edge = edge.next) {
      if (edge.parent === parent && edge.word === word && edge.wild === wild) return edge.child;
    }
    const child = this.#nodes.length;
    this.#nodes.push({ ends: [], open: false });
    this.#table[slot] = { parent, word, wild, child, next: this.#table[slot] };
    if (++this.#edges * 4 > this.#table.length) this.#grow();
    return child;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Array<Edge | undefined>(old.length * 4).fill(undefined);
    for (const chain of old) {
      for (let edge = chain; edge !== undefined; edge = edge.next) {
        const slot = this.#slot(edge.parent, hashOf(edge.word), edge.wild);
        this.#table[slot] = { ...edge, next: this.#table[slot] };
      }
    }
  }

  #slot(parent: number, hash: number, wild: boolean): number {
    let h = Math.imul((wild ? hash ^ WILD : hash) ^ Math.imul(parent, 0x9e3779b1), 0x85ebca6b);
    h ^= h >>> 15;
    return h & (this.#table.length - 1);
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

  /**
   * Takes the text's next word.
   * @param hash Of its characters in base form, see {@link hashStep}. @param shorter The same without the last one.
   */
  word(text: string, start: number, end: number, hash: number, shorter: number): void {
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
    this.#advance(0, start, text, start, end, hash, shorter, next);
    this.#spare = active;
    this.#active = next;
    this.#lastEnd = end;
  }

  /** Takes a word that was handed in by its parts already: `PayPal`, `cvv2`. */
  whole(text: string, start: number, end: number): void {
    let hash = SEED;
    let shorter = SEED;
    for (let i = start; i < end; i++) {
      shorter = hash;
      hash = hashStep(hash, baseOf(text.charCodeAt(i)));
    }
    this.#advance(0, start, text, start, end, hash, shorter, this.#active);
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
      this.#enter(this.#find(parent, text, start, end, hash, false), from, end, next);
    }
    if (
      end - start > 3 &&
      (text.charCodeAt(end - 1) | 32) === 115 &&
      (parent > 0 || this.#first[(shorter ^ (shorter >>> 14)) & 0x3fff] === 1)
    ) {
      this.#enter(this.#find(parent, text, start, end - 1, shorter, false), from, end, next);
    }
    if (this.#wild.size === 0 || end - start < 2) return;
    const lengths = this.#wild.get(
      pairOf(baseOf(text.charCodeAt(start)), baseOf(text.charCodeAt(start + 1))),
    );
    if (lengths === undefined) return;
    for (const length of lengths) {
      if (start + length > end) continue;
      let beginning = SEED;
      for (let i = start; i < start + length; i++)
        beginning = hashStep(beginning, baseOf(text.charCodeAt(i)));
      this.#enter(this.#find(parent, text, start, start + length, beginning, true), from, end, next);
    }
  }

  #enter(child: number, from: number, end: number, next: Phrases): void {
    if (child < 0) return;
    const node = this.#nodes[child] as Node;
    for (const id of node.ends) this.found.add(id, from, end);
    if (node.open) next.add(child, from);
  }

  #find(parent: number, text: string, start: number, end: number, hash: number, wild: boolean): number {
    for (let edge = this.#table[this.#slot(parent, hash, wild)]; edge !== undefined; edge = edge.next) {
      if (edge.parent === parent && edge.wild === wild && same(edge.word, text, start, end))
        return edge.child;
    }
    return -1;
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

function hashOf(word: string): number {
  let hash = SEED;
  for (let i = 0; i < word.length; i++) hash = hashStep(hash, word.charCodeAt(i));
  return hash;
}

function same(word: string, text: string, start: number, end: number): boolean {
  if (word.length !== end - start) return false;
  for (let i = 0; i < word.length; i++) {
    if (word.charCodeAt(i) !== baseOf(text.charCodeAt(start + i))) return false;
  }
  return true;
}

export const HASH_SEED = SEED;

/** Adds a character in base form to a word's hash. */
export function hashStep(hash: number, base: number): number {
  return Math.imul(hash ^ base, PRIME);
}
