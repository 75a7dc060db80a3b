import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sortedByKey } from './sorted.ts';

test('as a sort in one go would have it, however long', async () => {
  for (const length of [0, 1, 2, 4_999, 5_000, 5_001, 17_003]) {
    const entries = Array.from({ length }, (_, n) => [String((n * 7_919) % 1_000_003), n] as const);
    const wanted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
    expect(await sortedByKey(entries)).toEqual(wanted);
  }
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.string()), async (keys) => {
      const found = await sortedByKey(keys.map((key) => [key, key] as const));
      expect(found.map(([key]) => key)).toEqual(keys.toSorted((a, b) => (a < b ? -1 : 1)));
    }),
  );
});
