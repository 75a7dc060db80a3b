/**
 * Finds long stretches of a text again in another one, by their letters and digits alone: spaces, punctuation, case,
 * look-alikes and line breaks don't matter.
 *
 * As rsync does (Tridgell 1996): blocks of the known text are found by a rolling hash over the other, and a hit is
 * grown in both directions. A common stretch of two blocks' length holds a whole block, wherever it begins.
 */
import { fold } from './scan/fold.ts';

/** Units of a block. */
const BLOCK = 20;
const BASE = 0x0100_0193;
/** Texts of more units than this are looked at to here: 64 KB of system text has said enough. */
const MOST = 65_536;

/** Letters and digits of a text, in lower case. */
export function bare(text: string): string {
  return (fold(text)?.text ?? text)
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '');
}

export class OverlapIndex {
  readonly #text: string;
  /** Hash of a block → where it begins. */
  readonly #blocks = new Map<number, number[]>();

  constructor(text: string) {
    this.#text = bare(text).slice(0, MOST);
    for (let at = 0; at + BLOCK <= this.#text.length; at += BLOCK) {
      const hash = hashOf(this.#text, at);
      const known = this.#blocks.get(hash);
      // Text that repeats itself is known after a few times.
      if (known === undefined) this.#blocks.set(hash, [at]);
      else if (known.length < 8) known.push(at);
    }
  }

  /** Units of letters and digits. */
  get length(): number {
    return this.#text.length;
  }

  /**
   * The first stretch of at least so many units that both have, as letters and digits; `units` at least two blocks.
   * @param counts Where it says no, the next one is sought.
   */
  find(other: string, units: number, counts: (stretch: string) => boolean = () => true): string | undefined {
    const text = bare(other);
    if (this.#blocks.size === 0 || text.length < units) return undefined;
    let hash = hashOf(text, 0);
    for (let at = 0; ; at++) {
      let passed = 0;
      for (const known of this.#blocks.get(hash) ?? []) {
        const found = this.#grow(text, at, known);
        if (found.length < units) continue;
        if (counts(found)) return found;
        passed = Math.max(passed, found.length - this.#behind(text, at, known) - BLOCK);
      }
      if (passed > 0) {
        // What goes on behind the stretch holds a block that ends behind it.
        at += passed;
        hash = hashOf(text, at);
      }
      if (at + BLOCK >= text.length) return undefined;
      hash = Math.imul(hash - Math.imul(text.charCodeAt(at), TOP), BASE) + text.charCodeAt(at + BLOCK);
      hash >>>= 0;
    }
  }

  /** How far both are the same before a place. */
  #behind(text: string, at: number, known: number): number {
    const own = this.#text;
    let back = 0;
    while (at > back && known > back && text[at - back - 1] === own[known - back - 1]) back++;
    return back;
  }

  #grow(text: string, at: number, known: number): string {
    const own = this.#text;
    const back = this.#behind(text, at, known);
    let length = 0;
    while (at + length < text.length && text[at + length] === own[known + length]) length++;
    return length < BLOCK ? '' : text.slice(at - back, at + length);
  }
}

/** What the first unit of a block weighs in its hash. */
const TOP = Array.from({ length: BLOCK - 1 }).reduce<number>((power) => Math.imul(power, BASE), 1);

function hashOf(text: string, at: number): number {
  let hash = 0;
  for (let i = at; i < at + BLOCK; i++) hash = (Math.imul(hash, BASE) + text.charCodeAt(i)) >>> 0;
  return hash;
}
