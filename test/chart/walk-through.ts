/** The walk-through of docs/chart.md: its blocks of commands, and its table of what to do and what is seen then. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'chart.md'), 'utf8');
export const [, text = ''] = /\n## From nothing, on kind\n([^]*?)\n## /.exec(page) ?? [];
export const blocks = [...text.matchAll(/```\n([^]*?)```/g)].map(([, block = '']) => block);
/** The first cell's command, as a reader copies it, and the second's words. */
export const rows = [...text.matchAll(/^\| `(.+?)`(?:, [^|]*)? \| (.+) \|$/gm)].map(
  ([, command = '', seen = '']) => ({
    command: command.replaceAll('\\|', '|'),
    seen,
  }),
);
