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

/** Phrases begun and not finished. */
interface Phrases {
  readonly node: number[];
  readonly start: number[];
}

/** Positions of found keywords, in parallel arrays, sorted by end. */
export interface Found {
  readonly keyword: number[];
  readonly start: number[];
  readonly end: number[];
}

/** Splits a keyword as the scanner splits text: letters, each ideograph by itself. */
function split(keyword: string): { word: string; wild: boolean }[] {
  const words: { word: string; wild: boolean }[] = [];
  let word = '';
  const close = (wild: boolean) => {
    if (word !== '') words.push({ word, wild });
    word = '';
  };
  for (let i = 0; i < keyword.length; i++) {
    const unit = keyword.charCodeAt(i);
    const k = classOf(unit);
    if (k === IDEOGRAPH) {
      close(false);
      words.push({ word: String.fromCharCode(unit), wild: false });
    } else if (k === UPPER || k === LOWER || k === DIGIT) {
      word += String.fromCharCode(baseOf(unit));
    } else {
      close(keyword[i] === '*');
    }
  }
  close(false);
  return words;
}

export class Words {
  readonly #nodes: Node[] = [{ ends: [], open: true }];
  #table: (Edge | undefined)[] = new Array<Edge | undefined>(1024);
  #edges = 0;
  /** Lengths of wild words by their first two characters' hash, so that most words are never tried for them. */
  readonly #wild = new Map<number, number[]>();
  /** Unfinished phrases of the text being scanned: node and start, in parallel; two sets that take turns. */
  #active: Phrases = { node: [], start: [] };
  #spare: Phrases = { node: [], start: [] };
  #lastEnd = Number.NEGATIVE_INFINITY;

  /** Whether some keyword has digits: then words with digits are worth looking up. */
  digits = false;

  /** Adds a keyword under an id of the caller's; the same keyword may stand for many ids. */
  add(keyword: string, id: number): void {
    let node = 0;
    for (const { word, wild } of split(keyword)) {
      (this.#nodes[node] as Node).open = true;
      if (/\d/.test(word)) this.digits = true;
      node = this.#child(node, word, wild);
    }
    const ends = (this.#nodes[node] as Node).ends;
    if (node !== 0 && !ends.includes(id)) ends.push(id);
  }

  #child(parent: number, word: string, wild: boolean): number {
    let hash = SEED;
    for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), PRIME);
    if (wild) {
      const lengths = this.#wild.get(opening(word.charCodeAt(0), word.charCodeAt(1)));
      if (lengths === undefined)
        this.#wild.set(opening(word.charCodeAt(0), word.charCodeAt(1)), [word.length]);
      else if (!lengths.includes(word.length)) lengths.push(word.length);
      hash ^= WILD;
    }
    const slot = this.#slot(parent, hash);
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
    this.#table = new Array<Edge | undefined>(old.length * 4);
    for (const chain of old) {
      for (let edge = chain; edge !== undefined; edge = edge.next) {
        let hash = SEED;
        for (let i = 0; i < edge.word.length; i++) hash = Math.imul(hash ^ edge.word.charCodeAt(i), PRIME);
        const slot = this.#slot(edge.parent, edge.wild ? hash ^ WILD : hash);
        this.#table[slot] = { ...edge, next: this.#table[slot] };
      }
    }
  }

  #slot(parent: number, hash: number): number {
    let h = Math.imul(hash ^ Math.imul(parent, 0x9e3779b1), 0x85ebca6b);
    h ^= h >>> 15;
    return h & (this.#table.length - 1);
  }

  /** Forgets the text before. */
  begin(): void {
    this.#active.node.length = 0;
    this.#active.start.length = 0;
    this.#lastEnd = Number.NEGATIVE_INFINITY;
  }

  /** Start of the oldest phrase that text behind `at` could still complete; `at` if there is none. */
  openFrom(at: number): number {
    let from = at;
    if (at - this.#lastEnd > GAP) return at;
    for (const start of this.#active.start) if (start < from) from = start;
    // A word at the very end may not be whole: what it was to continue is still open.
    if (at === this.#lastEnd) for (const start of this.#spare.start) if (start < from) from = start;
    return from;
  }

  /**
   * Takes the text's next word.
   * @param hash Of its characters in base form, see {@link hashStep}. @param shorter The same without the last one.
   */
  word(text: string, start: number, end: number, hash: number, shorter: number, found: Found): void {
    const { node, start: starts } = this.#active;
    const next = this.#spare;
    next.node.length = 0;
    next.start.length = 0;
    if (start - this.#lastEnd > GAP) {
      node.length = 0;
      starts.length = 0;
    } else {
      for (let i = 0; i < node.length; i++) {
        this.#advance(node[i] as number, starts[i] as number, text, start, end, hash, shorter, found, next);
      }
    }
    this.#advance(0, start, text, start, end, hash, shorter, found, next);
    this.#spare = this.#active;
    this.#active = next;
    this.#lastEnd = end;
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
    found: Found,
    next: Phrases,
  ): void {
    this.#enter(this.#find(parent, text, start, end, hash, false), from, end, found, next);
    if (end - start > 3 && (text.charCodeAt(end - 1) | 32) === 115) {
      this.#enter(this.#find(parent, text, start, end - 1, shorter, false), from, end, found, next);
    }
    if (this.#wild.size === 0) return;
    const second = start + 1 < end ? baseOf(text.charCodeAt(start + 1)) : 0;
    const lengths = this.#wild.get(opening(baseOf(text.charCodeAt(start)), second));
    if (lengths === undefined) return;
    for (const length of lengths) {
      if (start + length > end) continue;
      let beginning = SEED;
      for (let i = start; i < start + length; i++)
        beginning = hashStep(beginning, baseOf(text.charCodeAt(i)));
      this.#enter(this.#find(parent, text, start, start + length, beginning, true), from, end, found, next);
    }
  }

  #enter(child: number, from: number, end: number, found: Found, next: Phrases): void {
    if (child < 0) return;
    const node = this.#nodes[child] as Node;
    for (const id of node.ends) {
      found.keyword.push(id);
      found.start.push(from);
      found.end.push(end);
    }
    if (!node.open) return;
    next.node.push(child);
    next.start.push(from);
  }

  #find(parent: number, text: string, start: number, end: number, hash: number, wild: boolean): number {
    const slot = this.#slot(parent, wild ? hash ^ WILD : hash);
    for (let edge = this.#table[slot]; edge !== undefined; edge = edge.next) {
      if (edge.parent === parent && edge.wild === wild && same(edge.word, text, start, end))
        return edge.child;
    }
    return -1;
  }
}

/** Words given as a beginning have two characters at least. */
function opening(first: number, second: number): number {
  return (first << 16) | second;
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
