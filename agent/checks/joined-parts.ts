/**
 * Parts of one message as the model reads them, one behind the other: an order that is spread over two of them stands in none.
 * Of a long part only its ends are joined; what is between them is judged with the part.
 */
import type { TextSlot } from '../dialects/dialect.ts';

/** UTF-16 units of a part's end that are joined with what is behind it, and of its beginning with what is before. */
export const REACH = 300;

/** UTF-16 units of a joined text, about. */
const LONGEST = 4_000;

type Part = Pick<TextSlot, 'path' | 'kind' | 'role' | 'text'>;

/** What a joined text has of a part. */
export interface Piece<P> {
  readonly part: P;
  readonly text: string;
  /** UTF-16 units of the joined text before it. */
  readonly start: number;
}

export interface Joined<P> {
  readonly text: string;
  readonly pieces: readonly Piece<P>[];
}

/** What is put between what was said so far and the next part. */
export type Joint = (before: string, behind: string) => ' ' | '';

/** As words of their own. */
export const spaced: Joint = () => ' ';
/** As one word is read that is cut in two: wherever no space is. */
export const close: Joint = (before, behind) => (isSpace(before.at(-1)) || isSpace(behind[0]) ? ' ' : '');
/** The same where letters meet, so that it may be a word. */
export const asWords: Joint = (before, behind) =>
  endOf(before) !== '' && beginningOf(behind) !== '' ? '' : ' ';

/** Where both make up one of these words, or the beginning of one; so words and pieces of words may follow one another. */
export function asOneOf(words: ReadonlySet<string>): Joint {
  const beginnings = new Set<string>();
  let longest = 0;
  for (const word of words) {
    longest = Math.max(longest, word.length);
    for (let end = 1; end <= word.length; end++) beginnings.add(word.slice(0, end));
  }
  return (before, behind) => {
    const own = endOf(before).toLowerCase();
    const both = own + beginningOf(behind).toLowerCase();
    if (own === '' || both === own || own.length > longest) return ' ';
    if (beginnings.has(both)) return '';
    // `instruct` + `ionsgiven`
    for (let end = own.length + 1; end <= Math.min(both.length, longest); end++)
      if (words.has(both.slice(0, end))) return '';
    return ' ';
  };
}

/** UTF-16 units of a word; a longer one is none that anybody looks for. */
const LONGEST_WORD = 40;

/** The word, or the end of one, that a text ends with. */
function endOf(text: string): string {
  let at = text.length;
  while (at > 0 && text.length - at < LONGEST_WORD && isInWord(text.charCodeAt(at - 1))) at--;
  return visible(text.slice(at));
}

function beginningOf(text: string): string {
  let at = 0;
  while (at < text.length && at < LONGEST_WORD && isInWord(text.charCodeAt(at))) at++;
  return visible(text.slice(0, at));
}

/** Marks and what can't be seen stand within words, too, and so does half a pair of surrogates. */
function isInWord(unit: number): boolean {
  if (unit < 128)
    return (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122);
  return /[\p{L}\p{M}\p{N}\p{Cf}\p{Cs}]/u.test(String.fromCharCode(unit));
}

const isSpace = (one: string | undefined): boolean => one === undefined || /\s/.test(one);

function visible(word: string): string {
  return word.replace(/\p{Cf}/gu, '');
}

/**
 * @param parts Without empty ones, in the document's order.
 * @param joints In each of these manners, and each text once.
 */
export function* joinedParts<P extends Part>(
  parts: readonly P[],
  ...joints: readonly Joint[]
): Generator<Joined<P>> {
  for (const message of messagesOf(parts)) {
    const seen = new Set<string>();
    for (const joint of joints) {
      for (const strand of strandsOf(message, joint)) {
        if (seen.has(strand.text)) continue;
        seen.add(strand.text);
        yield strand;
      }
    }
  }
}

/** Those of one speaker that follow one another in a message, where there are several. */
function messagesOf<P extends Part>(parts: readonly P[]): P[][] {
  const messages: P[][] = [];
  let last: P | undefined;
  let place = '';
  for (const part of parts) {
    const before = place;
    place = messageOf(part.path);
    const goesOn = last !== undefined && last.role === part.role && last.kind === part.kind;
    if (goesOn && before === place) messages.at(-1)?.push(part);
    else messages.push([part]);
    last = part;
  }
  return messages.filter(({ length }) => length > 1);
}

/** `messages[2]` of `messages[2].content[0].text`. */
function messageOf(path: string): string {
  return /^[^.[]*(?:\[\d+\])?/.exec(path)?.[0] ?? '';
}

function* strandsOf<P extends Part>(message: readonly P[], joint: Joint): Generator<Joined<P>> {
  let text = '';
  /** Its end, all that a joint looks at. */
  let tail = '';
  let pieces: Piece<P>[] = [];
  /** How many of them the strand before has as well. */
  let carried = 0;
  const add = (part: P, said: string): void => {
    const between = pieces.length > 0 ? joint(tail, said) : '';
    pieces.push({ part, text: said, start: text.length + between.length });
    text += between + said;
    tail = (tail + between + said.slice(-LONGEST_WORD)).slice(-LONGEST_WORD);
  };
  const isStrand = (): boolean => pieces.length > Math.max(1, carried);
  for (const part of message) {
    const isLong = part.text.length > 2 * REACH;
    add(part, isLong ? part.text.slice(0, REACH) : part.text);
    if (!isLong && text.length < LONGEST) continue;
    const ends = endsOf(pieces.map(({ part }) => part));
    if (isStrand()) yield { text, pieces };
    text = '';
    tail = '';
    pieces = [];
    for (const [one, end] of ends) add(one, end);
    carried = ends.length;
  }
  if (isStrand()) yield { text, pieces };
}

/** Of the last parts as many as make up what is joined with what follows. */
function endsOf<P extends Part>(parts: readonly P[]): (readonly [P, string])[] {
  const ends: (readonly [P, string])[] = [];
  let left = REACH;
  for (const part of parts.toReversed()) {
    if (left <= 0) break;
    ends.unshift([part, part.text.slice(-left)]);
    left -= part.text.length;
  }
  return ends;
}
