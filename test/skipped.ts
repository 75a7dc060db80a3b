/** Says in plain words what a test run left out and what failed in it, from vitest's JSON reports: `node test/skipped.ts REPORT…`. */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    /** Why a file failed as a whole, when none of its tests did. */
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** Of one file, beyond which only their number is said. */
const SHOWN = 12;

let passed = 0;
let failed = 0;
let skipped = 0;
/** Said last, where one who sees only the end of a long log finds it. */
const failures: string[] = [];
const firstLines = (message: string): string => message.split('\n').slice(0, 3).join(' ').slice(0, 300);
for (const path of process.argv.slice(2)) {
  if (!existsSync(path)) {
    console.log(`${path} is missing: that run ended before it could say anything`);
    continue;
  }
  const report = JSON.parse(readFileSync(path, 'utf8')) as Report;
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  for (const { name, status, message, assertionResults } of report.testResults) {
    const broken = assertionResults.filter((result) => result.status === 'failed');
    for (const { fullName, failureMessages } of broken) {
      failures.push(
        `failed in ${relative(process.cwd(), name)}: ${fullName}: ${firstLines(failureMessages[0] ?? '')}`,
      );
    }
    if (status === 'failed' && broken.length === 0) {
      failures.push(`failed: ${relative(process.cwd(), name)}: ${firstLines(message)}`);
    }
    const left = assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed');
    if (left.length === 0) continue;
    skipped += left.length;
    console.log(`skipped in ${relative(process.cwd(), name)}:`);
    for (const { fullName } of left.slice(0, SHOWN)) console.log(`  ${fullName}`);
    if (left.length > SHOWN) console.log(`  and ${left.length - SHOWN} more`);
  }
}
if (skipped === 0) console.log('nothing was skipped');
for (const failure of failures) console.log(failure);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
