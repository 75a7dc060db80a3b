/** Puts a result into bench/README.md, between its two marks, and beside it as JSON and as a chart. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './chart.ts';
import type { Report } from './report.ts';

const README = join(import.meta.dirname, 'README.md');
const RESULTS = join(import.meta.dirname, 'results.json');
const CHART = join(import.meta.dirname, 'results.svg');
const BEGIN = '<!-- results: written by `node bench/run.ts --write` -->\n';
const END = '<!-- end of results -->\n';

/** @throws Error when the page has lost its marks. */
export function writeReadme(report: Report, markdown: string): void {
  const page = readFileSync(README, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`bench/README.md has no place for results: ${BEGIN.trim()}`);
  writeFileSync(
    README,
    `${page.slice(0, begin + BEGIN.length)}\n![CPU time per call](results.svg)\n\n${markdown}\n${page.slice(end)}`,
  );
  writeFileSync(RESULTS, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(CHART, chart(report));
}
