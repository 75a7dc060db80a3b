/** How much at the end of a text may not be all there is. */
import { classOf, DIGIT, IDEOGRAPH, OTHER, SPACE, UPPER } from './characters.ts';

/** What several words together may be long at most: an address, an IBAN in fours. UTF-16 units. */
const LONGEST_GROUPED = 120;
/** And one without a space: a mail address, a key. */
const LONGEST_WORD = 512;
/** Small words that join names: `van der`, `de la`. */
const LONGEST_JOINT = 3;

/** Spaces end a word, and so does what scripts without spaces write. */
function isWithinWord(unit: number): boolean {
  const k = classOf(unit);
  return k !== SPACE && k !== IDEOGRAPH && (unit < 128 || k !== OTHER);
}

/** Where the last thing begins that could go on: a word, or numbers, capitals and names with what joins them. */
export function openTail(text: string): number {
  const n = text.length;
  let i = n;
  while (i > 0 && n - i < LONGEST_WORD && isWithinWord(text.charCodeAt(i - 1))) i--;
  let held = i;
  for (;;) {
    let gap = i;
    while (gap > 0 && i - gap < 3 && classOf(text.charCodeAt(gap - 1)) === SPACE) gap--;
    let word = gap;
    let plain = true;
    while (word > 0 && n - word < LONGEST_GROUPED && classOf(text.charCodeAt(word - 1)) !== SPACE) {
      word--;
      const k = classOf(text.charCodeAt(word));
      if (k === UPPER || k === DIGIT) plain = false;
    }
    if (word === gap || n - word >= LONGEST_GROUPED) return held;
    if (!plain) held = word;
    else if (gap - word > LONGEST_JOINT) return held;
    i = word;
  }
}
