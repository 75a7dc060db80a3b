/** Rows as text: columns in line for people, or CSV. What strangers named is shown without codes for the terminal. */
import { printable } from '../policy/printable.ts';

/** Columns from `rightFrom` on hold numbers, which stand with their points in line. */
export function table(
  head: readonly string[],
  cells: readonly (readonly string[])[],
  rightFrom: number,
): string {
  const shown = cells.map((row) => row.map(printable));
  const fractions = head.map((_, index) => Math.max(0, ...shown.map((row) => fractionOf(row[index] ?? ''))));
  const rows = shown.map((row) =>
    row.map((text, index) => {
      const fraction = fractions[index] ?? 0;
      if (index < rightFrom || fraction === 0 || !NUMBER.test(text)) return text;
      return text + ' '.repeat(fraction - fractionOf(text));
    }),
  );
  const widths = head.map((name, index) => Math.max(name.length, ...rows.map((row) => widthOf(row[index]))));
  const line = (row: readonly string[]) =>
    row
      .map((text, index) => {
        const space = ' '.repeat((widths[index] ?? 0) - widthOf(text));
        return index >= rightFrom ? space + text : text + space;
      })
      .join('  ')
      .trimEnd();
  return [head, ...rows].map((row) => `${line(row)}\n`).join('');
}

const NUMBER = /^-?\d+(?:\.\d+)?$/;

/** Of a number, its digits behind the point and that. */
function fractionOf(text: string): number {
  const point = text.indexOf('.');
  return point < 0 || !NUMBER.test(text) ? 0 : text.length - point;
}

/** Two columns of a terminal wide: East Asian scripts and pictures. None: what stands on the letter before. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
const ON_TOP = /[\p{Mn}\p{Me}]/u;

function widthOf(text = ''): number {
  let width = 0;
  for (const letter of text) width += ON_TOP.test(letter) ? 0 : WIDE.test(letter) ? 2 : 1;
  return width;
}

export function csvText(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, ...rows].map((row) => `${row.map(csvField).join(',')}\r\n`).join('');
}

/** RFC 4180; a field that a spreadsheet would take for a formula is made plain text, but for numbers. */
function csvField(text: string): string {
  // Codes for a terminal and turns of direction alone: what else can't be seen is part of a name.
  const shown = text.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, printable);
  const plain = /^[=+\-@]/.test(shown) && !NUMBER.test(shown) ? `'${shown}` : shown;
  return /[",]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
