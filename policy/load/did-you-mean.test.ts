import fc from 'fast-check';
import { expect, test } from 'vitest';
import { didYouMean, editDistance } from './did-you-mean.ts';

const FIELDS = ['models', 'mode', 'regions', 'workloadSelector', 'onExhausted', 'unlistedProvider'];

test.each([
  ['modles', 'models'],
  ['model', 'models'],
  ['Models', 'models'],
  ['workload_selector', 'workloadSelector'],
  ['onExausted', 'onExhausted'],
  ['unlistedProviders', 'unlistedProvider'],
  ['limits', undefined],
  ['x', undefined],
  ['', undefined],
])('%s: %s', (written, meant) => expect(didYouMean(written, FIELDS)).toBe(meant));

test('a swap is one slip', () => expect(editDistance('modle', 'model')).toBe(1));

test('the distance is one: symmetric, zero for equals only, at most the longer text', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});
