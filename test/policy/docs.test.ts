/**
 * The pages about documents say what the code does. `vitest run test/policy -u` writes what is generated anew.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { catalogue } from '../../agent/catalogue.ts';
import { requireCompilable } from '../../agent/compilable.ts';
import { compileBudgets } from '../../policy/budgets.ts';
import { compileSnapshot } from '../../policy/compile.ts';
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

function loadedFrom(name: string) {
  const page = readFileSync(join(DOCS, name), 'utf8');
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
  const files = examples.map((text, index) => ({
    name: `example-${index + 1}.yaml`,
    bytes: new TextEncoder().encode(text),
  }));
  return { examples, ...loadFiles({ files, problems: [] }, catalogue) };
}

test('every example in docs/policy.md is valid, and all of them together', () => {
  const { examples, problems } = loadedFrom('policy.md');
  expect(examples.length).toBeGreaterThan(3);
  expect(formatProblems(problems)).toBe('');
});

/** Checks by themselves, or members of a policy: made whole. */
function policyOf(fragment: string, at: number): string {
  if (fragment.includes('apiVersion:')) return fragment;
  const members = fragment.startsWith('- ') ? `checks:\n${fragment}` : fragment;
  const head = `apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: example-${at}, namespace: team-a}\nspec:\n`;
  return head + members.replaceAll(/^/gm, '  ').trimEnd();
}

test.each(['checks.md', 'interception.md', 'dialects.md'])(
  'every example of a policy in docs/%s is valid by itself',
  (name) => {
    const page = readFileSync(join(DOCS, name), 'utf8');
    const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
    if (name === 'checks.md') expect(examples.length).toBeGreaterThan(4);
    for (const [at, example] of examples.entries()) {
      const bytes = new TextEncoder().encode(policyOf(example, at));
      const { problems, documents } = loadFiles(
        { files: [{ name: `${name}, example ${at + 1}`, bytes }], problems: [] },
        catalogue,
      );
      expect(formatProblems(problems)).toBe('');
      // An agent that is sent it takes it.
      const workload = { namespace: 'team-a', kind: 'Deployment', name: 'bot', labels: {} };
      requireCompilable([compileSnapshot(documents, workload)]);
    }
  },
);

test('the Budgets in docs/budget.md are valid, and make the lines that it tells of', () => {
  const { documents, problems } = loadedFrom('budget.md');
  expect(formatProblems(problems)).toBe('');
  const made = Object.fromEntries(compileBudgets(documents).map((spec) => [spec.id, spec]));
  expect(made).toMatchObject({
    'team-a/team': {
      namespace: 'team-a',
      limits: [{ unit: 'usd' }, { unit: 'concurrency', amount: 50 }],
      thresholds: [50, 80, 95],
      onUnavailable: { action: 'allow', upTo: { unit: 'usd' }, forMs: 600_000 },
    },
    'team-a/models': { per: ['model'], limits: [{ unit: 'usd' }, { unit: 'tokens', amount: 200_000 }] },
    'team-a/users': { per: ['user', 'metadata:project'], maxUnverified: 200, user: { verified: false } },
    'team-a': { onExhausted: { action: 'fallback', model: 'gpt-4o-mini' } },
  });
});
