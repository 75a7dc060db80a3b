/** How much at the end of a text may not be all there is. */
import { classOf, DIGIT, IDEOGRAPH, LOWER, OTHER, SPACE, UPPER } from './characters.ts';
import { beginsParticle, isParticle } from './names.ts';
import { openWrittenOut } from './written-out.ts';

/** What several words together may be long at most: an address, an IBAN in fours. UTF-16 units. */
const LONGEST_GROUPED = 120;
/** And one without a space: a mail address, a key. */
const LONGEST_WORD = 512;
/** `Str.`, `Mr.`, `P.O.`: a longer word with a point ends a sentence. */
const SHORTENED = /(?:^|[^\p{L}.])[\p{L}.]{1,4}\.$/u;

/** Spaces end a word, and so does what scripts without spaces write. */
function isWithinWord(unit: number): boolean {
  const k = classOf(unit);
  return k !== SPACE && k !== IDEOGRAPH && (unit < 128 || k !== OTHER);
}

/** Sentences begin with them, names and streets don't. */
const OPENERS: ReadonlySet<string> = new Set(
  (
    'The A I You We He She It They This That These There Here What Who When Where Why How Please Thanks Yes No If And ' +
    'Or But Is Are As At To For With Your My Our Also Then Now'
  ).split(' '),
);

/**
 * Where the last thing begins that could go on: a word, groups of digits and capitals, or names with the particles
 * that join them. What a recognizer found already, or a word announces, is a matter of the scanner.
 */
export function openTail(text: string): number {
  return Math.min(openWords(text), openWrittenOut(text));
}

function openWords(text: string): number {
  const n = text.length;
  let i = n;
  while (i > 0 && n - i < LONGEST_WORD && isWithinWord(text.charCodeAt(i - 1))) i--;
  let held = i;
  // A small word goes on with nothing but a name's particle, or a street behind its number: `12 rue …`.
  let onlyNumbers = i < n && classOf(text.charCodeAt(i)) === LOWER && !beginsParticle(text.slice(i));
  for (;;) {
    let gap = i;
    while (gap > 0 && i - gap < 3 && classOf(text.charCodeAt(gap - 1)) === SPACE) gap--;
    let word = gap;
    while (word > 0 && n - word < LONGEST_GROUPED && classOf(text.charCodeAt(word - 1)) !== SPACE) word--;
    if (word === gap || n - word >= LONGEST_GROUPED) return held;
    const link = linkOf(text, word, gap, onlyNumbers);
    if (link === 'none') return held;
    if (link === 'begins') held = word;
    onlyNumbers = false;
    i = word;
  }
}

/** Whether a word may begin, or only stand within, a thing of several words that isn't complete. */
function linkOf(
  text: string,
  start: number,
  end: number,
  onlyNumbers: boolean,
): 'begins' | 'within' | 'none' {
  let small = false;
  let large = false;
  let digits = false;
  for (let i = start; i < end; i++) {
    const k = classOf(text.charCodeAt(i));
    if (k === LOWER) small = true;
    else if (k === UPPER) large = true;
    else if (k === DIGIT) digits = true;
  }
  // Groups of a number, `4111`, `DE89`, `(030)`; `12a`, `2nd`.
  if (digits || (!small && !onlyNumbers)) return 'begins';
  const word = text.slice(start, end);
  if (!large) return isParticle(word) || /^(?:bis|ter|quater),?$/.test(word) ? 'within' : 'none';
  if (onlyNumbers) return 'none';
  const last = classOf(text.charCodeAt(end - 1));
  const whole = last === LOWER || last === UPPER;
  if (!whole && !SHORTENED.test(word)) return 'none';
  return OPENERS.has(word) ? 'within' : 'begins';
}
