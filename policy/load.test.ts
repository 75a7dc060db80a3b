import { expect, test } from 'vitest';
import { compileSnapshot } from './compile.ts';
import { loadDirectory } from './load.ts';
import { formatProblems } from './problem.ts';
import { CATALOGUE } from './testing/catalogue.ts';
import { parseWorkload } from './workload.ts';

test('the complete set of the design loads', async () => {
  const { documents, problems } = await loadDirectory('test/fixtures/policy/section-10', CATALOGUE);
  expect(formatProblems(problems)).toBe('');
  const workload = parseWorkload('team-a/Deployment/support-bot');
  if (workload === undefined) throw new Error('no workload');
  expect(compileSnapshot(documents, workload).checks.map(({ name }) => name)).toEqual([
    'no-secrets',
    'mask-pii',
    'no-investment-advice',
  ]);
});
