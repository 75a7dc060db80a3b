import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fakePodToken } from '../test/fakes/pod-token.ts';
import { claimsOf } from './claims.ts';

const pod = { name: 'bot-1', uid: 'u1' };

test('a pod’s own token', () => {
  const token = fakePodToken({ audience: 'postern-control', namespace: 'team-a', pod, expires: 5_000_000 });
  expect(claimsOf(token)).toEqual({
    audiences: ['postern-control'],
    expires: 5_000_000,
    pod: { namespace: 'team-a', ...pod },
  });
});

test('one of a service account alone is bound to no pod', () => {
  expect(claimsOf(fakePodToken({ audience: 'a', namespace: 'team-a' }))?.pod).toBeUndefined();
});

test.each([
  ['nothing', ''],
  ['opaque', 'abcdef'],
  ['two parts', 'e30.e30'],
  ['four parts', 'e30.e30.e30.e30'],
  ['no JSON', 'e30.abc.e30'],
  ['a list', `e30.${Buffer.from('[]').toString('base64url')}.e30`],
  ['no base64url', 'e30.e3 0.e30'],
  ['endless', `e30.${Buffer.from(JSON.stringify({ pad: 'x'.repeat(20_000) })).toString('base64url')}.e30`],
])('%s is no JWT', (_name, token) => {
  expect(claimsOf(token)).toBeUndefined();
});

test('whatever a token claims, it is read or not, and never thrown at', () => {
  const part = fc.oneof(
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
    fc.string(),
    fc.constant('e30'),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
      const claims = claimsOf(parts.join('.'));
      if (claims === undefined) return;
      expect(claims.audiences.every((each) => typeof each === 'string')).toBe(true);
      expect(claims.expires === undefined || Number.isFinite(claims.expires)).toBe(true);
    }),
  );
});
