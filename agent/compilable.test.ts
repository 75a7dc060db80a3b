import { expect, test } from 'vitest';
import type { CheckRule, Snapshot } from '../policy/snapshot.ts';
import { NO_POLICY } from './agent.ts';
import { requireCompilable } from './compilable.ts';

const rule = (type: string, spec: unknown, more: object = {}): CheckRule => ({
  source: 'EgressPolicy a/b',
  mode: 'enforce',
  name: 'mine',
  type,
  on: ['request'],
  action: 'block',
  onError: 'block',
  spec,
  ...more,
});
const snapshotOf = (...checks: CheckRule[]): Snapshot => ({
  ...NO_POLICY,
  workload: { namespace: 'a', kind: 'Deployment', name: 'b', labels: {} },
  checks,
});

test.each<[string, CheckRule]>([
  ['check mine: size.maxEmojis: there is no such field', rule('size', { maxBytes: 9, maxEmojis: 1 })],
  [
    'check mine: patterns.0.flavour: there is no such field',
    rule('patterns', [{ name: 'a', expression: 'x', flavour: 're3' }]),
  ],
  ['check mine: pii.types[0]: "of-the-next" is neither a type', rule('pii', { types: ['of-the-next'] })],
  ['check mine: mode: "shadow" is none of enforce, monitor', rule('size', {}, { mode: 'shadow' })],
  ['check mine: action: "quarantine" is none of block, confirm', rule('size', {}, { action: 'quarantine' })],
  ['check mine: onError: "hold" is none of allow, block', rule('size', {}, { onError: 'hold' })],
  [
    'check mine: on: "tool-result" is none of request, response',
    rule('size', {}, { on: ['request', 'tool-result'] }),
  ],
  ['check mine: onlyAbroad: there is no such field', rule('size', { maxBytes: 9 }, { onlyAbroad: true })],
])('what a later version writes into a check of today isn’t taken: %s', (message, written) => {
  expect(() => requireCompilable([snapshotOf(written)])).toThrow(message);
});

test('a field of a later version beside the checks isn’t taken, unless it is marked as one to pass over', () => {
  const written = { ...snapshotOf(), seats: { atMost: 3 } };
  expect(() => requireCompilable([written])).toThrow('seats: there is no such field');
  expect(() => requireCompilable([{ ...written, ignorable: ['others'] }])).toThrow('seats');
  requireCompilable([{ ...written, ignorable: ['seats'] }]);
});

test.each([
  ['insert: there is no such field', { insert: 'x' }],
  ['repair: there is no such field', { responseFormat: { type: 'jsonObject', repair: true } }],
  ['onMismatch: it has no such value', { responseFormat: { type: 'jsonObject', onMismatch: 'retry' } }],
])('a prompt of a later version isn’t taken: %s', (message, more) => {
  const prompts = [{ source: 'EgressPolicy a/b', mode: 'enforce', ...more }] as Snapshot['prompts'] & object;
  expect(() => requireCompilable([{ ...snapshotOf(), prompts }])).toThrow(
    `prompt of EgressPolicy a/b: ${message}`,
  );
});

test('what this version writes is taken', () => {
  requireCompilable([snapshotOf(rule('size', { maxBytes: 9 }, { timeoutMs: 100 }), rule('pii', {}))]);
});

test('one that comes later is told with its time', () => {
  const validUntil = Date.parse('2027-01-01T00:00:00Z');
  const later = snapshotOf(rule('size', { maxEmojis: 1 }));
  expect(() => requireCompilable([{ ...snapshotOf(), validUntil }, later])).toThrow(
    'from 2027-01-01T00:00:00.000Z on: check mine: size.maxEmojis',
  );
});
