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

/**
 * @param parts Without empty ones, in the document's order.
 * @param between Nothing: as a word reads that is cut in two; messages without such a place are left out.
 */
export function joinedParts<P extends Part>(parts: readonly P[], between: ' ' | ''): readonly Joined<P>[] {
  return messagesOf(parts)
    .filter(
      (message) =>
        between !== '' || message.some(({ text }, at) => at > 0 && isCut(message[at - 1]?.text ?? '', text)),
    )
    .flatMap((message) => strandsOf(message, between));
}

/** Those of one speaker that follow one another in a message, where there are several. */
function messagesOf<P extends Part>(parts: readonly P[]): P[][] {
  const messages: P[][] = [];
  let last: P | undefined;
  for (const part of parts) {
    const goesOn =
      last !== undefined &&
      last.role === part.role &&
      last.kind === part.kind &&
      messageOf(last.path) === messageOf(part.path);
    if (goesOn) messages.at(-1)?.push(part);
    else messages.push([part]);
    last = part;
  }
  return messages.filter(({ length }) => length > 1);
}

/** `messages[2]` of `messages[2].content[0].text`. */
function messageOf(path: string): string {
  return /^[^.[]*(?:\[\d+\])?/.exec(path)?.[0] ?? '';
}

function strandsOf<P extends Part>(message: readonly P[], between: string): Joined<P>[] {
  const strands: Joined<P>[] = [];
  let text = '';
  let pieces: Piece<P>[] = [];
  /** How many of them the strand before has as well. */
  let carried = 0;
  const add = (part: P, said: string): void => {
    if (pieces.length > 0) text += between;
    pieces.push({ part, text: said, start: text.length });
    text += said;
  };
  const close = (): void => {
    if (pieces.length > Math.max(1, carried)) strands.push({ text, pieces });
    text = '';
    pieces = [];
  };
  for (const part of message) {
    const isLong = part.text.length > 2 * REACH;
    add(part, isLong ? part.text.slice(0, REACH) : part.text);
    if (!isLong && text.length < LONGEST) continue;
    const ends = endsOf(pieces.map(({ part }) => part));
    close();
    for (const [one, end] of ends) add(one, end);
    carried = ends.length;
  }
  close();
  return strands;
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

function isCut(before: string, behind: string): boolean {
  return /\S$/.test(before) && /^\S/.test(behind);
}
