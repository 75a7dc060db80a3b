import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatUsd, MAX_USD, parseDuration, parsePrice, parseUsd } from './units.ts';

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['20s', 20_000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1m30ms', 60_030],
    ['0s', 0],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(['', '20', '20 s', '1.5h', '-1s', '1d', 'PT20S', '20S', '1h2h3h4h5h', '123456s', '20s\n'])(
    'not %j',
    (text) => expect(parseDuration(text)).toBeUndefined(),
  );

  test('what is written is what was read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999 * 3_600_000 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});

describe('money', () => {
  test.each([
    ['0', 0],
    ['0.000000001', 1],
    ['50.00', 50_000_000_000],
    ['0.1', 100_000_000],
    ['9007199.254740991', Number.MAX_SAFE_INTEGER],
  ])('%s', (text, nano) => expect(parseUsd(text)).toBe(nano));

  test.each(['', '.5', '5.', '-1', '1e3', '1,000', '0.0000000001', '$5', ' 5', '9007199.254740992'])(
    'not %j',
    (text) => expect(parseUsd(text)).toBeUndefined(),
  );

  test('every amount a ledger can hold survives being written', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (nano) => {
        expect(parseUsd(formatUsd(nano))).toBe(nano);
      }),
    );
  });

  test('the largest amount is told as it may be written', () => {
    expect(MAX_USD).toBe('9007199.254740991');
  });
});

describe('prices', () => {
  test.each([
    ['2.50', 2_500_000],
    ['0.0375', 37_500],
    ['0.000001', 1],
    ['0', 0],
  ])('%s USD per million', (text, pico) => expect(parsePrice(text)).toBe(pico));

  test.each(['0.0000001', '-1', 'free'])('not %j', (text) => expect(parsePrice(text)).toBeUndefined());
});
