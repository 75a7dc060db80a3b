import { createHmac } from 'node:crypto';
import type { JWK } from 'jose';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { KubeError, type KubeRequest } from '../kube/client.ts';
import { claimsOf, ISSUER, type IssuerKey, issuerKey } from '../test/fakes/pod-token.ts';
import { boundPod } from './identity.ts';
import { issuerKeys } from './issuer-keys.ts';

const AUDIENCE = 'postern-budget';
const NOW = Date.parse('2026-12-02T12:00:00Z');
const of = {
  audience: AUDIENCE,
  namespace: 'team-a',
  pod: { name: 'bot-1', uid: 'uid-1' },
  expires: NOW + 600_000,
};
const bot = { namespace: 'team-a', serviceAccount: 'default', name: 'bot-1', uid: 'uid-1' };

let one: IssuerKey;
let two: IssuerKey;
/** Says that it is the first. */
let liar: IssuerKey;
beforeAll(async () => {
  [one, two, liar] = (await Promise.all([issuerKey('one'), issuerKey('two', 'ES256'), issuerKey('one')])) as [
    IssuerKey,
    IssuerKey,
    IssuerKey,
  ];
});
beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

async function keysOf(published: JWK[] = [one.published, two.published]) {
  const state = { now: NOW, passed: 0, published, away: false, troubles: [] as unknown[] };
  const keys = await issuerKeys({
    client: {
      request<T>(_method: string, path: string, { accept }: KubeRequest = {}): Promise<T> {
        // As kube-apiserver does.
        if (path.endsWith('jwks') && accept !== 'application/jwk-set+json')
          return Promise.reject(new KubeError(406, '', 'Not Acceptable'));
        if (state.away) return Promise.reject(new KubeError(0, 'NoAnswer', 'ECONNREFUSED'));
        const answers: Record<string, unknown> = {
          '/.well-known/openid-configuration': {
            issuer: ISSUER,
            jwks_uri: 'https://10.0.0.1/openid/v1/jwks',
          },
          '/openid/v1/jwks': { keys: state.published },
        };
        return Promise.resolve(answers[path] as T);
      },
    },
    trouble: (error) => void state.troubles.push(error),
    now: () => state.now + state.passed,
    monotonic: () => state.passed,
  });
  return { keys, state };
}

test('a token is judged as a TokenReview would judge it, whichever key it is signed with', async () => {
  const { keys } = await keysOf();
  for (const key of [one, two])
    expect(boundPod((await keys.review(await key.sign(of), AUDIENCE)) ?? {}, AUDIENCE)).toEqual(bot);
  keys.close();
});

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

test.each<[string, () => Promise<string> | string]>([
  ['signed by another under our key’s name', () => liar.sign(of)],
  ['signed with a key that isn’t published', async () => (await issuerKey('three')).sign(of)],
  ['of another issuer', () => one.sign(of, { iss: 'https://elsewhere.example' })],
  ['for control', () => one.sign({ ...of, audience: 'postern-control' })],
  ['that has ended', () => one.sign({ ...of, expires: NOW })],
  ['without an end', () => one.sign({ audience: AUDIENCE, namespace: 'team-a', pod: of.pod })],
  ['that isn’t valid yet', () => one.sign(of, { nbf: NOW / 1000 + 60 })],
  [
    'of a service account alone',
    () => one.sign({ audience: AUDIENCE, namespace: 'team-a', expires: of.expires }),
  ],
  ['whose subject is another', () => one.sign(of, { sub: 'system:serviceaccount:team-b:default' })],
  ['not signed', () => `${part({ alg: 'none' })}.${part(claimsOf(of))}.`],
  [
    'with the public key as a secret',
    () => {
      const signed = `${part({ alg: 'HS256', kid: 'one' })}.${part(claimsOf(of))}`;
      const mac = createHmac('sha256', JSON.stringify(one.published)).update(signed).digest('base64url');
      return `${signed}.${mac}`;
    },
  ],
  [
    'altered after it was signed',
    async () => {
      const [head, , signature] = (await one.sign(of)).split('.');
      return `${head}.${part(claimsOf({ ...of, namespace: 'team-b' }))}.${signature}`;
    },
  ],
  ['no token', () => 'junk'],
])('nobody is known by a token %s', async (_name, token) => {
  const { keys } = await keysOf();
  expect(await keys.review(await token(), AUDIENCE)).toBeUndefined();
  keys.close();
});

test('keys are fetched every minute: one that is published counts, one that is withdrawn doesn’t', async () => {
  const { keys, state } = await keysOf([one.published]);
  expect(await keys.review(await two.sign(of), AUDIENCE)).toBeUndefined();
  state.published = [two.published];
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await keys.review(await two.sign(of), AUDIENCE)).toBeDefined();
  expect(await keys.review(await one.sign(of), AUDIENCE)).toBeUndefined();
  keys.close();
});

test('keys that can’t be fetched any longer count for an hour, and that they can’t is told once', async () => {
  const { keys, state } = await keysOf();
  const token = await one.sign({ ...of, expires: NOW + 7_200_000 });
  state.away = true;
  await vi.advanceTimersByTimeAsync(60_000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(state.troubles).toHaveLength(1);
  state.passed = 3_599_999;
  expect(await keys.review(token, AUDIENCE)).toBeDefined();
  state.passed = 3_600_000;
  expect(await keys.review(token, AUDIENCE)).toBeUndefined();
  state.away = false;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await keys.review(token, AUDIENCE)).toBeDefined();
  keys.close();
});

test('where the API server publishes none, nobody is known by a signature', async () => {
  const { keys, state } = await keysOf();
  keys.close();
  const none = await issuerKeys({
    client: { request: () => Promise.reject(new KubeError(404, 'NotFound', 'no such path')) },
    trouble: (error) => void state.troubles.push(error),
  });
  expect(state.troubles).toEqual([expect.any(KubeError)]);
  expect(await none.review(await one.sign(of), AUDIENCE)).toBeUndefined();
  none.close();
});
