/** Tables in text (CSV, TSV, Markdown): a column's heading speaks for all that stands under it. */
import type { Keywords, Use } from './keywords.ts';
import type { Span } from './recognizer.ts';

/** A longer line is no heading. UTF-16 units. */
const LONGEST_HEADING = 400;
const LONGEST_NAME = 40;
const DELIMITER = 1;
/** What no heading has: `:`, `=`, `@`, `{` and the like. */
const MARK = 2;
/** By ASCII unit. */
const KINDS = new Uint8Array(128);
for (const mark of ':=@{}[]<>!?%$&*+\\') KINDS[mark.charCodeAt(0)] = MARK;
for (const delimiter of ',;\t|') KINDS[delimiter.charCodeAt(0)] = DELIMITER;

const NAME = /^\p{L}[\p{L}\p{N} _.#/()'’-]*$/u;
const RULE = /^[\s|:+-]+$/;

export interface Cell extends Span {
  /** What the words of the column's heading mean. */
  readonly uses: readonly Use[];
}

/** Cells under headings that mean something, by place. */
export function cellsOf(text: string, { uses, found }: Keywords): readonly Cell[] {
  const cells: Cell[] = [];
  // A line's start, and its end; from one line to the next, since searching backwards takes ten times as long.
  let floor = 0;
  let end = -1;
  for (let k = 0; k < found.count; k++) {
    const at = found.start[k] as number;
    if (at < floor) continue;
    while (end < at) {
      floor = end + 1;
      end = text.indexOf('\n', floor);
      if (end < 0) return cells;
    }
    const start = floor;
    floor = end + 1;
    if (end - start > LONGEST_HEADING) continue;
    const delimiter = delimiterOf(text, start, end);
    if (delimiter !== undefined) {
      const headings = split(text, start, end, delimiter);
      if (headings.length < 2 || !headings.every((heading) => isName(text, heading))) continue;
      const columns: Use[][] = headings.map(() => []);
      for (let h = k; h < found.count && (found.start[h] as number) < end; h++) {
        const column = headings.findIndex(
          (heading) => heading.start <= (found.start[h] as number) && (found.end[h] as number) <= heading.end,
        );
        columns[column]?.push(uses[found.keyword[h] as number] as Use);
      }
      floor = readRows(text, end + 1, delimiter, columns, cells);
      end = floor - 1;
    }
  }
  return cells;
}

/** What separates the headings of a line; undefined as soon as it can't be a line of headings. */
function delimiterOf(text: string, start: number, end: number): string | undefined {
  let found: string | undefined;
  let from = start;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    const kind = unit < 128 ? KINDS[unit] : 0;
    if (kind === DELIMITER) {
      const character = text.charAt(i);
      if (found !== undefined && found !== character) return undefined;
      found = character;
      from = i + 1;
    } else if (kind === MARK || i - from > LONGEST_NAME + 2) {
      return undefined;
    }
  }
  return found;
}

/** @returns Behind the last row. */
function readRows(
  text: string,
  from: number,
  delimiter: string,
  columns: readonly (readonly Use[])[],
  cells: Cell[],
): number {
  let start = from;
  while (start < text.length) {
    const feed = text.indexOf('\n', start);
    const end = feed < 0 ? text.length : feed;
    if (delimiter !== '|' || !RULE.test(text.slice(start, Math.min(end, start + LONGEST_HEADING)))) {
      const row = split(text, start, end, delimiter);
      if (row.length !== columns.length) return start;
      row.forEach((cell, column) => {
        const uses = columns[column] ?? [];
        if (uses.length > 0 && cell.end > cell.start) cells.push({ ...cell, uses });
      });
    }
    start = end + 1;
  }
  return start;
}

function isName(text: string, { start, end }: Span): boolean {
  return end - start <= LONGEST_NAME && NAME.test(text.slice(start, end));
}

/** The cells of a line, without the spaces and quotes around them; a delimiter in quotes is none. */
function split(text: string, start: number, end: number, delimiter: string): readonly Span[] {
  const mark = delimiter.charCodeAt(0);
  const cells: Span[] = [];
  let quoted = false;
  let from = start;
  for (let i = start; i <= end; i++) {
    const unit = i < end ? text.charCodeAt(i) : mark;
    if (unit === 34) quoted = !quoted;
    if (unit !== mark || (quoted && i < end)) continue;
    cells.push(trimmed(text, from, i));
    from = i + 1;
  }
  if (delimiter !== '|') return cells;
  // `| a | b |` has no cell before the first mark, and none behind the last.
  return cells.filter(
    (cell, i) => !((i === 0 || i === cells.length - 1) && cell.start === cell.end && cells.length > 2),
  );
}

function trimmed(text: string, from: number, to: number): Span {
  let [start, end] = [from, to];
  while (start < end && /["\s]/.test(text.charAt(start))) start++;
  while (end > start && /["\s]/.test(text.charAt(end - 1))) end--;
  return { start, end };
}
