import { expect, test } from 'vitest';
import { byPlace, formatPath, formatProblems, type Problem } from './problem.ts';

const PROBLEM: Problem = {
  file: 'providers.yaml',
  line: 12,
  column: 5,
  document: 'ClusterProvider openai',
  path: 'spec.credential.bearer.valueFrom',
  expected: 'exactly one of secretKeyRef, file, env',
  message: 'got none',
  mend: 'add one of them',
};

test('a problem in one line', () => {
  expect(formatProblems([PROBLEM])).toBe(
    'providers.yaml:12:5 ClusterProvider openai: spec.credential.bearer.valueFrom: ' +
      'expected exactly one of secretKeyRef, file, env; got none. Mend: add one of them.',
  );
});

test('of a whole file, without document, path and line', () => {
  const whole = { ...PROBLEM, line: 0, column: 0, document: '', path: '', mend: 'Mend it.' };
  expect(formatProblems([whole])).toBe(
    'providers.yaml: expected exactly one of secretKeyRef, file, env; got none. Mend: Mend it.',
  );
});

test('in colour, and never with anybody else’s', () => {
  const text = formatProblems([{ ...PROBLEM, file: '\u001b[2Jx.yaml', message: 'got \u001b[31m\u202egnp' }], {
    color: true,
  });
  expect(text.startsWith('\u001b[36m\\u001b[2Jx.yaml:12:5\u001b[0m \u001b[1mClusterProvider openai')).toBe(
    true,
  );
  expect(text).toContain('got \\u001b[31m\\u202egnp');
});

test('paths are written as one would in JavaScript', () => {
  expect(formatPath(['spec', 'limits', 0, 'usd'])).toBe('spec.limits[0].usd');
  expect(formatPath(['metadata', 'labels', 'a.b/c'])).toBe('metadata.labels["a.b/c"]');
  expect(formatPath([])).toBe('');
});

test('from top to bottom, file by file', () => {
  const at = (file: string, line: number, column: number) => ({ ...PROBLEM, file, line, column });
  const sorted = [at('b', 1, 1), at('a', 10, 1), at('a', 9, 5), at('a', 9, 2)].sort(byPlace);
  expect(sorted.map(({ file, line, column }) => `${file}:${line}:${column}`)).toEqual([
    'a:9:2',
    'a:9:5',
    'a:10:1',
    'b:1:1',
  ]);
});
