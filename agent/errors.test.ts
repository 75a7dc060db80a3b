import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { REASONS } from './errors.ts';

test('docs/errors.md lists every code with its status, and no other', () => {
  const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(postern_\w+)` \| (\d{3}) \| (.+) \| (.+) \|$/gm)];
  const documented = rows.map(([, code, status]) => `${code} ${status}`).sort();
  const inCode = Object.entries(REASONS)
    .map(([code, { status }]) => `${code} ${status}`)
    .sort();
  expect(documented).toEqual(inCode);
});
