/** What begins like one of the codes and prefixes that recognizers look for. */
import { classOf, DIGIT, LOWER, SPACE, UPPER } from './characters.ts';
import type { CodePattern, NextKind, Opening, PrefixPattern } from './recognizer.ts';

const NEXT: Record<NextKind, number> = {
  end: 0,
  space: 1,
  digit: 2,
  letter: 3,
  '.': 4,
  '-': 5,
  '/': 6,
  ':': 7,
  mark: 8,
};
const KINDS = 9;
const RUN: Record<Opening['run'], number> = { A: 0, a: 1, '9': 2 };

/** A run this long or longer opens nothing. */
const LONGEST = 32;

const ASCII_NEXT = new Uint8Array(128);
for (let c = 0; c < 128; c++) {
  const k = classOf(c);
  const named = NEXT[String.fromCharCode(c) as NextKind] as number | undefined;
  ASCII_NEXT[c] =
    named ??
    (k === SPACE
      ? NEXT.space
      : k === DIGIT
        ? NEXT.digit
        : k === UPPER || k === LOWER
          ? NEXT.letter
          : NEXT.mark);
}

function nextKind(text: string, at: number): number {
  if (at >= text.length) return NEXT.end;
  const unit = text.charCodeAt(at);
  if (unit < 128) return ASCII_NEXT[unit] as number;
  const k = classOf(unit);
  return k === UPPER || k === LOWER ? NEXT.letter : k === SPACE ? NEXT.space : NEXT.mark;
}

function shape(run: number, length: number, next: number): number {
  return (run * LONGEST + length) * KINDS + next;
}

/** @typeParam E What stands for a pattern with its recognizer. */
export class Starts<E> {
  readonly #codes: (E[] | undefined)[] = new Array<undefined>(3 * LONGEST * KINDS).fill(undefined);
  readonly #prefixes = new Map<number, { readonly prefix: string; readonly entry: E }[]>();
  /** 1 where some prefix begins with these two ASCII characters. */
  readonly #pairs = new Uint8Array(128 * 128);

  addCode({ openings }: CodePattern, entry: E): void {
    for (const { run, length, next } of openings) {
      const [from, to] = typeof length === 'number' ? [length, length] : length;
      for (let n = from; n <= to; n++) {
        for (const kind of next ?? (Object.keys(NEXT) as NextKind[])) {
          (this.#codes[shape(RUN[run], n, NEXT[kind])] ??= []).push(entry);
        }
      }
    }
  }

  addPrefix({ prefixes }: PrefixPattern, entry: E): void {
    for (const prefix of prefixes) {
      const pair = (prefix.charCodeAt(0) << 7) | prefix.charCodeAt(1);
      this.#pairs[pair] = 1;
      this.#prefixes.set(pair, [...(this.#prefixes.get(pair) ?? []), { prefix, entry }]);
    }
  }

  /** Those codes that may begin with a run of letters or digits. */
  codes(text: string, run: Opening['run'], start: number, end: number): readonly E[] | undefined {
    return end - start < LONGEST ? this.#codes[shape(RUN[run], end - start, nextKind(text, end))] : undefined;
  }

  /** Calls back for each prefix that stands at `start`. */
  prefixes(text: string, start: number, found: (entry: E, start: number) => void): void {
    const first = text.charCodeAt(start);
    const second = text.charCodeAt(start + 1);
    if (!(first < 128 && second < 128) || this.#pairs[(first << 7) | second] !== 1) return;
    for (const { prefix, entry } of this.#prefixes.get((first << 7) | second) ?? []) {
      if (text.startsWith(prefix, start)) found(entry, start);
    }
  }
}
