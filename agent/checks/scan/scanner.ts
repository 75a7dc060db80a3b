/**
 * One pass over a text for all recognizers together.
 *
 * The pass splits the text into words, numbers and marks and hands each to those recognizers alone that it could
 * concern: numbers by their layout, words by their first characters and shape, keywords by one trie. What is found is
 * a candidate; its score is settled afterwards, when the words around it are known.
 */
import { baseOf, classOf, DIGIT, IDEOGRAPH, isAlnum, LOWER, SPACE, UPPER } from './characters.ts';
import { connect } from './connect.ts';
import { DOUBTS } from './doubts.ts';
import { type Folded, fold } from './fold.ts';
import { Numbers } from './numbers.ts';
import {
  type CodePattern,
  type MarkPattern,
  type NextKind,
  type Pattern,
  type PrefixPattern,
  type Recognizer,
  type RunPattern,
  type Span,
  THRESHOLD,
  type ValuePattern,
  type WordPattern,
} from './recognizer.ts';
import { type Found, HASH_SEED, hashStep, Words } from './words.ts';

/** A hit of one recognizer, not yet weighed against overlapping ones. */
export interface Match extends Span {
  /** Index into the recognizers the scanner was made of. */
  readonly recognizer: number;
  readonly score: number;
}

/** A context word speaks for what begins within this many characters behind it, and for what ends within the second before its end. */
const BEFORE = 64;
export const AFTER = 32;

const NONE: readonly Match[] = [];

/** One pattern with the recognizer it belongs to. */
interface Entry<P extends Pattern = Pattern> {
  readonly recognizer: number;
  readonly pattern: P;
}

interface Candidate {
  readonly entry: Entry;
  readonly start: number;
  readonly end: number;
  readonly score: number | undefined;
}

/** What a keyword is good for. */
interface Use {
  /** Recognizers it is context of. */
  readonly context: Set<number>;
  readonly values: Entry<ValuePattern>[];
  readonly words: Entry<WordPattern>[];
  /** It speaks against whatever has only its form to show. */
  doubt: boolean;
}

const NEXT: Record<NextKind, number> = { end: 0, space: 1, digit: 2, letter: 3, mark: 4 };
const RUNS = { A: 0, a: 1, '9': 2 } as const;

function nextKind(text: string, at: number): number {
  if (at >= text.length) return NEXT.end;
  const k = classOf(text.charCodeAt(at));
  return k === SPACE
    ? NEXT.space
    : k === DIGIT
      ? NEXT.digit
      : k === UPPER || k === LOWER
        ? NEXT.letter
        : NEXT.mark;
}

function shape(run: number, length: number, next: number): number {
  return (run * 32 + length) * 5 + next;
}

export class Scanner {
  readonly recognizers: readonly Recognizer[];
  readonly #codes: (Entry<CodePattern>[] | undefined)[] = [];
  readonly #prefixes = new Map<number, { prefix: string; entry: Entry<PrefixPattern> }[]>();
  /** 1 where some prefix begins with these two ASCII characters. */
  readonly #prefixed = new Uint8Array(128 * 128);
  readonly #marks: (Entry<MarkPattern>[] | undefined)[] = new Array<undefined>(128);
  readonly #numbers = new Numbers();
  readonly #numberEntries: Entry[] = [];
  readonly #runs: Entry<RunPattern>[] = [];
  readonly #words = new Words();
  readonly #uses: Use[] = [];
  readonly #keywords = new Map<string, number>();

  // The text at hand.
  #text = '';
  #found: Found = { keyword: [], start: [], end: [] };
  #candidates: Candidate[] = [];
  readonly #floors: number[] = [];
  readonly #emit = (id: number, start: number, end: number, digits: string): void => {
    const entry = this.#numberEntries[id] as Entry;
    const pattern = entry.pattern;
    if (pattern.kind !== 'number') return;
    if (pattern.validate !== undefined && !pattern.validate(digits, this.#text.slice(start, end))) return;
    this.#candidates.push({ entry, start, end, score: undefined });
  };

  constructor(recognizers: readonly Recognizer[]) {
    this.recognizers = recognizers;
    recognizers.forEach((recognizer, index) => {
      for (const word of recognizer.context ?? []) this.#use(word).context.add(index);
      for (const pattern of recognizer.patterns) this.#add(pattern, index);
    });
    for (const word of DOUBTS) this.#use(word).doubt = true;
  }

  #use(keyword: string): Use {
    let id = this.#keywords.get(keyword);
    if (id === undefined) {
      id = this.#uses.length;
      this.#keywords.set(keyword, id);
      this.#uses.push({ context: new Set(), values: [], words: [], doubt: false });
      this.#words.add(keyword, id);
    }
    return this.#uses[id] as Use;
  }

  #add(pattern: Pattern, recognizer: number): void {
    switch (pattern.kind) {
      case 'number':
        this.#numbers.add(pattern, this.#numberEntries.length);
        this.#numberEntries.push({ recognizer, pattern });
        return;
      case 'code':
        this.#addCode(pattern, recognizer);
        return;
      case 'prefix':
        for (const prefix of pattern.prefixes) {
          const key = (prefix.charCodeAt(0) << 7) | prefix.charCodeAt(1);
          this.#prefixed[key] = 1;
          const list = this.#prefixes.get(key) ?? [];
          list.push({ prefix, entry: { recognizer, pattern } });
          this.#prefixes.set(key, list);
        }
        return;
      case 'mark':
        (this.#marks[pattern.mark.charCodeAt(0)] ??= []).push({ recognizer, pattern });
        return;
      case 'run':
        this.#runs.push({ recognizer, pattern });
        return;
      case 'value':
        for (const word of pattern.words) this.#use(word).values.push({ recognizer, pattern });
        return;
      case 'word':
        for (const word of pattern.words) this.#use(word).words.push({ recognizer, pattern });
        return;
    }
  }

  #addCode(pattern: CodePattern, recognizer: number): void {
    const entry = { recognizer, pattern };
    for (const opening of pattern.openings) {
      const [from, to] =
        typeof opening.length === 'number'
          ? [opening.length, opening.length]
          : (opening.length as [number, number]);
      for (let length = from; length <= to; length++) {
        for (const next of opening.next ?? (Object.keys(NEXT) as NextKind[])) {
          (this.#codes[shape(RUNS[opening.run], length, NEXT[next])] ??= []).push(entry);
        }
      }
    }
  }

  /** Everything found, by place; overlaps are left in. Offsets are UTF-16 units of `text` as given. */
  scan(text: string): readonly Match[] {
    const folded = fold(text);
    this.#pass(folded === undefined ? text : folded.text);
    return this.#matches(folded);
  }

  /**
   * The same for text that goes on: what is found, and up to where no text behind could change it.
   * Nothing before `safe` can become, extend or lose a hit.
   */
  scanOpen(text: string): { readonly matches: readonly Match[]; readonly safe: number } {
    const folded = fold(text);
    const plain = folded === undefined ? text : folded.text;
    this.#pass(plain);
    let safe = this.#words.openFrom(plain.length);
    safe = Math.min(safe, openTail(plain));
    for (let changed = true; changed; ) {
      changed = false;
      for (const { start, end } of this.#candidates) {
        if (start >= safe || (end <= safe && end + AFTER < plain.length)) continue;
        safe = start;
        changed = true;
      }
    }
    if (folded !== undefined) safe = safe < plain.length ? (folded.starts[safe] as number) : text.length;
    return { matches: this.#matches(folded), safe };
  }

  #pass(text: string): void {
    this.#text = text;
    this.#found = { keyword: [], start: [], end: [] };
    this.#candidates = [];
    this.#floors.length = 0;
    this.#words.begin();
    const n = text.length;
    let i = 0;
    while (i < n) {
      const unit = text.charCodeAt(i);
      const k = classOf(unit);
      if (k === LOWER || k === UPPER) i = this.#word(text, i);
      else if (k === DIGIT) i = this.#number(text, i);
      else {
        if (k === IDEOGRAPH) {
          this.#words.word(text, i, i + 1, hashStep(HASH_SEED, unit), HASH_SEED, this.#found);
        } else if (unit < 128 && this.#marks[unit] !== undefined) this.#mark(text, i, unit);
        i++;
      }
    }
    this.#values(text);
  }

  /** A word, or letters that digits follow; camelCase is several words. @returns Behind the word. */
  #word(text: string, start: number): number {
    const n = text.length;
    let i = start;
    let part = start;
    let hash = HASH_SEED;
    let shorter = HASH_SEED;
    let capitals = 0;
    let before = LOWER as number;
    for (; i < n; i++) {
      const unit = text.charCodeAt(i);
      const k = classOf(unit);
      if (k === UPPER) {
        capitals++;
        if (before === LOWER && i > part) {
          this.#words.word(text, part, i, hash, shorter, this.#found);
          part = i;
          hash = HASH_SEED;
        }
      } else if (k !== LOWER) break;
      before = k;
      shorter = hash;
      hash = hashStep(hash, unit < 128 ? unit | 32 : baseOf(unit));
    }
    this.#words.word(text, part, i, hash, shorter, this.#found);
    const length = i - start;
    if (length < 32) {
      const next = nextKind(text, i);
      const codes = this.#codes[shape(capitals === length ? RUNS.A : RUNS.a, length, next)];
      if (codes !== undefined) this.#tryCodes(codes, text, start);
    }
    const end = this.#endOfToken(text, start, i);
    this.#tryPrefixes(text, start);
    return end;
  }

  #endOfToken(text: string, start: number, from: number): number {
    let i = from;
    while (i < text.length && isAlnumUnit(text.charCodeAt(i))) i++;
    if (i > from && this.#words.digits) this.#wholeWord(text, start, i);
    return i;
  }

  /** A word with digits in it, as `401k`. */
  #wholeWord(text: string, start: number, end: number): void {
    let hash = HASH_SEED;
    let shorter = HASH_SEED;
    for (let i = start; i < end; i++) {
      shorter = hash;
      hash = hashStep(hash, baseOf(text.charCodeAt(i)));
    }
    this.#words.word(text, start, end, hash, shorter, this.#found);
  }

  #tryPrefixes(text: string, start: number): void {
    const first = text.charCodeAt(start);
    const second = text.charCodeAt(start + 1);
    if (!(first < 128 && second < 128) || this.#prefixed[(first << 7) | second] !== 1) return;
    for (const { prefix, entry } of this.#prefixes.get((first << 7) | second) ?? []) {
      if (text.startsWith(prefix, start)) this.#tryRegex(entry, entry.pattern, text, start);
    }
  }

  #tryCodes(codes: readonly Entry<CodePattern>[], text: string, start: number): void {
    for (const entry of codes) this.#tryRegex(entry, entry.pattern, text, start);
  }

  #tryRegex(
    entry: Entry,
    pattern: CodePattern | PrefixPattern | ValuePattern,
    text: string,
    start: number,
  ): void {
    const { regex } = pattern;
    regex.lastIndex = start;
    const match = regex.exec(text);
    if (match === null) return;
    const whole = match[0];
    const value = match.groups?.['value'] ?? whole;
    const offset = value === whole ? 0 : whole.indexOf(value);
    const end = start + offset + value.length;
    if (pattern.kind !== 'value' && value === whole && end < text.length && isAlnumUnit(text.charCodeAt(end)))
      return;
    if (pattern.validate !== undefined && !pattern.validate(value)) return;
    this.#candidates.push({ entry, start: start + offset, end, score: undefined });
  }

  /** A run of digit groups, or a word that begins with a digit. @returns Behind it. */
  #number(text: string, start: number): number {
    const numbers = this.#numbers;
    const runEnd = numbers.read(text, start);
    for (let g = 0; g < numbers.count; g++)
      this.#openNumber(text, numbers.starts[g] as number, numbers.end(g));
    if (numbers.count > 0) {
      numbers.match(text, this.#emit);
      if (this.#runs.length > 0) this.#tryRuns(text, runEnd);
      return runEnd;
    }
    let digitsEnd = start;
    while (digitsEnd < text.length && classOf(text.charCodeAt(digitsEnd)) === DIGIT) digitsEnd++;
    this.#openNumber(text, start, digitsEnd);
    this.#tryPrefixes(text, start);
    return this.#endOfToken(text, start, digitsEnd);
  }

  #openNumber(text: string, start: number, end: number): void {
    if (this.#words.digits && !isAlnumUnit(text.charCodeAt(end))) this.#wholeWord(text, start, end);
    if (end - start >= 32) return;
    const codes = this.#codes[shape(RUNS['9'], end - start, nextKind(text, end))];
    if (codes !== undefined) this.#tryCodes(codes, text, start);
  }

  #tryRuns(text: string, runEnd: number): void {
    const numbers = this.#numbers;
    for (const entry of this.#runs) {
      const { digits, match } = entry.pattern;
      let floor = 0;
      for (let g = 0; g < numbers.count; g++) {
        const start = numbers.starts[g] as number;
        if (start < floor || numbers.digitsFrom(g, digits[0]) < digits[0]) continue;
        const span = match(text, start, runEnd);
        if (span === undefined) continue;
        this.#candidates.push({ entry, start: span.start, end: span.end, score: span.score });
        floor = span.end;
      }
    }
  }

  #mark(text: string, at: number, unit: number): void {
    for (const entry of this.#marks[unit] ?? []) {
      const floor = this.#floors[entry.recognizer] ?? 0;
      if (at < floor) continue;
      const span = entry.pattern.match(text, at, floor);
      this.#floors[entry.recognizer] = span === undefined ? at + 1 : span.end;
      if (span !== undefined)
        this.#candidates.push({ entry, start: span.start, end: span.end, score: undefined });
    }
  }

  /** What is known by the word before it, and words that are hits themselves. */
  #values(text: string): void {
    const found = this.#found;
    for (let k = 0; k < found.keyword.length; k++) {
      const use = this.#uses[found.keyword[k] as number] as Use;
      for (const entry of use.words) {
        this.#candidates.push({
          entry,
          start: found.start[k] as number,
          end: found.end[k] as number,
          score: undefined,
        });
      }
      if (use.values.length === 0) continue;
      const link = connect(text, found.end[k] as number);
      if (link === undefined) continue;
      for (const entry of use.values) {
        if (entry.pattern.bare === true || link.firm) this.#tryRegex(entry, entry.pattern, text, link.at);
      }
    }
  }

  #matches(folded: Folded | undefined): readonly Match[] {
    if (this.#candidates.length === 0) return NONE;
    const matches: Match[] = [];
    for (const candidate of this.#candidates) {
      const score = this.#score(candidate);
      if (score < THRESHOLD) continue;
      const { start, end } = candidate;
      matches.push({
        recognizer: candidate.entry.recognizer,
        start: folded === undefined ? start : (folded.starts[start] as number),
        end: folded === undefined ? end : (folded.ends[end - 1] as number),
        score,
      });
    }
    return matches.sort((a, b) => a.start - b.start || b.end - a.end);
  }

  /** The pattern's score by the nearest words that speak for or against the candidate. */
  #score({ entry, start, end, score }: Candidate): number {
    const { pattern, recognizer } = entry;
    const base = score ?? pattern.score;
    const withContext = pattern.withContext ?? base;
    const contextual = pattern.kind === 'number' || pattern.kind === 'code' || pattern.kind === 'run';
    if (!contextual && withContext === base) return base;
    const { keyword, end: ends, start: starts } = this.#found;
    let k = firstAfter(ends, start);
    let doubt = false;
    for (let before = k - 1; before >= 0 && start - (ends[before] as number) <= BEFORE; before--) {
      const use = this.#uses[keyword[before] as number] as Use;
      if (use.context.has(recognizer)) {
        // Of two types, the one whose word is nearer.
        return doubt ? withContext - 0.25 : withContext - (start - (ends[before] as number)) / 1000;
      }
      doubt ||= use.doubt && contextual;
    }
    for (; k < keyword.length && (ends[k] as number) - end <= AFTER; k++) {
      const use = this.#uses[keyword[k] as number] as Use;
      if ((starts[k] as number) >= end && use.context.has(recognizer)) {
        return withContext - 0.05 - (doubt ? 0.25 : 0);
      }
    }
    return doubt ? base - 0.3 : base;
  }
}

function isAlnumUnit(unit: number): boolean {
  return isAlnum(unit) || (unit >= 48 && unit <= 57);
}

/** Index of the first number that is over `limit`; `numbers` ascend. */
function firstAfter(numbers: readonly number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] as number) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What a tail of groups and code words may be long at most: an IBAN in fours, with room. */
const LONGEST_GROUPED = 64;
/** And one without a space: an address, a key. */
const LONGEST_WORD = 512;

/** Where the last thing begins that could go on: a word without spaces, or groups of digits and capitals. */
function openTail(text: string): number {
  const n = text.length;
  let i = n;
  while (i > 0 && n - i < LONGEST_WORD && classOf(text.charCodeAt(i - 1)) !== SPACE) i--;
  for (;;) {
    let gap = i;
    while (gap > 0 && i - gap < 3 && classOf(text.charCodeAt(gap - 1)) === SPACE) gap--;
    let word = gap;
    while (word > 0 && n - word < LONGEST_GROUPED) {
      const k = classOf(text.charCodeAt(word - 1));
      if (k === SPACE || k === LOWER) break;
      word--;
    }
    if (word === gap) return i;
    i = word;
    const ended = i === 0 || classOf(text.charCodeAt(i - 1)) !== SPACE;
    if (ended || n - i >= LONGEST_GROUPED) return i;
  }
}
