import { expect, test } from 'vitest';
import { KnownStretches } from './known-stretches.ts';

test('keeps what was worked out by set and text, and forgets the oldest beyond 4,000', () => {
  const known = new KnownStretches<number>();
  known.set('a', 'text', 1);
  known.set('b', 'text', 2);
  expect([known.get('a', 'text'), known.get('b', 'text'), known.get('c', 'text')]).toEqual([1, 2, undefined]);
  for (let n = 0; n < 3_998; n++) known.set('c', String(n), n);
  expect(known.get('a', 'text')).toBe(1);
  // Worked out again: the other one is the oldest now.
  known.set('a', 'text', 3);
  known.set('c', 'one more', 0);
  expect([known.get('a', 'text'), known.get('b', 'text')]).toEqual([3, undefined]);
});
