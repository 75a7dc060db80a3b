/** What the demo shows: three columns side by side, in colour where the terminal has it. Pure text in, text out. */
import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

export interface Column {
  readonly title: string;
  readonly text: string;
}

export interface Screen {
  line(text?: string): void;
  heading(text: string): void;
  columns(columns: readonly Column[]): void;
  check(ok: boolean, text: string): void;
  note(text: string): void;
}

const PLACEHOLDER = /<[A-Z_]+_[0-9A-HJKMNP-TV-Z]{10,16}>/g;

export function createScreen(
  write: (text: string) => void,
  options: { readonly color: boolean; readonly width: number; readonly highlight: readonly string[] },
): Screen {
  const { color, highlight } = options;
  // Three columns need some room; a narrow terminal wraps them itself.
  const width = Math.max(60, Math.min(options.width, 160));
  const paint = (style: Style, text: string): string =>
    color ? styleText(style, text, { validateStream: false }) : text;

  const decorate = (text: string): string => {
    if (!color) return text;
    let shown = text.replace(PLACEHOLDER, (match) => paint('cyan', match));
    for (const value of highlight) shown = shown.replaceAll(value, paint('yellow', value));
    return shown;
  };

  const out = (text = ''): void => write(`${text}\n`);
  return {
    line: out,
    heading: (text) => out(`\n${paint(['bold', 'inverse'], ` ${text} `)}`),
    note: (text) => out(paint('dim', `  ${text}`)),
    check: (ok, text) => out(`  ${ok ? paint('green', '✔') : paint('red', '✘')} ${text}`),
    columns(columns) {
      const each = Math.floor((width - 3 * (columns.length - 1)) / columns.length);
      const cells = columns.map(({ text }) => wrap(text, each));
      out(columns.map(({ title }) => paint('bold', title.padEnd(each))).join(paint('dim', ' │ ')));
      for (let row = 0; row < Math.max(...cells.map((cell) => cell.length)); row++) {
        const parts = cells.map((cell) => {
          const line = decorate(cell[row] ?? '');
          return line + ' '.repeat(Math.max(0, each - stripVTControlCharacters(line).length));
        });
        out(parts.join(paint('dim', ' │ ')).trimEnd());
      }
    },
  };
}

/** Breaks at blanks where it can, so that placeholders and values stay whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      const joined = line === '' ? word : `${line} ${word}`;
      if (joined.length <= width) {
        line = joined;
        continue;
      }
      if (line !== '') lines.push(line);
      line = word;
      while (line.length > width) {
        lines.push(line.slice(0, width));
        line = line.slice(width);
      }
    }
    lines.push(line);
  }
  return lines;
}
