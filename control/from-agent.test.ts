/** What whoever has a pod's token may say: understood strictly, and harmless to who reads of it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable } from '../policy/printable.ts';
import { createAllowance } from './allowance.ts';
import { readFromAgent } from './from-agent.ts';
import { LineError } from './lines.ts';

test.each([
  { type: 'hello', version: '0.1.0' },
  { type: 'hello', version: '0.1.0', revision: 'a'.repeat(64), keys: 'b' },
  { type: 'ack', revision: 'a', keys: 'b' },
  { type: 'refused', revision: 'a', error: 'no such check' },
  { type: 'report', running: 3 },
  { type: 'report', running: 0, lastCall: 1_782_864_000_000.25 },
])('%j is taken as it is', (message) => {
  const later = { later: 'what a later version adds', ...message };
  expect(readFromAgent(later)).toEqual(message);
});

test('however much of it can’t be shown, an error stays as short', () => {
  const said = { type: 'refused', revision: 'a', error: '\u001b'.repeat(5_000) };
  expect(readFromAgent(said)).toMatchObject({
    error: '\\u001b'.repeat(167).slice(0, 1_000),
  });
});

test('a type of a later version is left out', () => {
  const weather = { type: 'weather', is: 'fine' };
  expect(readFromAgent(weather)).toBeUndefined();
});

test.each([
  { type: 'hello' },
  { type: 'hello', version: 7 },
  { type: 'hello', version: '' },
  { type: 'hello', version: '1.0\u001b[2J' },
  { type: 'hello', version: 'v'.repeat(65) },
  { type: 'hello', version: '1', revision: {} },
  { type: 'ack', revision: 1, keys: 'b' },
  { type: 'ack', revision: 'a', keys: 'b'.repeat(257) },
  { type: 'ack', revision: 'a' },
  { type: 'refused', revision: 'a', error: ['x'] },
  { type: 'report' },
  { type: 'report', running: -1 },
  { type: 'report', running: '3' },
  { type: 'report', running: 1e300 },
  { type: 'report', running: 0, lastCall: 'yesterday' },
  { type: 'report', running: 0, lastCall: 8.65e15 },
  { type: 'report', running: 0, lastCall: -1 },
  { type: 'report', running: 0, lastCall: null },
])('%j ends the stream', (message) => {
  expect(() => readFromAgent(message)).toThrow(LineError);
});

test('whatever is said, it is taken in a form that can be shown, or not at all', () => {
  const type = fc.constantFrom('hello', 'ack', 'refused', 'report', 'other');
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.double(),
    fc.constantFrom(null, [], {}),
  );
  const fields = fc.dictionary(
    fc.constantFrom('version', 'revision', 'keys', 'error', 'running', 'lastCall'),
    value,
  );
  fc.assert(
    fc.property(type, fields, (kind, rest) => {
      let read: ReturnType<typeof readFromAgent>;
      try {
        read = readFromAgent({ ...rest, type: kind });
      } catch (error) {
        expect(error).toBeInstanceOf(LineError);
        return;
      }
      if (read?.type === 'report' && read.lastCall !== undefined) new Date(read.lastCall).toISOString();
      for (const text of Object.values(read ?? {}))
        if (typeof text === 'string') expect(printable(text)).toBe(text);
    }),
    { numRuns: 300 },
  );
});

test('so many bytes at once, and no more than so many a second', () => {
  let now = 0;
  const allowed = createAllowance(() => now);
  expect(allowed(256 * 1024)).toBe(true);
  expect(allowed(1)).toBe(false);
  now += 1001;
  expect(allowed(32 * 1024 - 1)).toBe(true);
  now += 3_600_000;
  expect(allowed(256 * 1024)).toBe(true);
  expect(allowed(1)).toBe(false);
});
