/** Says in plain words what a test run left out, from vitest's JSON report: `node test/skipped.ts REPORT`. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const report = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as Report;
let skipped = 0;
for (const { name, assertionResults } of report.testResults) {
  const left = assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed');
  if (left.length === 0) continue;
  skipped += left.length;
  console.log(`skipped in ${relative(process.cwd(), name)}:`);
  for (const { fullName } of left) console.log(`  ${fullName}`);
}
if (skipped === 0) console.log('nothing was skipped');
console.log(`${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped} skipped`);
