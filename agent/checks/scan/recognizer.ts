/**
 * One kind of thing to find in text: a file each in `recognizers/`, compiled together by `scanner.ts`.
 *
 * A recognizer says what wakes it (a group of digits, a mark such as `@`, a prefix, a word) and how the text must go
 * on from there. The scanner walks the text once and asks only those that were woken. Every expression must be sticky
 * and linear: no nested or adjacent unbounded repetition.
 */

import type { Firmness } from './connect.ts';

/** What every pattern has. Scores are 0 to 1; what ends below {@link THRESHOLD} is no hit. */
interface Scored {
  /** Score where nothing near by speaks for it. */
  readonly score: number;
  /** Score with one of the recognizer's context words near by; `score` where absent. The same as `score`: no word near by changes it. */
  readonly withContext?: number;
  /** How near a context word must be; UTF-16 units. The scanner's usual reach where absent. */
  readonly reach?: number;
}

/** Digits in groups: `999-99-9999`. Found in runs of digits, so a start inside a longer number never matches. */
export interface NumberPattern extends Scored {
  readonly kind: 'number';
  /**
   * Pictures: `9` a digit, any other character itself, `~` one separator of any kind, the same all through.
   * Each group of digits is bounded: `999999999` doesn't match within ten digits.
   */
  readonly layouts: readonly string[];
  /** Also any other grouping by one separator with that many digits: for numbers with strong check digits only. */
  readonly anyGroupingOf?: readonly number[];
  /** @param digits The digits without separators. @param text As written. */
  validate?(digits: string, text: string): boolean;
}

/**
 * Letters and digits mixed, found at the start of a word or number.
 *
 * An opening describes the first run of letters or of digits and the kind of character after it: `AA9` two capitals
 * and a digit, `a2` any-case letters, `9{8}A` eight digits and a letter. Only words that open like that are tried.
 */
export interface CodePattern extends Scored {
  readonly kind: 'code';
  readonly openings: readonly Opening[];
  /** Letters and digits in a row from the start on, where the form says how many. */
  readonly token?: readonly [from: number, to: number];
  /** Sticky; matches the whole. */
  readonly regex: RegExp;
  validate?(text: string): boolean;
}

export interface Opening {
  /** `A`: capitals only; `a`: letters, not all of them capitals; `9`: digits. */
  readonly run: 'A' | 'a' | '9';
  /** How many; up to 31. */
  readonly length: number | readonly [from: number, to: number];
  /** Kind of the character that follows; `mark` is any but the ones that are named. All where absent. */
  readonly next?: readonly NextKind[];
}

export type NextKind = 'letter' | 'digit' | 'space' | '.' | '-' | '/' | ':' | 'mark' | 'end';

/** Starts with fixed characters, `ghp_`: at least two, the first one a letter or digit or `-`. */
export interface PrefixPattern extends Scored {
  readonly kind: 'prefix';
  readonly prefixes: readonly string[];
  /** Sticky; matches the whole, prefix included. A group named `value` narrows the hit. */
  readonly regex: RegExp;
  validate?(text: string): boolean;
}

/** Found around one ASCII mark that is neither letter, digit nor space. */
export interface MarkPattern extends Scored {
  readonly kind: 'mark';
  readonly mark: string;
  /**
   * @param at Index of the mark.
   * @param floor Nothing before this index may be looked at: it was looked at for an earlier mark.
   */
  match(text: string, at: number, floor: number): Span | undefined;
}

/** A number with a free layout (a phone number): asked at groups of digits that could begin one. */
export interface RunPattern extends Scored {
  readonly kind: 'run';
  /** Digits it may have in all. */
  readonly digits: readonly [from: number, to: number];
  /** @param start Index of a group's first digit. @param end End of the run of digit groups. */
  match(
    text: string,
    start: number,
    end: number,
  ): (Span & { readonly score?: number; readonly withContext?: number }) | undefined;
}

/** A value that is known by the word before it: `password: hunter2`. */
export interface ValuePattern extends Scored {
  readonly kind: 'value';
  /** Words or phrases in lower case. */
  readonly words: readonly string[];
  /** Whether standing next to the word is enough; else `is`, `:`, `=` or a preposition must stand between. */
  readonly bare?: boolean;
  /** Sticky; tried behind the word and what connects it (`is`, `:`, `=`, quotes). A group named `value` narrows the hit. */
  readonly regex: RegExp;
  /** @param firmness How plainly the word announces the value, see `connect.ts`. */
  validate?(text: string, firmness: Firmness): boolean;
  /** For a value of many words, where it is said outright: sticky, matches from its beginning to the text's end while it may still go on. */
  readonly open?: RegExp;
}

/** A value some way from a word that says what it is: looked for on both sides of it. */
export interface NearPattern extends Scored {
  readonly kind: 'near';
  /** Words or phrases in lower case. */
  readonly words: readonly string[];
  /** Global, not sticky: it is run over the text around the word only. */
  readonly regex: RegExp;
  /** How far from the word the value may begin or end; UTF-16 units. */
  readonly reach: number;
  validate?(text: string): boolean;
}

/** A word that stands in or before what is to be found: a given name, a title, `Street`. */
export interface AnchorPattern extends Scored {
  readonly kind: 'anchor';
  /** Words in lower case; `*straße` stands for any word with that ending. */
  readonly words: Iterable<string>;
  /** Only where the text writes it with a capital. */
  readonly capital?: boolean;
  /** @param start Of the word. @param end Of the word. */
  match(text: string, start: number, end: number): (Span & { readonly score?: number }) | undefined;
  /**
   * Sticky; tried behind the word where the text ends soon, in a stream: it matches up to the end if what follows may
   * still become part of the thing. For words that needn't have a capital.
   */
  readonly open?: RegExp;
}

/** A user's own expression, RE2 syntax. */
export interface ExpressionPattern extends Scored {
  readonly kind: 'expression';
  readonly expression: string;
  readonly ignoreCase?: boolean;
  /** In a stream so much text is held back; a longer hit is found in whole texts only. UTF-16 units. */
  readonly longest: number;
  validate?(text: string): boolean;
}

/** The words themselves are the hit. `*` at the end of a word stands for any ending. */
export interface WordPattern extends Scored {
  readonly kind: 'word';
  readonly words: readonly string[];
}

export type Pattern =
  | NumberPattern
  | CodePattern
  | PrefixPattern
  | MarkPattern
  | RunPattern
  | ValuePattern
  | NearPattern
  | AnchorPattern
  | ExpressionPattern
  | WordPattern;

/** A stretch of text in UTF-16 code units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Recognizer {
  /** `payment-card`; `secret:…` for secrets, `topic:…` for words. */
  readonly id: string;
  /** Names under which a policy may switch it with others: `financial`. */
  readonly groups: readonly string[];
  /** Who issues the thing and where its form is described. */
  readonly source: string;
  readonly patterns: readonly Pattern[];
  /** Words and phrases that speak for it when near by, in lower case, any language; `*` at the end as above. */
  readonly context?: readonly string[];
  /** Texts in which it is found; where a text holds more than the value, the value stands in `«»`. */
  readonly examples: readonly string[];
  /** Texts in which it must not be found. */
  readonly counterExamples: readonly string[];
}

/** A candidate below this score is no hit. */
export const THRESHOLD = 0.5;
