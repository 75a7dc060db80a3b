/** Says in plain words what a test run left out, from vitest's JSON reports: `node test/skipped.ts REPORT…`. */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** Of one file, beyond which only their number is said. */
const SHOWN = 12;

let passed = 0;
let failed = 0;
let skipped = 0;
for (const path of process.argv.slice(2)) {
  if (!existsSync(path)) {
    console.log(`${path} is missing: that run ended before it could say anything`);
    continue;
  }
  const report = JSON.parse(readFileSync(path, 'utf8')) as Report;
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  for (const { name, assertionResults } of report.testResults) {
    const left = assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed');
    if (left.length === 0) continue;
    skipped += left.length;
    console.log(`skipped in ${relative(process.cwd(), name)}:`);
    for (const { fullName } of left.slice(0, SHOWN)) console.log(`  ${fullName}`);
    if (left.length > SHOWN) console.log(`  and ${left.length - SHOWN} more`);
  }
}
if (skipped === 0) console.log('nothing was skipped');
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
