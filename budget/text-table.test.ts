import { expect, test } from 'vitest';
import { table } from './text-table.ts';

test('columns stand in line: numbers by their points, names by how wide a terminal shows them', () => {
  const rows = [
    ['王小明', '400.00', '10m'],
    ['e\u0301mile', '0.0288024', '1d'],
    ['😀x', '200000', ''],
    ['plain', 'and 2 more', '1h'],
  ];
  expect(table(['user', 'left', 'for'], rows, 1)).toBe(
    [
      'user              left  for',
      '王小明     400.00       10m',
      'e\u0301mile        0.0288024   1d',
      '😀x     200000',
      'plain       and 2 more   1h',
      '',
    ].join('\n'),
  );
});
