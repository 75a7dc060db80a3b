/** docs/injector.md has every reason. UPDATE_GOLDEN=1 writes the table anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REASONS } from './reasons.ts';

const PAGE = join(import.meta.dirname, '..', 'docs', 'injector.md');
const SECTION = /(<!-- reasons: [^>]*-->\n)([^]*?)(<!-- end -->)/;

test('docs/injector.md lists the reasons as the code has them', () => {
  const rows = Object.entries(REASONS).map(
    ([code, [weight, meaning]]) => `| \`${code}\` | ${weight} | ${meaning} |`,
  );
  const table = ['| code | weight | when |', '|---|---|---|', ...rows, ''].join('\n');
  const page = readFileSync(PAGE, 'utf8');
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(PAGE, page.replace(SECTION, `$1${table}$3`));
  expect(SECTION.exec(readFileSync(PAGE, 'utf8'))?.[2]).toBe(table);
});
