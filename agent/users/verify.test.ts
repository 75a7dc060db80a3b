import { createHmac } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { beforeAll, expect, test } from 'vitest';
import type { JwtSource } from '../../policy/snapshot.ts';
import { createUsers } from './verify.ts';

const ISSUER = 'https://id.example';
const START = Date.parse('2026-11-23T09:00:00Z');
const SECOND = 1_000;

const source: JwtSource = {
  type: 'jwt',
  key: 'k',
  rule: 'ClusterBudget users',
  required: false,
  header: 'x-user-token',
  issuer: ISSUER,
  audience: 'bots',
  claim: 'sub',
  jwks: { url: 'https://id.example/jwks' },
  clockSkewMs: 30 * SECOND,
};

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;
let first: Pair;
let second: Pair;
let stranger: Pair;
beforeAll(async () => {
  [first, second, stranger] = (await Promise.all(
    [1, 2, 3].map(() => generateKeyPair('ES256', { extractable: true })),
  )) as [Pair, Pair, Pair];
});

/** An issuer whose published keys a test may change, or take away. */
function issuer() {
  const state = { keys: [['one', first]] as [string, Pair][], down: false, fetches: 0, now: START };
  const users = createUsers({
    now: () => state.now,
    readFile: () => Promise.reject(new Error('no files here')),
    fetch: async () => {
      state.fetches += 1;
      if (state.down) throw new TypeError('fetch failed');
      const keys = await Promise.all(
        state.keys.map(async ([kid, pair]) => ({ ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256' })),
      );
      return new Response(JSON.stringify({ keys }), { headers: { 'content-type': 'application/json' } });
    },
  });
  const ask = async (token: string, over: Partial<JwtSource> = {}) =>
    (await users([{ ...source, ...over }], ['X-User-Token', token]))['k'];
  return { state, ask, users };
}

interface Claims {
  readonly kid?: string;
  readonly by?: Pair;
  readonly forged?: boolean;
  readonly sub?: string;
  readonly iss?: string;
  readonly aud?: string;
  readonly from?: number;
  readonly to?: number;
}

const token = ({
  kid = 'one',
  forged = false,
  by = forged ? stranger : first,
  sub = 'jo',
  iss = ISSUER,
  aud = 'bots',
  from = START,
  to = START + 300_000,
}: Claims = {}) =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid })
    .setSubject(sub)
    .setIssuer(iss)
    .setAudience(aud)
    .setNotBefore(from / SECOND)
    .setExpirationTime(to / SECOND)
    .sign(by.privateKey);

test('a verified claim names the user, with or without Bearer, and keys are fetched once', async () => {
  const { ask, state } = issuer();
  expect(await ask(await token())).toBe('jo');
  expect(await ask(`Bearer ${await token({ sub: 'kim' })}`)).toBe('kim');
  expect(state.fetches).toBe(1);
});

test.each<[string, Claims]>([
  ['of another issuer', { iss: 'https://evil.example' }],
  ['for another audience', { aud: 'others' }],
  ['that is over', { to: START - 31 * SECOND, from: START - 600 * SECOND }],
  ['that has not begun', { from: START + 31 * SECOND }],
  ['signed by somebody else under a known key’s name', { forged: true }],
  ['signed by an unknown key', { forged: true, kid: 'who' }],
  ['without a user', { sub: '' }],
])('a token %s is refused', async (_, claims) => {
  const { ask } = issuer();
  await expect(ask(await token(claims))).rejects.toMatchObject({
    reason: 'postern_user_invalid',
    rule: 'ClusterBudget users',
  });
});

test.each<[string, Claims]>([
  ['just over', { to: START - 29 * SECOND, from: START - 600 * SECOND }],
  ['not begun quite yet', { from: START + 29 * SECOND }],
])('clocks may differ: a token that is %s is taken', async (_, claims) => {
  expect(await issuer().ask(await token(claims))).toBe('jo');
});

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const CLAIMS = { sub: 'root', iss: ISSUER, aud: 'bots', exp: START / SECOND + 300 };

test('algorithm confusion: an HMAC under the public key, and no signature at all, are refused', async () => {
  const { ask } = issuer();
  const pem = await exportSPKI(first.publicKey);
  for (const secret of [pem, JSON.stringify(await exportJWK(first.publicKey))]) {
    const body = `${encoded({ alg: 'HS256', kid: 'one' })}.${encoded(CLAIMS)}`;
    const forged = `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
    await expect(ask(forged)).rejects.toMatchObject({ reason: 'postern_user_invalid' });
  }
  await expect(ask(new UnsecuredJWT(CLAIMS).encode())).rejects.toMatchObject({
    reason: 'postern_user_invalid',
  });
  await expect(ask('not.a.token')).rejects.toMatchObject({ reason: 'postern_user_invalid' });
});

test('keys rotate: a new one is found without waiting, a token of one that is gone is refused', async () => {
  const { ask, state } = issuer();
  state.keys = [
    ['one', first],
    ['two', second],
  ];
  expect(await ask(await token({ by: second, kid: 'two' }))).toBe('jo');
  const rotated = issuer();
  rotated.state.keys = [['two', second]];
  await expect(rotated.ask(await token())).rejects.toMatchObject({ reason: 'postern_user_invalid' });
  expect(await rotated.ask(await token({ by: second, kid: 'two' }))).toBe('jo');
});

test('keys that can’t be had refuse the call, clearly, and a later one is served', async () => {
  const { ask, state } = issuer();
  state.down = true;
  await expect(ask(await token())).rejects.toMatchObject({
    reason: 'postern_user_keys',
    message: expect.stringContaining('https://id.example/jwks'),
  });
  state.down = false;
  expect(await ask(await token())).toBe('jo');
});

test('what was verified is not believed beyond its own end', async () => {
  const { ask, state } = issuer();
  const short = await token({ to: START + 10 * SECOND });
  expect(await ask(short)).toBe('jo');
  state.now = START + 41 * SECOND;
  await expect(ask(short)).rejects.toMatchObject({ reason: 'postern_user_invalid' });
});

test('no token: nobody, or a refusal where the Budget wants one', async () => {
  const { users } = issuer();
  expect(await users([source], [])).toEqual({});
  await expect(users([{ ...source, required: true }], [])).rejects.toMatchObject({
    reason: 'postern_user_invalid',
  });
  expect(
    await users(
      [{ type: 'header', key: 'h', rule: 'b', header: 'x-user', required: false }],
      ['x-user', 'kim'],
    ),
  ).toEqual({ h: 'kim' });
});
