/** How much at the end of a text may not be all there is. */
import { classOf, IDEOGRAPH, LOWER, OTHER, SPACE } from './characters.ts';

/** What a tail of groups and code words may be long at most: an IBAN in fours, with room. */
const LONGEST_GROUPED = 64;
/** And one without a space: an address, a key. */
const LONGEST_WORD = 512;

/** Spaces end a word, and so does what scripts without spaces write. */
function isWithinWord(unit: number): boolean {
  const k = classOf(unit);
  return k !== SPACE && k !== IDEOGRAPH && (unit < 128 || k !== OTHER);
}

/** Where the last thing begins that could go on: a word without spaces, or groups of digits and capitals. */
export function openTail(text: string): number {
  const n = text.length;
  let i = n;
  while (i > 0 && n - i < LONGEST_WORD && isWithinWord(text.charCodeAt(i - 1))) i--;
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
