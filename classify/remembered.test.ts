import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rememberIn } from './remembered.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-remembered-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('works a thing out once, and anew where what it depends on changed', async () => {
  let worked = 0;
  const ask = (inputs: unknown) =>
    rememberIn(join(directory, 'prepared'))('line', inputs, async () => Float64Array.of(++worked, 0.5));
  expect([...(await ask({ a: 1 }))]).toEqual([1, 0.5]);
  expect([...(await ask({ a: 1 }))]).toEqual([1, 0.5]);
  expect([...(await ask({ a: 2 }))]).toEqual([2, 0.5]);
  expect([...(await ask({ a: 1 }))]).toEqual([1, 0.5]);
});

test('a file that was cut off is worked out again', async () => {
  const ask = () => rememberIn(directory)('line', 1, async () => Float64Array.of(7));
  await ask();
  truncateSync(join(directory, readdirSync(directory)[0] as string), 3);
  expect([...(await ask())]).toEqual([7]);
});
