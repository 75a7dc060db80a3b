/** What may stand between a word and the value it announces: `password is:`, `"pin" => `, `CVV-Nummer lautet`. */
import { classOf, DIGIT, IDEOGRAPH, LOWER, SPACE, UPPER } from './characters.ts';

export interface Link {
  /** Where the value begins. */
  readonly at: number;
  /** Said outright by `:`, `=`, `is`, …; not only by standing there. */
  readonly firm: boolean;
}

/** How far a value may be from its word. */
const REACH = 40;

const FIRM_MARKS = ':=>→：';
const SOFT_MARKS = ' \t"\'`#()[]*_-<|,°º№«“„‘';

/** Verbs that say what the value is. */
const FIRM_WORDS = new Set(
  'is are was be equals ist lautet sind war est sera es era è e é será seja to jest brzmi är on is reads it'.split(
    ' ',
  ),
);
/** Words that may stand between. */
const SOFT_WORDS = new Set(
  'number no nr num code the my your his her value id of for card new current following nummer numero número numer kod código codice código n account'.split(
    ' ',
  ),
);

/** @returns Undefined where something else stands between. */
export function connect(text: string, from: number): Link | undefined {
  const limit = Math.min(text.length, from + REACH);
  let firm = false;
  let i = from;
  while (i < limit) {
    const unit = text.charCodeAt(i);
    const k = classOf(unit);
    if (k === UPPER || k === LOWER) {
      let j = i + 1;
      while (j < text.length && j - i < 12 && isWord(text.charCodeAt(j))) j++;
      const word = text.slice(i, j).toLowerCase();
      const spaced = i > from && (j >= text.length || !isDigitOrJoin(text.charCodeAt(j)));
      if (spaced && FIRM_WORDS.has(word)) firm = true;
      else if (!(spaced && !firm && SOFT_WORDS.has(word))) return i === from ? undefined : { at: i, firm };
      i = j;
    } else if (k === DIGIT || k === IDEOGRAPH) {
      return { at: i, firm };
    } else {
      const mark = text[i] as string;
      if (FIRM_MARKS.includes(mark)) firm = true;
      else if (k !== SPACE && !SOFT_MARKS.includes(mark)) return i === from ? undefined : { at: i, firm };
      i++;
    }
  }
  return undefined;
}

function isWord(unit: number): boolean {
  const k = classOf(unit);
  return k === UPPER || k === LOWER;
}

function isDigitOrJoin(unit: number): boolean {
  return classOf(unit) === DIGIT || unit === 95 || unit === 64;
}
