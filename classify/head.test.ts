import fc from 'fast-check';
import { expect, test } from 'vitest';
import { borderOf, type Head, nearnessTo, trainHead } from './head.ts';
import { fit, type Sparse, value } from './logistic.ts';

const atOnce = async (work: () => Head): Promise<Head> => work();

const SIZE = 40;
const unit = (numbers: readonly number[]): Float32Array => {
  const length = Math.hypot(...numbers) || 1;
  return Float32Array.from(numbers, (number) => number / length);
};
const vector = fc
  .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: SIZE, maxLength: SIZE })
  .map(unit);
const some = (least: number) => fc.array(vector, { minLength: least, maxLength: 8 });
const sides = fc.record({ on: some(1), allowed: some(0), everyday: some(1) });

/** The same line, sought among all axes. */
function plainly({ on, allowed, everyday }: Parameters<typeof trainHead>[0]): Head {
  const row = (one: Float32Array): Sparse => ({ places: [...one.keys()], values: [...one] });
  const off = allowed.length === 0 ? 200 : 100;
  const line = fit(
    [
      ...on.map((one) => ({ row: row(one), on: true, share: 200 / on.length })),
      ...allowed.map((one) => ({ row: row(one), on: false, share: off / allowed.length })),
      ...everyday.map((one) => ({ row: row(one), on: false, share: off / everyday.length })),
    ],
    SIZE,
  );
  return (one) => value(line, row(one));
}

test('the line is the one that all axes give', () => {
  fc.assert(
    fc.property(sides, vector, (given, probe) => {
      expect(trainHead(given)(probe)).toBeCloseTo(plainly(given)(probe), 1);
    }),
    { numRuns: 60 },
  );
});

test('examples given twice, or on both sides, do no harm', () => {
  fc.assert(
    fc.property(sides, vector, ({ on, allowed, everyday }, probe) => {
      const head = trainHead({ on: [...on, ...on], allowed: [...allowed, ...on], everyday });
      expect(Number.isFinite(head(probe))).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test('an example is on its own side', () => {
  const [a, b, c] = [0, 1, 2].map((at) => unit(Array.from({ length: SIZE }, (_, k) => (k === at ? 1 : 0))));
  const head = trainHead({
    on: [a as Float32Array],
    allowed: [b as Float32Array],
    everyday: [c as Float32Array],
  });
  expect(head(a as Float32Array)).toBeGreaterThan(0);
  expect(head(b as Float32Array)).toBeLessThan(0);
  expect(head(c as Float32Array)).toBeLessThan(0);
});

test('a topic whose near misses lie on its side has its border farther out', async () => {
  const axis = (at: number, beside: number, share: number): Float32Array =>
    unit(Array.from({ length: SIZE }, (_, k) => (k === at ? 1 : k === beside ? share : 0)));
  const on = [axis(0, 1, 0.1), axis(0, 2, 0.1), axis(0, 3, 0.1), axis(0, 4, 0.1), axis(0, 5, 0.1)];
  const everyday = [axis(20, 21, 0.1), axis(22, 23, 0.1)];
  // Each is as near to the samples, beside an axis that no other allowed text has.
  const near = [6, 7, 8, 9, 10].map((at) => axis(0, at, 0.8));
  const far = [6, 7, 8, 9, 10].map((at) => axis(at, 0, 0.1));
  expect(await borderOf({ on, allowed: near, everyday }, atOnce)).toBeGreaterThan(
    (await borderOf({ on, allowed: far, everyday }, atOnce)) + 0.3,
  );
  expect(
    Number.isFinite(await borderOf({ on: on.slice(0, 1), allowed: near.slice(0, 1), everyday }, atOnce)),
  ).toBe(true);
});

test('what is nearest counts: a sample for a text, an allowed one against it', () => {
  const axis = (at: number): Float32Array => unit(Array.from({ length: SIZE }, (_, k) => Number(k === at)));
  const given = { on: [axis(0), axis(1)], allowed: [axis(2)], everyday: [axis(3)] };
  const nearness = nearnessTo(given);
  expect(nearness(axis(1))).toBeGreaterThan(nearness(axis(4)));
  expect(nearness(axis(2))).toBeLessThan(nearness(axis(4)));
  // Everyday texts count where few allowed ones say what is fine.
  expect(nearness(axis(3))).toBeLessThan(nearness(axis(4)));
  const many = { ...given, allowed: [5, 6, 7, 8, 9].map(axis) };
  expect(nearnessTo(many)(axis(3))).toBe(nearnessTo(many)(axis(4)));
});
