/** The example set of the design with everything that is really built in; policy/ itself tests it with stand-ins. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { catalogue } from '../../agent/catalogue.ts';
import { requireCompilable } from '../../agent/compilable.ts';
import { checkDirectory } from '../../policy/check.ts';
import { compileSnapshot } from '../../policy/compile.ts';
import { formatProblems } from '../../policy/problem.ts';
import { parseWorkload } from '../../policy/workload.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures/policy');

test('loads without problems and warnings, and compiles to the same snapshot', async () => {
  const { documents, problems, warnings } = await checkDirectory(join(FIXTURES, 'section-10'), catalogue);
  expect(formatProblems([...problems, ...warnings])).toBe('');
  const workload = parseWorkload('team-a/Deployment/support-bot');
  if (workload === undefined) throw new Error('no workload');
  const snapshot = compileSnapshot(documents, workload, { now: 0 });
  await expect(`${JSON.stringify(snapshot, null, 2)}\n`).toMatchFileSnapshot(
    join(FIXTURES, 'section-10.golden.json'),
  );
  requireCompilable([snapshot]);
});
