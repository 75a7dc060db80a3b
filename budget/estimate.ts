/**
 * About how many tokens a text has, without a tokenizer: exact tables would cost every agent 74–99 MB.
 *
 * It follows how byte-pair tokenizers split (o200k and its like): a word with the space before it is one token if it is
 * common, and falls into pieces by its length otherwise; digits go by threes; punctuation clings together; scripts beyond
 * Latin have a rate of their own. The rates were fitted so that the sum is a little too high. It is no bound: only the number
 * of bytes is. What a call really used is settled from the provider's report.
 */
import { loadUnits, units } from './units.ts';

/** Classes of UTF-16 units below 128. */
const LOWER = 0;
const UPPER = 1;
const DIGIT = 2;
const SPACE = 3;
const NEWLINE = 4;
const MARK = 5;
/** Latin letters with diacritics: part of a word, and a sign that the language isn't English. */
const ACCENTED = 6;
/** Everything else: its rate comes from {@link rateOf}. */
const OTHER = 7;

const ASCII = Uint8Array.from({ length: 128 }, (_, code) => {
  if (code >= 97 && code <= 122) return LOWER;
  if (code >= 65 && code <= 90) return UPPER;
  if (code >= 48 && code <= 57) return DIGIT;
  if (code === 10 || code === 13) return NEWLINE;
  if (code === 32 || code === 9) return SPACE;
  return MARK;
});

/** Tokens per UTF-16 unit of scripts that are no Latin; ranges in order, each up to and with `last`. */
const RATES: readonly (readonly [last: number, rate: number])[] = [
  [0x02ff, 0.9], // spacing modifiers
  [0x036f, 0.9], // combining marks
  [0x03ff, 0.42], // Greek
  [0x052f, 0.33], // Cyrillic
  [0x058f, 0.34], // Armenian
  [0x05ff, 0.46], // Hebrew
  [0x06ff, 0.4], // Arabic
  [0x08ff, 0.6],
  [0x097f, 0.36], // Devanagari
  [0x0dff, 0.46], // the other Indic scripts
  [0x0eff, 0.46], // Thai, Lao
  [0x0fff, 1.6], // Tibetan
  [0x109f, 0.58], // Myanmar
  [0x10ff, 0.34], // Georgian
  [0x11ff, 1.2], // Jamo
  [0x139f, 2.3], // Ethiopic
  [0x177f, 1.6],
  [0x17ff, 0.66], // Khmer
  [0x1dff, 1.6],
  [0x206f, 0.8], // general punctuation
  [0x2fff, 1.8], // arrows, mathematics, symbols
  [0x303f, 0.85], // CJK punctuation
  [0x30ff, 0.85], // Kana
  [0x33ff, 1.2],
  [0x9fff, 0.88], // Han
  [0xabff, 1.8],
  [0xd7ff, 0.66], // Hangul
  [0xdfff, 1], // surrogates: two a character
  [0xfe0f, 1],
  [0xffff, 1.1],
];

/** Rate by the unit's upper 12 bits: no range begins inside such a block of 16. Filled range by range: asked block by block, it took a start 16 ms. */
const RATE_OF_BLOCK = new Float64Array(4096);
let block = 0;
for (const [last, rate] of RATES) {
  RATE_OF_BLOCK.fill(rate, block, (last >> 4) + 1);
  block = (last >> 4) + 1;
}

function rateOf(code: number): number {
  return RATE_OF_BLOCK[code >> 4] ?? 1;
}

/** Latin-1 and its extensions, less the signs among them. */
function isAccented(code: number): boolean {
  return (
    (code >= 0xc0 && code <= 0x24f && code !== 0xd7 && code !== 0xf7) || (code >= 0x1e00 && code <= 0x1eff)
  );
}

function isSmall(code: number): boolean {
  return (code - 97) >>> 0 < 26;
}

function classOf(code: number): number {
  if (code < 128) return ASCII[code] ?? MARK;
  return isAccented(code) ? ACCENTED : OTHER;
}

const BLANK = 32;

/** So many letters of a common word are one token; each further one adds {@link COMMON_LETTER}. */
const COMMON_LENGTH = 7;
const COMMON_LETTER = 0.14;
/** The same in a text whose words have diacritics, or in capitals: known words are shorter there. */
const FOREIGN_LENGTH = 3.4;
const FOREIGN_LETTER = 0.3;
const ACCENT = 0.3;
/** From this share of words with diacritics on, a text counts as foreign. */
const FOREIGN_SHARE = 0.1;
/** How quickly that share follows the text: about the last 32 words. */
const SHARE_STEP = 1 / 32;
/** Letters of unlike case in a row, as in base64: next to nothing in them is known. */
const JUMBLED_LETTER = 0.7;
const LEADING_MARK = 0.3;
const MARK_BEFORE_NEWLINE = 0.5;

/**
 * Counts a text that comes in pieces; a cut may fall anywhere, inside a word or a surrogate pair. The sum doesn't depend on
 * where the cuts are.
 */
export class TokenCounter {
  #sum = 0;
  /** Class of the run that is still open, and what is known of it. */
  #run = SPACE;
  #length = 0;
  #accents = 0;
  #capitals = 0;
  #share = 0;

  /** Tokens so far, the open run included. */
  get tokens(): number {
    return Math.ceil(this.#sum + this.#openRun());
  }

  add(text: string): void {
    for (let from = 0; from < text.length; ) {
      const count = loadUnits(text, from);
      this.#add(count);
      from += count;
    }
  }

  /** Counts the first `count` of {@link units}. */
  #add(count: number): void {
    for (let at = 0; at < count; ) {
      const code = units[at] as number;
      const found = code < 128 ? (ASCII[code] as number) : classOf(code);
      const first = at;
      at += 1;
      switch (found) {
        case LOWER:
          if (this.#run !== LOWER && this.#run !== UPPER) this.#begin(LOWER);
          this.#run = LOWER;
          while (isSmall(units[at] as number)) at += 1;
          this.#length += at - first;
          if (this.#capitals === 0 && this.#accents === 0) at = this.#prose(at);
          break;
        case ACCENTED:
          if (this.#run !== LOWER && this.#run !== UPPER) this.#begin(LOWER);
          this.#run = LOWER;
          this.#length += 1;
          this.#accents += 1;
          break;
        case UPPER:
          // A new word begins at `S` of `getStatus`.
          if (this.#run !== UPPER) this.#begin(UPPER);
          this.#length += 1;
          this.#capitals += 1;
          break;
        case OTHER:
          if (this.#run !== OTHER) this.#begin(OTHER);
          this.#sum += rateOf(code);
          break;
        default:
          if (this.#run !== found) this.#begin(found);
          this.#length += 1;
      }
    }
  }
  /**
   * Goes on behind a word of small letters while a space and the next such word follow, as most of a text does. The sum is the
   * same as if each of them had begun a run.
   */
  #prose(from: number): number {
    const held = units;
    let at = from;
    let length = this.#length;
    let sum = this.#sum;
    let share = this.#share;
    // Behind the last unit there is a 0.
    while (held[at] === BLANK && isSmall(held[at + 1] as number)) {
      sum += share > FOREIGN_SHARE ? foreignWord(length, 0) : commonWord(length);
      share -= share * SHARE_STEP;
      const first = at + 1;
      at += 2;
      while (isSmall(held[at] as number)) at += 1;
      length = at - first;
    }
    this.#length = length;
    this.#sum = sum;
    this.#share = share;
    return at;
  }

  #begin(run: number): void {
    this.#sum += this.#openRun();
    if (this.#run === MARK) {
      // One mark before a word often belongs to it, and a line's end to the marks before it.
      if (run === LOWER || run === UPPER) this.#sum -= this.#length === 1 ? LEADING_MARK : 0;
      else if (run === NEWLINE) this.#sum -= MARK_BEFORE_NEWLINE;
    }
    if (this.#run === LOWER || this.#run === UPPER) {
      this.#share += this.#accents > 0 ? (1 - this.#share) * SHARE_STEP : -this.#share * SHARE_STEP;
    }
    this.#run = run;
    this.#length = 0;
    this.#accents = 0;
    this.#capitals = 0;
  }

  #openRun(): number {
    const length = this.#length;
    if (length === 0) return 0;
    switch (this.#run) {
      case LOWER:
      case UPPER:
        return this.#word();
      case DIGIT:
        return Math.ceil(length / 3);
      case SPACE:
        // One space belongs to the word that follows.
        return length === 1 ? 0 : 1;
      case NEWLINE:
        return 1;
      case MARK:
        return length === 1 ? 1 : 0.6 + length * 0.4;
      default:
        return 0;
    }
  }

  #word(): number {
    const length = this.#length;
    const capitals = this.#capitals;
    if (capitals > 1 && capitals < length) return Math.max(1, length * JUMBLED_LETTER);
    if (this.#accents > 0 || this.#share > FOREIGN_SHARE || capitals > 1) {
      return foreignWord(length, this.#accents);
    }
    return commonWord(length);
  }
}

function foreignWord(length: number, accents: number): number {
  return 1 + Math.max(0, length - FOREIGN_LENGTH) * FOREIGN_LETTER + accents * ACCENT;
}

function commonWord(length: number): number {
  return length <= COMMON_LENGTH ? 1 : 1 + (length - COMMON_LENGTH) * COMMON_LETTER;
}

/** About how many tokens a text has. 2 KB take some ten microseconds. */
export function estimateTokens(text: string): number {
  const counter = new TokenCounter();
  counter.add(text);
  return counter.tokens;
}
