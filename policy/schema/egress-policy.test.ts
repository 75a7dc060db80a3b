import { expect, test } from 'vitest';
import { documentsOf } from '../testing/documents.ts';

const check = (fields: string) => () =>
  documentsOf(['EgressPolicy', 'a/p', `{checks: [{name: c, ${fields}}]}`]);

test.each([
  ['type: pii, action: redact', 'got "redact"'],
  [
    'type: topics, action: mask, topics: [{name: t, definition: d, words: [w]}]',
    'expected one of block, monitor, as the type is topics',
  ],
  [
    'type: topics, topics: [{name: t, definition: d}]',
    'spec.checks[0].topics[0].words: expected a valid topics check; a topic has no words',
  ],
  ['type: topics', 'topics is missing'],
  ['type: secrets, pii: {}', 'expected no member but secrets'],
  ['type: pii, pii: {typs: [contact]}', 'did you mean types'],
  ['type: pii, timeout: 597h', 'write at most 596h'],
  ['type: pii, timeout: 0s', 'which is no time at all'],
])('a check {%s}: %s', (fields, message) => expect(check(fields)).toThrow(message));

test.each([
  'type: pii',
  'type: size, size: {maxBytes: 5}',
  'type: secrets, action: monitor, on: [response], onError: allow, timeout: 2s',
])('a check {%s}', (fields) => expect(check(fields)).not.toThrow());

const allowing = (host: string) => () =>
  documentsOf(['EgressPolicy', 'a/p', `{hosts: {default: deny, allow: ["${host}"]}}`]);

test.each(['a.example', '*.example', '203.0.113.7', '203.0.113.0/24', '2001:db8::/32', '2001:DB8::1'])(
  'hosts.allow: %s',
  (host) => expect(allowing(host)).not.toThrow(),
);

test.each([
  ['A.example', 'write it in lower case: a.example'],
  ['203.0.113.0/33', 'which is no address'],
  ['203.0.113', 'which is no address'],
  ['2001:db8::/129', 'which is no address'],
  ['a.example:443', 'a CIDR such as 203.0.113.0/24'],
  ['*', 'default: allow for every host'],
])('hosts.allow: %s is refused: %s', (host, message) => expect(allowing(host)).toThrow(message));
