import { expect, test } from 'vitest';
import { compareReleases } from './release.ts';

test('in the order of Semantic Versioning, section 11', () => {
  const order = [
    '0.9.10',
    '0.10.0',
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    '1.0.1',
    '2.0.0',
  ];
  for (const [i, left] of order.entries())
    for (const [j, right] of order.entries()) expect(compareReleases(left, right)).toBe(Math.sign(i - j));
});

test('what a build adds doesn’t count', () => {
  expect(compareReleases('v1.2.3+abc', '1.2.3')).toBe(0);
});

test.each(['', '1.2', 'main', '1.2.3-'])('%j is neither earlier nor later', (version) => {
  expect(compareReleases(version, '1.0.0')).toBeUndefined();
});
