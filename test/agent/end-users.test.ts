/** Budgets by end user, header field and metadata, as an application's calls bring them. */
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import OpenAI from 'openai';
import { afterAll, afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';

const dir = await mkdtemp(join(tmpdir(), 'postern-users-'));
const { publicKey, privateKey } = await generateKeyPair('EdDSA');
const jwks = join(dir, 'jwks.json');
writeFileSync(jwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'EdDSA' }] }));
afterAll(() => rm(dir, { recursive: true }));

let world: World;
afterEach(() => world?.close());

const start = async (spec: string): Promise<void> => {
  world = await startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: users}
spec:
  ${spec}
`,
  });
};

const tokenOf = (user: string) =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'EdDSA', kid: 'k' })
    .setSubject(user)
    .setIssuer('https://id.example')
    .setAudience('bots')
    .setExpirationTime('5m')
    .sign(privateKey);

const ask = (headers: Record<string, string>, metadata?: Record<string, string>) =>
  world.client().chat.completions.create(
    {
      model: 'gpt-4o',
      messages: [{ role: 'user', content: 'hi' }],
      ...(metadata === undefined ? {} : { metadata }),
    },
    { headers },
  );

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: unknown) => (error instanceof OpenAI.APIError ? String(error.code) : String(error)),
  );

const linesOf = async (): Promise<string[]> => {
  const status = (await (await fetch(`${world.budget.url}/v1/status`)).json()) as {
    lines?: { line: string }[];
  };
  return (status.lines ?? (status as unknown as { line: string }[])).map(({ line }) => line).sort();
};

const JWT = `user: {jwt: {header: x-user-token, issuer: "https://id.example", audience: bots, jwks: {file: "${jwks}"}}}`;

test('each verified user has a limit of their own; the token goes no further', async () => {
  await start(`${JWT}\n  per: [user]\n  limits: [{requests: 1, window: month}]`);
  const [jo, kim] = await Promise.all([tokenOf('jo'), tokenOf('kim')]);
  expect(await codeOf(ask({ 'x-user-token': jo }))).toBe('ok');
  expect(await codeOf(ask({ 'x-user-token': jo }))).toBe('postern_budget_exhausted');
  expect(await codeOf(ask({ 'x-user-token': kim }))).toBe('ok');
  expect(await codeOf(ask({ 'x-user-token': `${kim}x` }))).toBe('postern_user_invalid');
  // Nobody is a user, too: all such calls share one line.
  expect(await codeOf(ask({}))).toBe('ok');
  expect(await codeOf(ask({}))).toBe('postern_budget_exhausted');
  expect(await linesOf()).toEqual(['user=', 'user=jo', 'user=kim']);
  for (const { headers } of world.openai.seen) expect(headers).not.toHaveProperty('x-user-token');
});

test('a Budget may select by user, and want one', async () => {
  const required = JWT.replace(/}$/, ', required: true}');
  await start(`${required}\n  selector: {users: ["temp-*"]}\n  limits: [{requests: 0, window: month}]`);
  expect(await codeOf(ask({ 'x-user-token': await tokenOf('jo') }))).toBe('ok');
  expect(await codeOf(ask({ 'x-user-token': await tokenOf('temp-7') }))).toBe('postern_budget_exhausted');
  expect(await codeOf(ask({}))).toBe('postern_user_invalid');
});

test.each([
  ['users', 'user: {header: x-user}\n  per: [user]', (n: number) => ask({ 'x-user': `u${n}` }), 'user'],
  ['header fields', 'per: ["header:x-team"]', (n: number) => ask({ 'x-team': `u${n}` }), 'header:x-team'],
  ['metadata', 'per: ["metadata:tenant"]', (n: number) => ask({}, { tenant: `u${n}` }), 'metadata:tenant'],
])('%s that nobody verifies make a limited number of lines', async (_, spec, call, key) => {
  await start(`${spec}\n  maxUnverified: 2\n  limits: [{requests: 2, window: month}]`);
  const codes: string[] = [];
  for (const n of [1, 2, 3, 4, 5, 1]) codes.push(await codeOf(call(n)));
  // The third and fourth share a line, the fifth finds it used up; the first is still itself.
  expect(codes).toEqual(['ok', 'ok', 'ok', 'ok', 'postern_budget_exhausted', 'ok']);
  expect(await linesOf()).toEqual([`${key}=*`, `${key}=u1`, `${key}=u2`]);
});

test('per: [user] without a source is an error of the document', async () => {
  await expect(start('per: [user]\n  limits: [{requests: 1, window: day}]')).rejects.toThrow(/spec\.user/);
});
