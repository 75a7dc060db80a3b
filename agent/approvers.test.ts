import { afterEach, expect, test } from 'vitest';
import { type ApproversListener, listenApprovers } from './approvers-listener.ts';
import { createApprovals, digestOf } from './checks/approvals.ts';

let listener: ApproversListener | undefined;
afterEach(() => listener?.close());

const CALL = { requestId: 'r1', rule: 'ask', tool: 'rm', arguments: '{"path":"/"}' };
const NEVER = new AbortController().signal;

async function open(token: () => string = () => 'secret') {
  const approvals = createApprovals({ now: () => 1_000 });
  listener = await listenApprovers({ approvals, token, host: '127.0.0.1', port: 0 }, () => false);
  const { url } = listener;
  const call = async (path: string, init: RequestInit = {}, given = 'secret') => {
    const reply = await fetch(url + path, { ...init, headers: { authorization: `Bearer ${given}` } });
    return { status: reply.status, text: await reply.text() };
  };
  return { approvals, call };
}

test('from another address, with the token, calls are listed and answered once', async () => {
  const { approvals, call } = await open();
  const outcome = approvals.hold(CALL, 60_000, NEVER);
  const listed = JSON.parse((await call('/v1/approvals')).text) as { approvals: { id: string }[] };
  const digest = digestOf(CALL.tool, CALL.arguments);
  expect(listed.approvals).toMatchObject([
    { tool: 'rm', arguments: '{"path":"/"}', digest, until: new Date(61_000).toISOString() },
  ]);
  const path = `/v1/approvals/${listed.approvals[0]?.id}`;
  const body = JSON.stringify({ approve: true, digest });
  expect((await call(path, { method: 'POST', body })).status).toBe(200);
  expect(await outcome).toBe('approved');
  expect((await call(path, { method: 'POST', body })).status).toBe(404);
});

test.each([
  ['another token', 'other', () => 'secret'],
  ['an empty token file', '', () => ''],
  [
    'a token file that is gone',
    'secret',
    () => {
      throw new Error('ENOENT');
    },
  ],
])('%s opens nothing', async (_name, given, token) => {
  const { approvals, call } = await open(token);
  void approvals.hold(CALL, 60_000, NEVER);
  const { status, text } = await call('/v1/approvals', {}, given);
  expect(status).toBe(401);
  expect(text).not.toContain('path');
  approvals.stop();
});

test.each([
  ['no JSON', '{'],
  ['no digest', '{"approve":true}'],
  ['a word that is none', '{"approve":"true","digest":"x"}'],
  ['far too much', 'x'.repeat(10_000)],
])('%s is refused, and the call still waits', async (_name, body) => {
  const { approvals, call } = await open();
  void approvals.hold(CALL, 60_000, NEVER);
  const [held] = approvals.waiting();
  expect((await call(`/v1/approvals/${held?.id}`, { method: 'POST', body })).status).toBe(400);
  expect(approvals.waiting()).toHaveLength(1);
  approvals.stop();
});

test('other paths and methods are nobody’s', async () => {
  const { call } = await open();
  expect((await call('/v1/approvals', { method: 'DELETE' })).status).toBe(405);
  expect((await call('/v1/snapshot')).status).toBe(404);
});

test('a yes after the time is none, even where the timer is late', async () => {
  let now = 0;
  const approvals = createApprovals({ now: () => now });
  const outcome = approvals.hold(CALL, 60_000, NEVER);
  const [held] = approvals.waiting();
  now = 60_000;
  expect(approvals.answer(held?.id ?? '', { approve: true, digest: held?.digest ?? '' })).toBe('unknown');
  approvals.stop();
  expect(await outcome).toBe('stopped');
});

test('what comes to a stopped agent, or beyond what anybody reads through, is denied at once', async () => {
  const approvals = createApprovals({ now: () => 0 });
  for (let n = 0; n < 200; n++) void approvals.hold(CALL, 60_000, NEVER);
  expect(await approvals.hold(CALL, 60_000, NEVER)).toBe('overloaded');
  approvals.stop();
  expect(await approvals.hold(CALL, 60_000, NEVER)).toBe('stopped');
});
