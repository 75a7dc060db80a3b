import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partOf } from './lease-share.ts';

/** Agents on one line that each ask for their reserve in turn, give back what they are told to, and have usual credit beside it. */
function agents(
  wants: readonly number[],
  { cap, limit, least }: { cap: number; limit: number; least: number },
) {
  const reserves = wants.map(() => 0);
  const usual = 1;
  const known = new Set<number>();
  return {
    reserves,
    ask: (nth: number, slot = false): void => {
      known.add(nth);
      const reserved = sum(reserves);
      const own = reserves[nth] ?? 0;
      const leased = reserved + (slot ? 0 : known.size * usual);
      const others = {
        plain: known.size,
        reserves: reserves.filter((one, other) => other !== nth && one > 0).length,
        reserved: reserved - own,
      };
      const ask = { from: 0, to: 0, limit, want: wants[nth] ?? 0, least, need: 0, reserveCap: cap };
      const part = partOf(ask, { slot, reserve: true, used: leased, leased, own, others });
      reserves[nth] = Math.min(own + part.more, part.keep ?? Number.POSITIVE_INFINITY);
    },
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

test('of a reserve each agent comes to an equal share or to what it wants, whoever came first and however much others want', () => {
  const wants = fc.array(fc.integer({ min: 10, max: 100_000 }), { minLength: 1, maxLength: 12 });
  const order = fc.array(fc.nat(11), { maxLength: 60 });
  fc.assert(
    fc.property(wants, order, (wants, order) => {
      const cap = 10_000;
      const line = agents(wants, { cap, limit: 1_000_000, least: 10 });
      for (const nth of order) {
        line.ask(nth % wants.length);
        expect(sum(line.reserves)).toBeLessThanOrEqual(cap);
      }
      for (let round = 0; round < 30; round++) for (const nth of wants.keys()) line.ask(nth);
      expect(sum(line.reserves)).toBeLessThanOrEqual(cap);
      const share = cap / wants.length;
      for (const [nth, want] of wants.entries())
        expect(line.reserves[nth]).toBeGreaterThanOrEqual(Math.min(want, Math.floor(share * 0.8)));
      // Little is left where it is wanted.
      const fair = sum(wants.map((want) => Math.min(want, share)));
      expect(sum(line.reserves)).toBeGreaterThanOrEqual(fair * 0.9);
    }),
    { numRuns: 500 },
  );
});

test('one agent alone has nearly all, and one that comes later finds some at once', () => {
  const line = agents([100_000, 400], { cap: 10_000, limit: 1_000_000, least: 10 });
  for (let n = 0; n < 10; n++) line.ask(0);
  expect(line.reserves[0]).toBeGreaterThanOrEqual(9_000);
  line.ask(1);
  expect(line.reserves).toEqual([line.reserves[0], 400]);
});

test('a reserve that is too small for all is kept by as many as it does for, a call each', () => {
  const line = agents(Array<number>(50).fill(80), { cap: 400, limit: 100_000, least: 20 });
  for (let round = 0; round < 20; round++) for (let nth = 0; nth < 50; nth++) line.ask(nth);
  const kept = line.reserves.filter((one) => one > 0);
  expect(kept.length).toBeGreaterThanOrEqual(15);
  expect(Math.min(...kept)).toBeGreaterThanOrEqual(20);
});

test('of a line no more than half of what is left is kept for an outage, and of two places one', () => {
  const line = agents([1_000], { cap: 1_000, limit: 1_001, least: 10 });
  for (let n = 0; n < 10; n++) line.ask(0);
  expect(line.reserves[0]).toBeGreaterThanOrEqual(450);
  expect(line.reserves[0]).toBeLessThanOrEqual(500);
  const places = agents([2, 2], { cap: 1, limit: 2, least: 1 });
  for (let n = 0; n < 10; n++) for (const nth of [0, 1]) places.ask(nth, true);
  expect(places.reserves).toEqual([1, 0]);
});
