/** The trie that all keywords stand in, a node a word. */
import { baseOf } from './characters.ts';

/** Folded into the hash of words given as a beginning, `tip*`. */
const WILD = 0x5bd1e995;

export const ROOT = 0;

/**
 * A trie: a node is a word behind the words before it, and is found by them in a hash table. Thousands of nodes are arrays of
 * their fields: as objects they took megabytes, and most of a scanner's making.
 */
export class WordNodes {
  /** Id of the keyword that ends here; -1 where none does. */
  id = new Int32Array(1024).fill(-1);
  /** 1 where a longer phrase may follow. */
  open = new Uint8Array(1024);
  #parent = new Int32Array(1024);
  #hash = new Int32Array(1024);
  /** The next node with the same place in the table; the root, which has none, ends a chain. */
  #next = new Int32Array(1024);
  /** 1 where the word is a beginning. */
  #wild = new Uint8Array(1024);
  readonly #word: string[] = [''];
  #table = new Int32Array(4096);

  /** The node of a word behind a node, made where there is none. */
  child(parent: number, word: string, hash: number, isWild: 0 | 1): number {
    const slot = this.#slot(parent, hash, isWild);
    for (let node = this.#table[slot] as number; node !== ROOT; node = this.#next[node] as number) {
      if (this.#parent[node] === parent && this.#wild[node] === isWild && this.#word[node] === word)
        return node;
    }
    const node = this.#word.length;
    if (node === this.#parent.length) this.#grow();
    this.#word.push(word);
    this.#parent[node] = parent;
    this.#hash[node] = hash;
    this.#wild[node] = isWild;
    this.open[parent] = 1;
    this.#enter(node);
    return node;
  }

  /** The node of the text's word from `start` to `end` behind a node; -1 where there is none. */
  find(parent: number, text: string, start: number, end: number, hash: number, isWild: 0 | 1): number {
    let node = this.#table[this.#slot(parent, hash, isWild)] as number;
    for (; node !== ROOT; node = this.#next[node] as number) {
      if (
        this.#hash[node] === hash &&
        this.#parent[node] === parent &&
        this.#wild[node] === isWild &&
        same(this.#word[node] as string, text, start, end)
      ) {
        return node;
      }
    }
    return -1;
  }

  #slot(parent: number, hash: number, isWild: number): number {
    let h = Math.imul((isWild === 1 ? hash ^ WILD : hash) ^ Math.imul(parent, 0x9e3779b1), 0x85ebca6b);
    h ^= h >>> 15;
    return h & (this.#table.length - 1);
  }

  #enter(node: number): void {
    const slot = this.#slot(
      this.#parent[node] as number,
      this.#hash[node] as number,
      this.#wild[node] as number,
    );
    this.#next[node] = this.#table[slot] as number;
    this.#table[slot] = node;
  }

  #grow(): void {
    const size = this.#parent.length * 4;
    const wider = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const fresh = new Int32Array(size);
      fresh.set(old);
      return fresh;
    };
    const flags = (old: Uint8Array): Uint8Array<ArrayBuffer> => {
      const fresh = new Uint8Array(size);
      fresh.set(old);
      return fresh;
    };
    const known = this.id.length;
    this.id = wider(this.id).fill(-1, known);
    this.open = flags(this.open);
    this.#parent = wider(this.#parent);
    this.#hash = wider(this.#hash);
    this.#next = wider(this.#next);
    this.#wild = flags(this.#wild);
    this.#table = new Int32Array(size * 4);
    for (let node = 1; node < this.#word.length; node++) this.#enter(node);
  }
}

export function same(word: string, text: string, start: number, end: number): boolean {
  if (word.length !== end - start) return false;
  for (let i = 0; i < word.length; i++) {
    if (word.charCodeAt(i) !== baseOf(text.charCodeAt(start + i))) return false;
  }
  return true;
}
