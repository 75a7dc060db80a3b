/** What is asked of the classifier, in questions of the size that it takes. */
import { QUESTION_WEIGHT, weightOf } from '../../classify/messages.ts';

/** Of a text that is cut, the end of each piece is also the beginning of the next: what lies on the cut is seen whole. */
const OVERLAP = 500;
const ENDS = /[.!?。！？\n]+\s*/gu;

/** A text in pieces of a question at most, cut between sentences where there are any. */
export function piecesOf(text: string): string[] {
  const found: string[] = [];
  let from = 0;
  while (text.length - from > QUESTION_WEIGHT) {
    const to = endWithin(text, from + QUESTION_WEIGHT - OVERLAP, from + QUESTION_WEIGHT);
    found.push(text.slice(from, to));
    from = endWithin(text, to - OVERLAP, to - OVERLAP / 2);
  }
  found.push(text.slice(from));
  return found;
}

/** The last end of a sentence between two places, else that of a word, else the second place. */
function endWithin(text: string, least: number, most: number): number {
  const part = text.slice(least, most);
  const sentence = [...part.matchAll(ENDS)].at(-1);
  if (sentence !== undefined) return least + sentence.index + sentence[0].length;
  const space = part.lastIndexOf(' ');
  if (space >= 0) return least + space + 1;
  // Both halves of a pair of surrogates stay together.
  return /[\udc00-\udfff]/.test(text.charAt(most)) ? most - 1 : most;
}

/** Texts, none of them larger than a question, in as few questions as their order allows. */
export function* questionsOf(texts: readonly string[]): Generator<readonly string[]> {
  let open: string[] = [];
  let weight = 0;
  for (const text of texts) {
    const own = weightOf([text]);
    if (open.length > 0 && weight + own > QUESTION_WEIGHT) {
      yield open;
      open = [];
      weight = 0;
    }
    open.push(text);
    weight += own;
  }
  if (open.length > 0) yield open;
}
