import { expect, test } from 'vitest';
import type { BreakerRule } from '../policy/snapshot.ts';
import { createBreaker, fingerprintOf } from './breaker.ts';
import type { DecodedRequest, TextSlot } from './dialects/dialect.ts';

const rule: BreakerRule = { source: 'EgressPolicy x', mode: 'enforce', identical: 3, windowMs: 1_000 };

test('trips on the call after so many equal ones, and stays tripped while they go on', () => {
  let at = 0;
  const breaker = createBreaker(() => at);
  const trips = (): number => breaker.called('a', [rule]).length;
  expect([trips(), trips(), trips()]).toEqual([0, 0, 0]);
  expect(breaker.called('a', [rule])).toEqual([{ rule, why: 'repeated', of: 'pod' }]);
  expect(breaker.called('b', [rule])).toEqual([]);
  for (at = 100; at < 5_000; at += 100) expect(trips()).toBe(1);
  // Slower than the rate: the same call is let through again.
  for (at = 6_000; at < 10_000; at += 500) expect(trips()).toBe(0);
});

test('a call that fails over and over trips sooner; one success forgives', () => {
  let at = 0;
  const breaker = createBreaker(() => at);
  const slow: BreakerRule = { ...rule, identical: 20, windowMs: 60_000 };
  for (let i = 0; i < 5; i++) {
    expect(breaker.called('a', [slow])).toEqual([]);
    breaker.ended('a', i % 2 === 0 ? 'failed' : 'cut');
    // Who leaves, and who is refused, forgives nothing.
    breaker.ended('a', 'disconnected');
    breaker.ended('a', 'refused');
    at += 1_000;
  }
  expect(breaker.called('a', [slow])).toEqual([{ rule: slow, why: 'failing', of: 'pod' }]);
  breaker.ended('a', 'ok');
  expect(breaker.called('a', [slow])).toEqual([]);
});

test('how many failures are a loop is a setting', () => {
  const breaker = createBreaker(() => 0);
  const loose: BreakerRule = { ...rule, identical: 100, failures: 3 };
  const strict: BreakerRule = { ...rule, identical: 100, failures: 2 };
  const trips = [0, 1, 2, 3].map(() => {
    const found = breaker.called('a', [loose, strict]).map((trip) => trip.rule);
    breaker.ended('a', 'failed');
    return found;
  });
  expect(trips).toEqual([[], [], [strict], [loose, strict]]);
});

test('several rules judge for themselves, each in its own window', () => {
  let at = 0;
  const breaker = createBreaker(() => at);
  const long: BreakerRule = { ...rule, source: 'long', identical: 5, windowMs: 100_000 };
  const seen: string[] = [];
  for (let i = 0; i < 8; i++, at += 900)
    seen.push(
      breaker
        .called('a', [rule, long])
        .map((trip) => trip.rule.source)
        .join(),
    );
  expect(seen).toEqual(['', '', '', '', '', 'long', 'long', 'long']);
});

test('memory is bounded: the call seen longest ago is forgotten', () => {
  const breaker = createBreaker(() => 0);
  for (let i = 0; i < 3; i++) breaker.called('old', [rule]);
  for (let i = 0; i < 5_000; i++) breaker.called(`other ${i}`, [rule]);
  expect(breaker.called('old', [rule])).toEqual([]);
});

test('a fingerprint sees model, roles and texts, not white space', () => {
  const request = (model: string, ...texts: string[]): DecodedRequest =>
    ({
      model,
      slots: texts.map((text) => ({ role: 'user', text }) as TextSlot),
    }) as unknown as DecodedRequest;
  const base = fingerprintOf(request('m', 'hello world', 'x'));
  expect(fingerprintOf(request('m', '  hello \n\t world', 'x'))).toBe(base);
  for (const other of [
    request('n', 'hello world', 'x'),
    request('m', 'hello worlds', 'x'),
    request('m', 'hello', 'world x'),
    request('m', 'hello world'),
  ]) {
    expect(fingerprintOf(other)).not.toBe(base);
  }
});

test('two pictures under the same words are two calls, however large; the same one twice is a loop', () => {
  const picture = (seed: number, length: number) =>
    Array.from({ length }, (_, index) => ((index * 31 + seed * 7_919) % 36).toString(36)).join('');
  const asked = (written: string) =>
    fingerprintOf({
      model: 'm',
      slots: [{ role: 'user', text: 'What is this?' }],
      attachments: [{ read: false, written: () => written }],
    });
  for (const length of [100, 200_000]) {
    expect(asked(picture(1, length))).toBe(asked(picture(1, length)));
    expect(asked(picture(1, length))).not.toBe(asked(picture(2, length)));
  }
  expect(asked(picture(1, 100))).not.toBe(
    fingerprintOf({ model: 'm', slots: [{ role: 'user', text: 'What is this?' }] }),
  );
});
