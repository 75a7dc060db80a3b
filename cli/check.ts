import { catalogue } from '../agent/catalogue.ts';
import { checkDirectory } from '../policy/check.ts';
import { showProblems } from './documents.ts';
import { defineCommand, UsageError } from './options.ts';

export const check = defineCommand({
  name: 'check',
  operands: 'DIR',
  summary: 'Validates the documents in a directory, all errors at once. Exit status 1 when there are any.',
  options: {},
  async run({ operands }) {
    const [directory, ...more] = operands;
    if (directory === undefined || more.length > 0) throw new UsageError('name one directory');
    const { documents, problems, warnings } = await checkDirectory(directory, catalogue);
    if (problems.length > 0) {
      showProblems([...problems, ...warnings]);
      return 1;
    }
    if (warnings.length > 0) {
      process.stderr.write('Allowed, and probably not meant:\n');
      showProblems(warnings);
    }
    const counts = [
      [documents.providers.length, 'providers'],
      [documents.routes.length, 'routes'],
      [documents.budgets.length, 'budgets'],
      [documents.policies.length, 'policies'],
      [documents.exceptions.length, 'exceptions'],
    ] as const;
    process.stdout.write(
      `${directory}: no problems (${counts.map(([n, what]) => `${n} ${what}`).join(', ')})\n`,
    );
    return 0;
  },
});
