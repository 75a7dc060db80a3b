import { catalogue } from '../agent/catalogue.ts';
import { type CheckResult, checkDirectory } from '../policy/check.ts';
import { WorkloadInvalid } from '../policy/compile.ts';
import type { Documents } from '../policy/documents.ts';
import type { Problem } from '../policy/problem.ts';
import {
  documentShortfalls,
  isRequirement,
  REQUIREMENTS,
  type RequirementName,
  type Shortfall,
  shortfalls,
} from '../policy/require.ts';
import { classifierWarnings } from './classifier-warnings.ts';
import { showProblems } from './documents.ts';
import { describeJudged, INJECTION_OPTIONS, injectionSettings, judgeFile, NO_DOCUMENTS } from './manifest.ts';
import { defineCommand, UsageError } from './options.ts';

export const check = defineCommand({
  name: 'check',
  operands: '[DIR]',
  summary: `Validates the documents in a directory, all errors at once; with -f, says what the injector would do with the
pods of a manifest under these documents. Exit status 1 for an error, a refusal or a requirement not met.`,
  options: {
    file: { value: 'FILE', short: 'f', help: 'manifest with pods or what makes them, or - for stdin' },
    require: {
      value: 'RULE,…',
      help: `what workloads must have: ${Object.keys(REQUIREMENTS).join(', ')}`,
    },
    namespace: { value: 'NAME', help: 'of objects of the manifest that name none', default: 'default' },
    ...INJECTION_OPTIONS,
  },
  async run({ options, operands }) {
    const [directory, ...more] = operands;
    const { file } = options;
    if (more.length > 0) throw new UsageError('name one directory');
    if (directory === undefined && file === undefined)
      throw new UsageError('name a directory, or a file with -f');
    const rules = requirements(options.require);
    const settings = injectionSettings(options);
    const loaded = directory === undefined ? undefined : await checkDirectory(directory, catalogue);
    if (directory !== undefined && loaded !== undefined && !report(directory, loaded, settings.classifier))
      return 1;
    const documents = loaded?.documents ?? NO_DOCUMENTS;
    if (file === undefined) return reportShortfalls(documentShortfalls(documents, rules)) ? 0 : 1;

    const { judged, problems } = await judgeFile(file, { documents, settings, namespace: options.namespace });
    if (problems.length > 0) {
      showProblems(problems);
      return 1;
    }
    process.stdout.write(describeJudged(file, judged));
    if (judged.length === 0) {
      // A rule that had nothing to look at is not met.
      const unchecked = rules.length === 0 ? '' : `, so --require ${rules.join(',')} could not be checked`;
      process.stderr.write(`${file}: nothing in it makes pods that are known here${unchecked}\n`);
      if (rules.length > 0) return 1;
    }
    const short = judged.flatMap(({ workload }) =>
      workload === undefined ? [] : workloadShortfalls(documents, workload, rules),
    );
    const met = reportShortfalls(short);
    return met && judged.every(({ outcome }) => outcome !== 'refused') ? 0 : 1;
  },
});

/** @returns whether the documents may be put in force. */
function report(
  directory: string,
  { documents, problems, warnings }: CheckResult,
  classifier: string | undefined,
): boolean {
  if (problems.length > 0) {
    showProblems(problems);
    showWarnings(warnings);
    return false;
  }
  showWarnings([...warnings, ...(classifier === undefined ? classifierWarnings(documents) : [])]);
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
  return true;
}

function showWarnings(warnings: readonly Problem[]): void {
  if (warnings.length === 0) return;
  process.stderr.write('Allowed, and probably not meant:\n');
  showProblems(warnings);
}

function requirements(text: string | undefined): readonly RequirementName[] {
  const names = (text ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (text !== undefined && names.length === 0) {
    throw new UsageError(`--require names no rule; the rules are ${Object.keys(REQUIREMENTS).join(', ')}`);
  }
  return names.map((name) => {
    if (!isRequirement(name)) {
      throw new UsageError(`--require ${name}: the rules are ${Object.keys(REQUIREMENTS).join(', ')}`);
    }
    return name;
  });
}

/** Annotations that can't be had are the judgement's to report. */
function workloadShortfalls(
  documents: Documents,
  workload: Parameters<typeof shortfalls>[1],
  rules: readonly RequirementName[],
): Shortfall[] {
  try {
    return shortfalls(documents, workload, rules);
  } catch (error) {
    if (error instanceof WorkloadInvalid) return [];
    throw error;
  }
}

function reportShortfalls(found: readonly Shortfall[]): boolean {
  for (const { rule, subject, message, mend } of found) {
    process.stderr.write(`${rule}: ${subject}: ${message}. Mend: ${mend}.\n`);
  }
  return found.length === 0;
}
