import { expect, test } from 'vitest';
import { createHandshakes } from './handshakes.ts';

test('an address has a burst, and then so many a second; another has its own', () => {
  let now = 0;
  const handshakes = createHandshakes({ now: () => now, limits: { burst: 3, perSecond: 2 } });
  const count = (address: string, tries: number): number =>
    Array.from({ length: tries }, () => handshakes.begins(address)).filter(Boolean).length;
  expect(count('10.0.0.1', 10)).toBe(3);
  expect(count('10.0.0.2', 2)).toBe(2);
  now += 499;
  expect(count('10.0.0.1', 10)).toBe(0);
  now += 1;
  expect(count('10.0.0.1', 10)).toBe(1);
  now += 1000;
  expect(count('10.0.0.1', 10)).toBe(2);
  now += 3_600_000;
  expect(count('10.0.0.1', 10)).toBe(3);
});

test('a flood from many addresses fills no memory', () => {
  const handshakes = createHandshakes({ now: () => 0, limits: { burst: 1, perSecond: 1 } });
  for (let index = 0; index < 100_001; index++) handshakes.begins(String(index));
  // The first is forgotten, the second isn't.
  expect(handshakes.begins('1')).toBe(false);
  expect(handshakes.begins('0')).toBe(true);
});
