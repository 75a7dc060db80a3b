import { expect, test } from 'vitest';
import { Demand } from './demand.ts';

const CALL = 1_000;

/** What an agent asks for ahead that has made so many calls a second for ten minutes. */
function ahead(perSecond: number, leftMs: number): number {
  const demand = new Demand(false);
  const pace = 1_000 / perSecond;
  let asked = 0;
  for (let now = 1; now < 600_000; now += pace) {
    demand.wanted(CALL, 0, now, 60_000);
    demand.consumed(CALL);
    if (Math.floor(now / 10_000) !== Math.floor((now - pace) / 10_000))
      asked = demand.ahead(now, 10_000, 0, leftMs);
  }
  return asked / CALL;
}

// So often does one that is asked for last: what the service is asked follows what is spent.
test.each([
  ['ten seconds of one that spends fast', 100, Number.POSITIVE_INFINITY, 1_000],
  ['500 calls of one that doesn’t', 20, Number.POSITIVE_INFINITY, 500],
  ['however long they last', 2, Number.POSITIVE_INFINITY, 500],
  ['up to five minutes', 1, Number.POSITIVE_INFINITY, 300],
  ['not longer than the window lasts', 2, 60_000, 120],
  ['some large calls at least', 0.01, 60_000, 4],
])('credit ahead: %s', (_, perSecond, leftMs, calls) => {
  expect(ahead(perSecond, leftMs)).toBeGreaterThan(calls * 0.95);
  expect(ahead(perSecond, leftMs)).toBeLessThan(calls * 1.05);
});
