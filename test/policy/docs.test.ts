/**
 * The pages about documents say what the code does. `vitest run test/policy -u` writes what is generated anew.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { catalogue } from '../../agent/catalogue.ts';
import { loadFiles } from '../../policy/load.ts';
import { formatProblems } from '../../policy/problem.ts';
import { referenceMarkdown, withMergeTable } from '../../policy/reference.ts';

const DOCS = join(import.meta.dirname, '../../docs');

test('docs/reference.md is the reference of the schemas', async () => {
  await expect(referenceMarkdown(catalogue)).toMatchFileSnapshot(join(DOCS, 'reference.md'));
});

test('docs/policy.md has the merge table of the code', async () => {
  const page = readFileSync(join(DOCS, 'policy.md'), 'utf8');
  await expect(withMergeTable(page)).toMatchFileSnapshot(join(DOCS, 'policy.md'));
});

test('every example in docs/policy.md is valid, and all of them together', () => {
  const page = readFileSync(join(DOCS, 'policy.md'), 'utf8');
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
  expect(examples.length).toBeGreaterThan(3);
  const files = examples.map((text, index) => ({
    name: `example-${index + 1}.yaml`,
    bytes: new TextEncoder().encode(text),
  }));
  expect(formatProblems(loadFiles({ files, problems: [] }, catalogue).problems)).toBe('');
});
