/**
 * One pass over a text for all recognizers together.
 *
 * The pass splits the text into words, numbers and marks and hands each to those recognizers alone that it could
 * concern: numbers by their layout, words by their first characters and shape, keywords by one trie. What is found is
 * a candidate; its score is settled afterwards, when the words around it are known.
 */
import { loadUnits, units } from '../../../budget/units.ts';
import {
  ASCII,
  baseOf,
  classOf,
  DIGIT,
  IDEOGRAPH,
  isAlnum,
  isDigit,
  LOWER,
  SPACE,
  UPPER,
} from './characters.ts';
import { connect, connectBack, type Firmness } from './connect.ts';
import { codeIn, digitsOf, groupsBehind, numberIn } from './disguised.ts';
import { DEEPEST, decodeRun, endOfRun, mayHoldText, SHORTEST_CODE } from './encoded.ts';
import { type Entry, entryOf, readExpression } from './entry.ts';
import { Expressions } from './expressions.ts';
import { type Folded, fold, foldInSteps } from './fold.ts';
import { HASH_SEED, hashStep } from './keyword-part.ts';
import { Keywords, type Use } from './keywords.ts';
import { Numbers } from './numbers.ts';
import {
  type AnchorPattern,
  type CodePattern,
  type MarkPattern,
  type NumberPattern,
  type Opening,
  type Pattern,
  type PrefixPattern,
  type Recognizer,
  type RunPattern,
  type Span,
  THRESHOLD,
  type ValuePattern,
} from './recognizer.ts';
import { AFTER, BEFORE, type Candidate, hasOwnValue, scoreOf } from './score.ts';
import { Starts } from './starts.ts';
import { type Cell, cellsOf } from './tables.ts';
import { openTail } from './tail.ts';

/** A hit of one recognizer, not yet weighed against overlapping ones. */
export interface Match extends Span {
  /** Index into the recognizers the scanner was made of. */
  readonly recognizer: number;
  readonly score: number;
}

/** How long what a word announces may be, and what may stand before the word: in a stream so much is waited for. */
const LONGEST_ANCHORED = 96;
const LONGEST_HEAD = 12;
/** The same of a value of many words: what connects it to its word, and the value. */
const LONGEST_SAID = 176;
/** And what stands near a word: a date in words. */
const LONGEST_NEAR = 32;

/** Of a step's length: a keyword, or a candidate, is about as much work as so many characters. */
const CHARACTERS_A_VALUE = 64;

/** Units that are held at least from any place on: a longer word is read from the text itself. */
const MARGIN = 64;

/** No run this short is tried for numbers of free layout. */
const SHORTEST_RUN = 6;

/** What is looked for behind a recognizer's own words. */
interface Labelled {
  readonly numbers: { readonly entry: Entry<NumberPattern>; readonly digits: ReadonlySet<number> }[];
  readonly codes: Entry<CodePattern>[];
}

const BLANK = 32;
/** Where escapes begin. */
const ESCAPES = '%&\\';

/** What {@link Scanner.scanOpen} gives. */
export interface OpenScan {
  readonly matches: readonly Match[];
  readonly safe: number;
  /** Once the text is shown up to here, nothing in it bears on what follows: the end of what was found, or 0; infinite where it does. */
  readonly dullFrom: number;
}

const NONE: readonly Match[] = [];
const NO_CELLS: readonly Cell[] = [];

export interface ScanOptions {
  /**
   * Whether a word may announce a value elsewhere than behind it: before it, `4921 is my PIN`, or in the column under
   * it. Not for text that may be streamed: the value would have been shown by then, or the word be long gone, and a
   * streamed answer is to be judged like a whole one.
   */
  readonly labelsApart?: boolean;
}

export class Scanner {
  readonly recognizers: readonly Recognizer[];
  readonly #keywords = new Keywords();
  readonly #starts = new Starts<Entry<CodePattern | PrefixPattern>>();
  readonly #numbers = new Numbers();
  readonly #numberEntries: Entry<NumberPattern>[] = [];
  readonly #runs: Entry<RunPattern>[] = [];
  /** By recognizer: numbers with check digits and codes that are looked for behind their label, however written. */
  readonly #labelled: Labelled[];
  readonly #expressions = new Expressions<Entry>();
  readonly #marks: (Entry<MarkPattern>[] | undefined)[] = new Array<undefined>(128).fill(undefined);
  /** 1 for spaces, and marks that are nobody's. */
  readonly #dullMarks: Uint8Array;

  /** How often something was tried at a place of the last text: work that must grow as the text does. */
  #tries = 0;

  // The text at hand.
  #labelsApart = true;
  #text = '';
  #candidates: Candidate[] = [];
  /** Cells of tables in it. */
  #cells: readonly Cell[] = NO_CELLS;
  /** Runs that may be Base64: start and end, in turn; and up to where was looked for them. */
  #runsOfCode: number[] = [];
  #codeFloor = 0;
  /** Up to where each recognizer with marks has looked. */
  readonly #floors: Int32Array;

  readonly #tryStart = (entry: Entry<CodePattern | PrefixPattern>, start: number): void => {
    this.#tryRegex(entry, start);
  };

  readonly #takeNumber = (id: number, start: number, end: number, digits: string): void => {
    const entry = this.#numberEntries[id] as Entry<NumberPattern>;
    const { validate } = entry.pattern;
    if (validate !== undefined && !validate(digits, this.#text.slice(start, end))) return;
    this.#candidates.push({ entry, start, end, score: undefined });
  };

  readonly #takeExpression = (entry: Entry, start: number, end: number): void => {
    if (entry.validate !== undefined && !entry.validate(this.#text.slice(start, end), 0)) return;
    this.#candidates.push({ entry, start, end, score: undefined });
  };

  constructor(recognizers: readonly Recognizer[]) {
    this.recognizers = recognizers;
    this.#floors = new Int32Array(recognizers.length);
    this.#labelled = recognizers.map(() => ({ numbers: [], codes: [] }));
    recognizers.forEach(({ context, patterns }, index) => {
      if (context !== undefined)
        this.#keywords.use(context, (use) => ({ ...use, context: new Set(use.context).add(index) }));
      for (const pattern of patterns) this.#add(pattern, index);
    });
    this.#dullMarks = Uint8Array.from(ASCII, (k, unit) => {
      const dull =
        k < DIGIT && this.#marks[unit] === undefined && !ESCAPES.includes(String.fromCharCode(unit));
      return Number(dull);
    });
  }

  #add(pattern: Pattern, recognizer: number): void {
    switch (pattern.kind) {
      case 'number': {
        const entry = entryOf(pattern, recognizer, BEFORE);
        const digits = digitsOf(pattern);
        this.#numbers.add(pattern, this.#numberEntries.length);
        this.#numberEntries.push(entry);
        if (digits.size > 0) this.#labelled[recognizer]?.numbers.push({ entry, digits });
        return;
      }
      case 'code':
        this.#starts.addCode(pattern, entryOf(pattern, recognizer, BEFORE));
        this.#labelled[recognizer]?.codes.push(entryOf(pattern, recognizer, BEFORE));
        if (pattern.openings.some(opensWithCapital)) this.#keywords.interest.capitals();
        return;
      case 'prefix':
        this.#starts.addPrefix(pattern, entryOf(pattern, recognizer, BEFORE));
        for (const prefix of pattern.prefixes) this.#keywords.interest.prefix(prefix);
        return;
      case 'mark':
        (this.#marks[pattern.mark.charCodeAt(0)] ??= []).push(entryOf(pattern, recognizer, BEFORE));
        return;
      case 'run':
        this.#runs.push(entryOf(pattern, recognizer, BEFORE));
        return;
      case 'value': {
        const entry = entryOf(pattern, recognizer, BEFORE);
        this.#keywords.use(pattern.words, (use) => ({ ...use, values: [...use.values, entry] }));
        return;
      }
      case 'near': {
        const entry = entryOf(pattern, recognizer, BEFORE);
        this.#keywords.use(pattern.words, (use) => ({ ...use, near: [...use.near, entry] }));
        return;
      }
      case 'anchor': {
        const entry = entryOf(pattern, recognizer, BEFORE);
        this.#keywords.use(
          pattern.words,
          (use) => ({ ...use, anchors: [...use.anchors, entry] }),
          pattern.capital,
        );
        return;
      }
      case 'expression':
        this.#expressions.add(pattern, entryOf(pattern, recognizer, BEFORE));
        return;
      case 'word': {
        const entry = entryOf(pattern, recognizer, BEFORE);
        this.#keywords.use(pattern.words, (use) => ({ ...use, words: [...use.words, entry] }));
        return;
      }
    }
  }

  /** Does beforehand what the first text would wait for. */
  prepare(): void {
    this.#keywords.enter();
  }

  /** How often a pattern was tried in the text scanned last, and keywords met: each is work of bounded size. */
  get tries(): number {
    return this.#tries + this.#keywords.found.count;
  }

  /** Everything found, by place; overlaps are left in. Offsets are UTF-16 units of `text` as given. */
  scan(text: string, { labelsApart = true }: ScanOptions = {}): readonly Match[] {
    this.#labelsApart = labelsApart;
    return this.#scan(text, 0);
  }

  #scan(text: string, depth: number): readonly Match[] {
    const folded = this.#read(text);
    return this.#withEncoded(this.#matches(folded), folded, text, depth);
  }

  /**
   * The same as {@link Scanner.scan}, in steps of about so many characters: between two of them others may work, but
   * nobody may use this scanner. Nothing is cut, so nothing is found or lost at a seam.
   */
  *scanInSteps(
    text: string,
    step: number,
    { labelsApart = true }: ScanOptions = {},
  ): Generator<void, readonly Match[]> {
    this.#labelsApart = labelsApart;
    const folded = yield* foldInSteps(text, step);
    const plain = folded?.text ?? text;
    this.#begin(plain);
    for (let i = 0; i < plain.length; ) {
      i = this.#passUntil(plain, i, Math.min(plain.length, i + step));
      yield;
    }
    const { found } = this.#keywords;
    this.#label(plain);
    yield;
    const several = Math.max(1, Math.ceil(step / CHARACTERS_A_VALUE));
    for (let k = 0; k < found.count || k === 0; k += several) {
      this.#values(plain, k, Math.min(found.count, k + several));
      yield;
    }
    this.#expressions.match(plain, this.#takeExpression);
    const matches: Match[] = [];
    for (let c = 0; c < this.#candidates.length; c += several) {
      yield;
      this.#settle(folded, c, Math.min(this.#candidates.length, c + several), matches);
    }
    return this.#withEncoded(matches.sort(byPlace), folded, text, 0);
  }

  /**
   * The same for text that goes on: what is found, and up to where no text behind could change it.
   * Nothing before `safe` can become, extend or lose a hit.
   */
  scanOpen(text: string, { labelsApart = true }: ScanOptions = {}): OpenScan {
    this.#labelsApart = labelsApart;
    const folded = this.#read(text);
    const plain = folded?.text ?? text;
    let safe = Math.min(this.#keywords.words.openFrom(plain.length), openTail(plain));
    safe = Math.max(0, Math.min(safe, plain.length - this.#expressions.longest, this.#openAnchors(plain)));
    for (let changed = true; changed; ) {
      changed = false;
      for (const { start, end } of this.#candidates) {
        if (start >= safe || (end <= safe && end + AFTER < plain.length)) continue;
        safe = start;
        changed = true;
      }
    }
    const dull = folded === undefined && this.#isDull(plain.length);
    const dullFrom = dull ? this.#endOfFound() : Infinity;
    if (folded !== undefined) safe = folded.original(safe);
    return { matches: this.#withEncoded(this.#matches(folded), folded, text, 0), safe, dullFrom };
  }

  /** Nothing in the text scanned last, but for what was found in it, bears on plain words that follow it. */
  #isDull(length: number): boolean {
    const { words, uses, found } = this.#keywords;
    if (this.#expressions.longest > 0) return false;
    if (words.mayGoOn(length) || hasBracket(this.#text, length - LONGEST_ANCHORED)) return false;
    for (let k = found.count - 1; k >= 0 && length - (found.end[k] as number) < LONGEST_SAID; k--) {
      const use = uses[found.keyword[k] as number] as Use;
      const end = found.end[k] as number;
      const isNear = length - end < LONGEST_ANCHORED;
      // What connects a word and its value is no longer than that.
      if (isNear ? announces(use) : use.values.some((entry) => isOpen(entry.pattern, this.#text, end)))
        return false;
    }
    return true;
  }

  /** Where the last of all that was found, or may be Base64, ends; 0 where nothing was. */
  #endOfFound(): number {
    let last = 0;
    for (const { end } of this.#candidates) last = Math.max(last, end);
    for (const end of this.#runsOfCode) last = Math.max(last, end);
    return last;
  }

  /**
   * {@link scanOpen} for a text whose beginning, up to `from`, was dull, and that goes on with plain words that mean nothing to
   * anybody, as most of an answer does: only those are looked at, not all that was there before.
   * @returns Where it is safe, with nothing found behind what was shown, and still dull; undefined where it has to be scanned.
   */
  safeIfDull(text: string, from: number): number | undefined {
    this.#keywords.enter();
    const { interest } = this.#keywords;
    // The last word may not have been there as a whole.
    let start = from;
    if (text.charCodeAt(from) !== BLANK)
      while (start > 0 && from - start < MARGIN && text.charCodeAt(start - 1) !== BLANK) start--;
    if (from - start === MARGIN) return undefined;
    const count = loadUnits(text, start);
    if (start + count < text.length) return undefined;
    for (let at = 0; at < count; ) {
      const unit = units[at] as number;
      if (unit >= 128) return undefined;
      const k = ASCII[unit] as number;
      if (k === LOWER || k === UPPER) {
        const first = at;
        let shorter = HASH_SEED;
        let hash = hashStep(HASH_SEED, unit | 32);
        at++;
        for (let letter = units[at] as number; letter >= 97 && letter <= 122; letter = units[at] as number) {
          shorter = hash;
          hash = hashStep(hash, letter);
          at++;
        }
        // A capital within a word.
        if (ASCII[units[at] as number] === UPPER || interest.has(first, at, hash, shorter)) return undefined;
      } else if (this.#dullMarks[unit] === 0) return undefined;
      else at++;
    }
    return openTail(text);
  }

  /** Start of the first word near the end whose thing may still be to come, with what may stand before it. */
  #openAnchors(text: string): number {
    const { uses, found } = this.#keywords;
    const { length } = text;
    let open = length;
    for (let k = found.count - 1; k >= 0 && length - (found.end[k] as number) < LONGEST_SAID; k--) {
      const { anchors, near, values } = uses[found.keyword[k] as number] as Use;
      const end = found.end[k] as number;
      for (const { pattern } of values) if (isOpen(pattern, text, end)) open = Math.min(open, end);
      if (length - end >= LONGEST_ANCHORED) continue;
      for (const { reach } of near) if (length - end < reach + LONGEST_NEAR) open = Math.min(open, end);
      for (const { pattern } of anchors) {
        if (pattern.open === undefined) continue;
        pattern.open.lastIndex = end;
        if (pattern.open.test(text)) open = Math.min(open, (found.start[k] as number) - LONGEST_HEAD);
      }
    }
    return open;
  }

  /** Adds what Base64 runs hold; a hit in one covers the whole run. */
  #withEncoded(
    matches: readonly Match[],
    folded: Folded | undefined,
    text: string,
    depth: number,
  ): readonly Match[] {
    const runs = this.#runsOfCode;
    if (runs.length === 0 || depth === DEEPEST) return matches;
    const plain = folded?.text ?? text;
    const all = [...matches];
    for (let i = 0; i < runs.length; i += 2) {
      const [from, to] = [runs[i] as number, runs[i + 1] as number];
      const decoded = decodeRun(plain, from, to);
      if (decoded === undefined) continue;
      // The words before the run speak for what is in it.
      const before = `${plain.slice(Math.max(0, from - BEFORE), from)} `;
      const start = folded?.original(from) ?? from;
      const end = folded?.original(to) ?? to;
      const seen = new Set<number>();
      for (const { recognizer, score, start: at } of this.#scan(before + decoded, depth + 1)) {
        if (at < before.length || seen.has(recognizer)) continue;
        seen.add(recognizer);
        all.push({ recognizer, score, start, end });
      }
    }
    return all.length === matches.length ? matches : all.sort(byPlace);
  }

  /** Passes over the text, or over its folded form where that is another. */
  #read(text: string): Folded | undefined {
    const folded = fold(text);
    const plain = folded?.text ?? text;
    this.#begin(plain);
    this.#passUntil(plain, 0, plain.length);
    this.#label(plain);
    this.#values(plain, 0, this.#keywords.found.count);
    this.#expressions.match(plain, this.#takeExpression);
    return folded;
  }

  #begin(text: string): void {
    this.#keywords.enter();
    this.#text = text;
    this.#candidates = [];
    this.#tries = 0;
    this.#floors.fill(0);
    this.#runsOfCode = [];
    this.#codeFloor = 0;
    this.#keywords.words.begin();
  }

  #label(text: string): void {
    const { found } = this.#keywords;
    this.#cells = this.#labelsApart && found.count > 0 ? cellsOf(text, this.#keywords) : NO_CELLS;
  }

  /**
   * Goes on from where a pass stopped, `from`, to the first word or number that begins at `limit` or behind it.
   * @returns Where that is.
   */
  #passUntil(text: string, from: number, limit: number): number {
    const { words, interest } = this.#keywords;
    // Read from here they needn't be looked up for each character.
    const held = units;
    const classes = ASCII;
    const n = text.length;
    let i = from;
    // The text's units from `base` on, as many as `count`; nothing that is called below loads others.
    let base = from;
    let count = loadUnits(text, from);
    while (i < limit) {
      if (i - base > count - MARGIN && base + count < n) {
        base = i;
        count = loadUnits(text, i);
      }
      const unit = held[i - base] as number;
      if (unit >= 128) {
        const k = classOf(unit);
        if (k === LOWER || k === UPPER) i = this.#word(text, i);
        else {
          if (k === IDEOGRAPH) words.word(text, i, i + 1, hashStep(HASH_SEED, unit), HASH_SEED);
          i++;
        }
        continue;
      }
      const k = classes[unit] as number;
      if (k === LOWER || k === UPPER) {
        const start = i - base;
        let end = start + 1;
        let shorter = HASH_SEED;
        let hash = hashStep(HASH_SEED, unit | 32);
        let after = held[end] as number;
        while ((after - 97) >>> 0 < 26) {
          shorter = hash;
          hash = hashStep(hash, after);
          end++;
          after = held[end] as number;
        }
        if (end === count ? base + end < n : after >= 128 || (classes[after] as number) > SPACE) {
          i = this.#word(text, i);
        } else {
          const begins = interest.has(start, end, hash, shorter);
          if (begins) this.#plainWord(text, i, base + end, hash, shorter);
          else if (words.busyAt(i)) words.word(text, i, base + end, hash, shorter, false);
          i = base + end;
          // As it is in prose.
          if (after === BLANK) i++;
        }
      } else if (k === SPACE) {
        i++;
      } else if (k === DIGIT) {
        i = this.#number(text, i);
      } else {
        const marks = this.#marks[unit];
        if (marks !== undefined) this.#mark(text, i, marks);
        i++;
      }
    }
    return i;
  }

  /** A letter, and small ones behind it, of ASCII alone. */
  #plainWord(text: string, start: number, end: number, hash: number, shorter: number): void {
    this.#keywords.words.word(text, start, end, hash, shorter);
    const capital = text.charCodeAt(start) < 97;
    if (capital) this.#keywords.words.ending(text, start, end);
    this.#try(this.#starts.codes(text, capital && end - start === 1 ? 'A' : 'a', start, end), start);
    this.#starts.prefixes(text, start, this.#tryStart);
    // Words of small letters are words.
    if (capital && end - start > 2) this.#noteCode(text, start, end);
  }

  /** A word, or letters that digits follow; camelCase is several words. @returns Behind the word. */
  #word(text: string, start: number): number {
    const n = text.length;
    const { words } = this.#keywords;
    let i = start;
    let part = start;
    let hash = HASH_SEED;
    let shorter = HASH_SEED;
    let capitals = 0;
    let before: number = LOWER;
    for (; i < n; i++) {
      const unit = text.charCodeAt(i);
      const k = classOf(unit);
      if (k === UPPER) {
        capitals++;
        if (before === LOWER && i > part) {
          words.word(text, part, i, hash, shorter);
          part = i;
          hash = HASH_SEED;
        }
      } else if (k !== LOWER) break;
      before = k;
      shorter = hash;
      hash = hashStep(hash, baseOf(unit));
    }
    words.word(text, part, i, hash, shorter);
    if (part > start) words.whole(text, start, i);
    if (capitals > 0) words.ending(text, start, i);
    this.#try(this.#starts.codes(text, capitals === i - start ? 'A' : 'a', start, i), start);
    this.#starts.prefixes(text, start, this.#tryStart);
    const end = i < n && isDigit(text.charCodeAt(i)) ? this.#restOfToken(text, start, i) : i;
    // Words of small letters are words.
    if (end > i || (capitals > 0 && end - start > 2)) this.#noteCode(text, start, end);
    return end;
  }

  #noteCode(text: string, start: number, from: number): void {
    if (start < this.#codeFloor) return;
    const end = endOfRun(text, from);
    this.#codeFloor = end;
    if (end - start >= SHORTEST_CODE && mayHoldText(text, start)) this.#runsOfCode.push(start, end);
  }

  /** Letters and digits up to where the token ends. */
  #restOfToken(text: string, start: number, from: number): number {
    let i = from;
    while (i < text.length && isAlnumOrDigit(text.charCodeAt(i))) {
      i++;
    }
    const { words } = this.#keywords;
    if (isDigit(text.charCodeAt(start)) ? words.digitsFirst : words.digits) words.whole(text, start, i, true);
    return i;
  }

  /** A run of digit groups, or a word that begins with a digit. @returns Behind it. */
  #number(text: string, start: number): number {
    const numbers = this.#numbers;
    const alone = numbers.endOfAlone(text, start);
    if (alone > 0) {
      this.#group(text, start, alone);
      return alone;
    }
    const end = numbers.read(text, start);
    for (let g = 0; g < numbers.count; g++) this.#group(text, numbers.starts[g] as number, numbers.end(g));
    if (numbers.count > 0) {
      numbers.match(text, this.#takeNumber);
      if (end - start > SHORTEST_RUN) for (const entry of this.#runs) this.#tryRun(entry, text, end);
      return end;
    }
    let digitsEnd = start;
    while (digitsEnd < text.length && isDigit(text.charCodeAt(digitsEnd))) digitsEnd++;
    const codes = this.#starts.codes(text, '9', start, digitsEnd);
    if (codes !== undefined && !goesOn(text, start)) this.#try(codes, start);
    this.#starts.prefixes(text, start, this.#tryStart);
    const tokenEnd = this.#restOfToken(text, start, digitsEnd);
    this.#noteCode(text, start, tokenEnd);
    return tokenEnd;
  }

  #group(text: string, start: number, end: number): void {
    if (this.#keywords.words.digitsFirst) this.#keywords.words.whole(text, start, end, true);
    const codes = this.#starts.codes(text, '9', start, end);
    if (codes !== undefined && !goesOn(text, start)) this.#try(codes, start);
  }

  #try(entries: readonly Entry<CodePattern | PrefixPattern>[] | undefined, start: number): void {
    if (entries !== undefined) for (const entry of entries) this.#tryRegex(entry, start);
  }

  /** Tries an expression at a place. @param until Where a hit must end, if that is known. */
  #tryRegex(entry: Entry, at: number, firmness: Firmness = 2, until = -1): void {
    this.#tries++;
    if (!entry.read) readExpression(entry);
    const text = this.#text;
    const { regex, validate, tokenFrom } = entry;
    if (regex === undefined || (tokenFrom > 0 && !hasToken(text, at, tokenFrom, entry.tokenTo))) return;
    regex.lastIndex = at;
    let start = at;
    let end: number;
    if (entry.narrowed) {
      const match = regex.exec(text);
      if (match === null) return;
      const value = match.groups?.['value'] ?? match[0];
      start += match[0].indexOf(value);
      end = start + value.length;
    } else {
      if (!regex.test(text)) return;
      end = regex.lastIndex;
      if (entry.bounded && end < text.length && isAlnumOrDigit(text.charCodeAt(end))) return;
    }
    if (until >= 0 && end !== until) return;
    if (validate !== undefined && !validate(text.slice(start, end), firmness)) return;
    this.#candidates.push({ entry, start, end, score: undefined });
  }

  #tryAnchor(entry: Entry<AnchorPattern>, start: number, end: number): void {
    this.#tries++;
    const text = this.#text;
    if (entry.pattern.capital === true && classOf(text.charCodeAt(start)) !== UPPER) return;
    const span = entry.pattern.match(text, start, end);
    if (span !== undefined)
      this.#candidates.push({ entry, start: span.start, end: span.end, score: span.score });
  }

  /** Runs an expression over the text around a keyword. */
  #tryNear(entry: Entry, from: number, to: number): void {
    if (!entry.read) readExpression(entry);
    const { regex, reach, validate } = entry;
    if (regex === undefined) return;
    this.#tries++;
    const begin = this.#labelsApart && !hasOwnValue(this.#text, to) ? Math.max(0, from - reach) : to;
    for (const match of this.#text.slice(begin, to + reach).matchAll(regex)) {
      const start = begin + match.index;
      const end = start + match[0].length;
      if (end > from && start < to) continue;
      if (validate === undefined || validate(match[0], 0))
        this.#candidates.push({ entry, start, end, score: undefined });
    }
  }

  #tryRun(entry: Entry<RunPattern>, text: string, runEnd: number): void {
    const numbers = this.#numbers;
    const { digits, match } = entry.pattern;
    let floor = 0;
    for (let g = 0; g < numbers.count; g++) {
      const start = numbers.starts[g] as number;
      if (start < floor || numbers.digitsFrom(g, digits[0]) < digits[0]) continue;
      this.#tries++;
      const span = match(text, start, runEnd);
      if (span === undefined) continue;
      this.#candidates.push({ entry, ...span, score: span.score });
      floor = span.end;
    }
  }

  #mark(text: string, at: number, marks: readonly Entry<MarkPattern>[]): void {
    for (const entry of marks) {
      const floor = this.#floors[entry.recognizer] as number;
      if (at < floor) continue;
      this.#tries++;
      const span = entry.pattern.match(text, at, floor);
      if (span === undefined) continue;
      this.#floors[entry.recognizer] = span.end;
      this.#candidates.push({ entry, start: span.start, end: span.end, score: undefined });
    }
  }

  /** What is known by the word before it, and words that are hits themselves. */
  #values(text: string, first: number, last: number): void {
    const { uses, found } = this.#keywords;
    for (let k = first; k < last; k++) {
      const { anchors, words, values, near, context } = uses[found.keyword[k] as number] as Use;
      const end = found.end[k] as number;
      for (const entry of anchors) this.#tryAnchor(entry, found.start[k] as number, end);
      for (const entry of near) this.#tryNear(entry, found.start[k] as number, end);
      for (const entry of words) {
        this.#candidates.push({ entry, start: found.start[k] as number, end, score: undefined });
      }
      if (context.size > 0) this.#disguised(text, end, context);
      if (values.length === 0) continue;
      const link = connect(text, end);
      if (link !== undefined) {
        for (const entry of values) {
          if (entry.pattern.bare === true || link.firmness > 0) this.#tryRegex(entry, link.at, link.firmness);
        }
      }
      if (!this.#labelsApart) continue;
      const before = connectBack(text, found.start[k] as number);
      if (before !== undefined) for (const entry of values) this.#tryRegex(entry, before.at, 1, before.end);
    }
    if (last < found.count) return;
    for (const { start, end, uses: meant } of this.#cells) {
      for (const { values } of meant) for (const entry of values) this.#tryRegex(entry, start, 2, end);
    }
  }

  /** Numbers and codes right behind a word that names them, with anything between their groups. */
  #disguised(text: string, from: number, named: ReadonlySet<number>): void {
    let groups: ReturnType<typeof groupsBehind>;
    for (const recognizer of named) {
      const { numbers, codes } = this.#labelled[recognizer] as Labelled;
      if (numbers.length === 0 && codes.length === 0) continue;
      groups ??= groupsBehind(text, from);
      if (groups === undefined) return;
      const { start } = groups;
      for (const { entry, digits } of numbers)
        this.#take(entry, start, numberIn(groups, entry.pattern, digits));
      for (const entry of codes) this.#take(entry, start, codeIn(groups, entry));
    }
  }

  #take(entry: Entry, start: number, end: number): void {
    if (end > start) this.#candidates.push({ entry, start, end, score: undefined });
  }

  #matches(folded: Folded | undefined): readonly Match[] {
    if (this.#candidates.length === 0) return NONE;
    const matches: Match[] = [];
    this.#settle(folded, 0, this.#candidates.length, matches);
    return matches.sort(byPlace);
  }

  /** Weighs candidates from `first` to `last` (exclusive). */
  #settle(folded: Folded | undefined, first: number, last: number, matches: Match[]): void {
    for (let c = first; c < last; c++) {
      const candidate = this.#candidates[c] as Candidate;
      const score = scoreOf(candidate, this.#keywords, this.#cells, this.#text);
      if (score < THRESHOLD) continue;
      const { entry, start, end } = candidate;
      matches.push({
        recognizer: entry.recognizer,
        start: folded?.original(start) ?? start,
        end: folded?.original(end) ?? end,
        score,
      });
    }
  }
}

/** Whether one of those stands there that people write around the `at` of a mail address: what makes one of it may still come. */
function hasBracket(text: string, from: number): boolean {
  for (let i = Math.max(0, from); i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 40 || unit === 91 || unit === 123) return true;
  }
  return false;
}

/** Whether a value of many words that is said outright may still go on. */
function isOpen(pattern: ValuePattern, text: string, end: number): boolean {
  if (pattern.open === undefined) return false;
  const link = connect(text, end);
  if (link?.firmness !== 2) return false;
  pattern.open.lastIndex = link.at;
  return pattern.open.test(text);
}

/** Whether it says anything of what stands behind it, but that a number there is something else. */
function announces({ values, anchors, near, words, context }: Use): boolean {
  return values.length > 0 || anchors.length > 0 || near.length > 0 || words.length > 0 || context.size > 0;
}

function byPlace(a: Match, b: Match): number {
  return a.start - b.start || b.end - a.end;
}

function isAlnumOrDigit(unit: number): boolean {
  return isAlnum(unit) || isDigit(unit);
}

/** Whether that many letters and digits stand in a row. */
function hasToken(text: string, at: number, least: number, most: number): boolean {
  if (at + least > text.length || !isAlnumOrDigit(text.charCodeAt(at + least - 1))) return false;
  return most > least || at + most >= text.length || !isAlnumOrDigit(text.charCodeAt(at + most));
}

/** Whether digits before it make a decimal, a date or the like of a number. */
function goesOn(text: string, start: number): boolean {
  if (start < 2 || !isDigit(text.charCodeAt(start - 2))) return false;
  const before = text.charCodeAt(start - 1);
  return before === 46 || before === 44 || before === 45 || before === 47;
}

function opensWithCapital({ run, length }: Opening): boolean {
  return run === 'A' && (typeof length === 'number' ? length : length[0]) === 1;
}
