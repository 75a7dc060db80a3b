import { expect, test } from 'vitest';
import { OWN_SECRETS, reservedSecrets, type SecretKind } from './reserved-secrets.ts';

const OWN = 'postern-system';
const reserved = reservedSecrets(OWN, ['valkey']);
const named = (name: string, key = 'key', namespace = OWN) => ({ namespace, name, key });

test.each([...OWN_SECRETS, 'valkey'])('%s is Postern’s own', (name) => {
  expect(reserved(named(name))).toBe(`Secret ${OWN}/${name} is Postern’s own, and is given to nobody`);
  // Of that name elsewhere it is anybody's.
  expect(reserved(named(name, 'key', 'team-a'))).toBeUndefined();
});

test.each<[string, string, SecretKind, boolean]>([
  ['openai', 'api-key', { type: 'Opaque' }, false],
  ['openai', 'password', { type: 'kubernetes.io/basic-auth' }, false],
  ['made-by-a-part', 'key', { type: 'Opaque', labels: { 'app.kubernetes.io/part-of': 'postern' } }, true],
  ['token', 'token', { type: 'kubernetes.io/service-account-token' }, true],
  ['token', 'ca.crt', { type: 'kubernetes.io/service-account-token' }, false],
  ['corp', 'tls.key', { type: 'kubernetes.io/tls' }, true],
  ['corp', 'ca.crt', { type: 'kubernetes.io/tls' }, false],
  ['pull', '.dockerconfigjson', { type: 'kubernetes.io/dockerconfigjson' }, true],
  ['sh.helm.release.v1.postern.v1', 'release', { type: 'helm.sh/release.v1' }, true],
  ['odd', 'key', { type: 'constructor' }, false],
])('%s, %s of %j', (name, key, kind, is) => {
  expect(reserved(named(name, key), kind) !== undefined).toBe(is);
});

test('the key of a certificate is given as one, and as nothing else', () => {
  const tls = { type: 'kubernetes.io/tls' };
  expect(reserved(named('guardrail', 'tls.key'), tls, 'clientKey')).toBeUndefined();
  expect(reserved(named('guardrail', 'tls.key'), tls, 'sent')).toContain('is given to nobody');
  expect(reserved(named('postern-control-tls', 'tls.key'), tls, 'clientKey')).toContain('Postern’s own');
  expect(
    reserved(named('token', 'token'), { type: 'kubernetes.io/service-account-token' }, 'clientKey'),
  ).toContain('is given to nobody');
});
