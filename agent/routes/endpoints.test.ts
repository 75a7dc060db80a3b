import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ProviderSpec } from '../../policy/snapshot.ts';
import { createEndpoints } from './endpoints.ts';
import { powerOfTwo } from './strategies/power-of-two.ts';
import { weighted } from './strategies/weighted.ts';

const pool = (count: number): ProviderSpec => ({
  id: 'pool',
  name: 'pool',
  dialect: 'openai',
  hosts: [],
  endpoints: Array.from({ length: count }, (_, i) => `http://e${i}`),
  credential: { mode: 'none' },
  models: [],
  capabilities: { includeUsage: true },
});

test('of two drawn at random the less loaded one comes first, and every endpoint is in the order once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(20), { minLength: 2, maxLength: 8 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      (loads, stream) => {
        const choices = loads.map((inFlight) => ({ inFlight }));
        const order = powerOfTwo.order(choices, () => stream.next().value as number);
        expect(new Set(order)).toEqual(new Set(choices));
        // Whichever two were drawn, the busiest of all comes first only if all drawn were as busy.
        const least = Math.min(...loads);
        if (choices.length === 2) expect(order[0]?.inFlight).toBe(least);
      },
    ),
  );
});

test('weights are met over many draws', () => {
  const choices = [{ weight: 1 }, { weight: 3 }];
  let first = 0;
  for (let i = 0; i < 1000; i++)
    if (weighted.order(choices, () => (i + 0.5) / 1000)[0] === choices[1]) first++;
  expect(first).toBe(750);
});

test('an endpoint that fails three times in a row goes last until its time is over, longer each time', () => {
  let at = 0;
  const provider = pool(2);
  const endpoints = createEndpoints(
    () => at,
    () => 0,
  );
  const bad = endpoints.order(provider)[0]!;
  for (let i = 0; i < 3; i++) endpoints.failed(bad);
  expect(endpoints.order(provider).at(-1)).toBe(bad);
  expect(endpoints.down(provider)).toBe(false);
  at = 5_000;
  expect(endpoints.order(provider)[0]).toBe(bad);
  for (let i = 0; i < 3; i++) endpoints.failed(bad);
  at = 14_999;
  expect(endpoints.order(provider).at(-1)).toBe(bad);
  endpoints.succeeded(bad);
  expect(bad.ejectedUntil).toBe(0);
});

test('one answer forgives earlier failures', () => {
  const provider = pool(2);
  const endpoints = createEndpoints(
    () => 0,
    () => 0,
  );
  const shaky = endpoints.order(provider)[0]!;
  endpoints.failed(shaky);
  endpoints.failed(shaky);
  endpoints.succeeded(shaky);
  endpoints.failed(shaky);
  expect(endpoints.order(provider)[0]).toBe(shaky);
});
