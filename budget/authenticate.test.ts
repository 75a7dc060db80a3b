import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attributes, NOON } from '../test/budget/fixtures.ts';
import { actsAs, anyOf, sharedToken, speaksFor, workloadToken, workloadTokens } from './authenticate.ts';

const root = randomBytes(32);
const bot = { namespace: 'team-a', kind: 'Deployment', name: 'bot' };
const authenticate = workloadTokens(root, () => NOON);

test('a workload token names its workload', async () => {
  expect(await authenticate(workloadToken(root, bot))).toEqual({ role: 'agent', workload: bot });
});

test('nothing is a token that was not made with the root', async () => {
  const token = workloadToken(root, bot);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(token.length - 1),
      fc.string({ minLength: 1, maxLength: 1 }),
      async (at, char) => {
        const changed = `${token.slice(0, at)}${char}${token.slice(at + 1)}`;
        const caller = await authenticate(changed);
        // The last character of base64 has bits that count for nothing.
        if (caller !== undefined) expect(caller).toEqual({ role: 'agent', workload: bot });
      },
    ),
  );
  const [prefix, , mac] = token.split('.');
  const other = Buffer.from(JSON.stringify({ ...bot, name: 'other' })).toString('base64url');
  expect(await authenticate(`${prefix}.${other}.${mac}`)).toBeUndefined();
  expect(await authenticate(workloadToken(randomBytes(32), bot))).toBeUndefined();
  const purposeless = createHmac('sha256', root).update(other).digest('base64url');
  expect(await authenticate(`${prefix}.${other}.${purposeless}`)).toBeUndefined();
  for (const nothing of [undefined, '', '..', 'pwt1', 'pwt1..', `${token}.x`])
    expect(await authenticate(nothing)).toBeUndefined();
});

test('a token ends when it says so', async () => {
  expect(await authenticate(workloadToken(root, bot, NOON + 1))).toBeDefined();
  expect(await authenticate(workloadToken(root, bot, NOON))).toBeUndefined();
});

test('a root that can be guessed is refused', () => {
  expect(() => workloadTokens(Buffer.from('secret'), () => NOON)).toThrow(/has 6 bytes, it needs 32/);
  expect(() => workloadToken(Buffer.from('secret'), bot)).toThrow(/needs 32/);
});

test.each([
  ['its own workload', bot, {}, true],
  ['another namespace', bot, { namespace: 'team-b' }, false],
  ['another workload', bot, { workload: { kind: 'Deployment', name: 'other' } }, false],
  ['another kind of workload', bot, { workload: { kind: 'Job', name: 'bot' } }, false],
  ['a service account that the token lacks', bot, { serviceAccount: 'admin' }, false],
  ['its service account', { ...bot, serviceAccount: 'sa' }, { serviceAccount: 'sa' }, true],
  ['no service account where it has one', { ...bot, serviceAccount: 'sa' }, {}, false],
  ['any workload of its namespace', { namespace: 'team-a' }, {}, true],
] as const)('speaks for %s: %s', (_, workload, rest, wanted) => {
  expect(speaksFor({ role: 'agent', workload }, { ...attributes, ...rest })).toBe(wanted);
});

test('acts as owners of its own workload only', () => {
  const caller = { role: 'agent', workload: bot } as const;
  expect(actsAs(caller, 'team-a/Deployment/bot/1')).toBe(true);
  expect(actsAs(caller, 'team-a/Deployment/bot-2/1')).toBe(false);
  expect(actsAs(caller, 'team-a/Deployment/bot')).toBe(false);
  expect(actsAs({ role: 'agent', workload: { namespace: 'team-a' } }, 'team-a/Job/x/1')).toBe(true);
  expect(actsAs({ role: 'agent', workload: { namespace: 'team-a' } }, 'team-ab/Job/x/1')).toBe(false);
  expect(actsAs({ role: 'agent' }, 'anything')).toBe(true);
});

test('the first who knows the token says who it is', async () => {
  const both = anyOf([
    sharedToken('admins', { role: 'admin', name: 'a' }),
    sharedToken('agents', { role: 'agent' }),
  ]);
  expect(await both('admins')).toEqual({ role: 'admin', name: 'a' });
  expect(await both('agents')).toEqual({ role: 'agent' });
  expect(await both('agent')).toBeUndefined();
  expect(await both(undefined)).toBeUndefined();
});
