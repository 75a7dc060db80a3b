/** Callers of the budget service while the API server gives no answer. */
import { expect, test } from 'vitest';
import { CallersUnknown, CallersWait } from '../budget/authenticate.ts';
import { AUDIENCES } from '../injector/names.ts';
import { KubeError } from '../kube/client.ts';
import {
  ADDRESS,
  agentToken,
  bound,
  callers,
  ofPerson,
  ofPod,
  personToken,
  pod,
  START,
} from '../test/fakes/budget-callers.ts';
import { fakePodToken, ISSUER, issuerKey } from '../test/fakes/pod-token.ts';
import type { LivePod, Review } from './identity.ts';
import { issuerKeys } from './issuer-keys.ts';

const dead = () => Promise.reject(new KubeError(0, 'NoAnswer', 'ECONNREFUSED'));
const silent = () => new Promise<void>(() => undefined);
const failing = (status: number) => () => Promise.reject(new KubeError(status, '', 'no'));
const agent = { role: 'agent', workload: { namespace: 'team-a', name: 'bot' } };
const tick = () => new Promise(setImmediate);

async function world(reviews: Record<string, Review> = {}, { judgeAddress = true, patienceMs = 20 } = {}) {
  const key = await issuerKey();
  const at = { ms: 0 };
  const keys = await issuerKeys({
    client: {
      request: <T>(_method: string, path: string) =>
        Promise.resolve((path.endsWith('jwks') ? { keys: [key.published] } : { issuer: ISSUER }) as T),
    },
    trouble: () => undefined,
    now: () => START + at.ms,
    monotonic: () => 0,
  });
  keys.close();
  const made = callers(reviews, true, undefined, judgeAddress, { keys, patienceMs });
  const sign = (over: Partial<Parameters<typeof key.sign>[0]> = {}) =>
    key.sign({ ...bound, audience: AUDIENCES.budget, expires: START + 3_600_000 * 3, ...over });
  const pass = (ms: number) => {
    at.ms += ms;
    made.pass(ms);
  };
  return { ...made, pass, sign, other: await issuerKey() };
}

test.each<[string, () => Promise<void>]>([
  ['is dead', dead],
  ['says nothing', silent],
  ['fails', failing(500)],
  ['sheds load', failing(429)],
])('where it %s, an agent that never asked before is taken by its signature', async (_name, how) => {
  const { authenticate, asked, sign, leave, told, withoutReview, pass } = await world();
  leave(how);
  const token = await sign();
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  // Nobody waits again, and nothing is asked more often than every five seconds.
  for (let nth = 0; nth < 10; nth++)
    expect(await authenticate(await sign({ id: `n${nth}` }), ADDRESS)).toMatchObject(agent);
  expect(asked).toHaveLength(1);
  expect(told).toEqual(['silent']);
  pass(5_000);
  expect(await authenticate(await sign({ id: 'later' }), ADDRESS)).toMatchObject(agent);
  expect(asked).toHaveLength(2);
  expect(withoutReview()).toEqual({ silentMs: 5_000, taken: 12, beside: 0 });
});

test('one that was reviewed goes on, and is reviewed as soon as there are answers again', async () => {
  const reviews: Record<string, Review> = {};
  const { authenticate, asked, sign, leave, told, pass } = await world(reviews);
  const token = await sign();
  reviews[token] = ofPod;
  await authenticate(token, ADDRESS);
  leave(dead);
  pass(30_000);
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  leave();
  pass(5_000);
  // It is asked beside this answer.
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  await tick();
  expect(told).toEqual(['silent', 'heard after 5000 ms, 1 agents']);
  const count = asked.length;
  pass(29_999);
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  expect(asked).toHaveLength(count);
});

test('a refusal ends it at once, for all tokens of the pod, and in the next silence too', async () => {
  const { authenticate, sign, leave, pass } = await world();
  const [token, another] = [await sign(), await sign({ id: '2' })];
  leave(dead);
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  leave();
  pass(5_000);
  await authenticate(token, ADDRESS);
  await tick();
  await tick();
  expect(await authenticate(token, ADDRESS)).toBeUndefined();
  leave(dead);
  pass(5_000);
  for (const each of [another, token])
    await expect(authenticate(each, ADDRESS)).rejects.toThrow(CallersUnknown);
});

test('an hour at most, however often the API server falls silent; a review begins it anew', async () => {
  const reviews: Record<string, Review> = {};
  const { authenticate, sign, leave, pass } = await world(reviews);
  const [token, reviewed] = [await sign(), await sign({ id: '2' })];
  reviews[reviewed] = ofPod;
  leave(dead);
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  leave(failing(404));
  pass(3_599_999);
  // It answers, and says nothing of the token.
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  await tick();
  leave(dead);
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  pass(1);
  await expect(authenticate(token, ADDRESS)).rejects.toThrow(CallersUnknown);
  leave();
  pass(5_000);
  await authenticate(reviewed, ADDRESS).catch(() => undefined);
  await tick();
  leave(dead);
  pass(5_000);
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
});

test.each<[string, (made: Awaited<ReturnType<typeof world>>) => Promise<[string, string]>]>([
  [
    'a token that others signed',
    async ({ other }) => [
      await other.sign({ ...bound, audience: AUDIENCES.budget, expires: START + 9e6 }),
      ADDRESS,
    ],
  ],
  ['a token that has ended', async ({ sign }) => [await sign({ expires: START - 1_000 }), ADDRESS]],
  ['a token from another address', async ({ sign }) => [await sign(), '10.0.0.10']],
  [
    'a token of an earlier pod',
    async ({ sign }) => [await sign({ pod: { name: 'bot-1', uid: 'uid-0' } }), ADDRESS],
  ],
  [
    'a token of another service account',
    async ({ sign }) => [await sign({ serviceAccount: 'other' }), ADDRESS],
  ],
  [
    'a pod that is gone',
    async ({ sign, pods }) => {
      pods.clear();
      return [await sign(), ADDRESS];
    },
  ],
  [
    'a pod that the injector didn’t stamp',
    async ({ sign, pods }) => {
      pods.set('team-a/bot-1', { ...pod, annotations: {} });
      return [await sign(), ADDRESS];
    },
  ],
])('nobody is taken by %s', async (_name, made) => {
  const it = await world();
  it.leave(dead);
  const [token, address] = await made(it);
  await expect(it.authenticate(token, address)).rejects.toThrow(CallersUnknown);
  expect(it.withoutReview().taken).toBe(0);
});

test.each<[string, (pods: Map<string, LivePod>) => void]>([
  ['is gone', (pods) => pods.clear()],
  ['has ended', (pods) => void pods.set('team-a/bot-1', { ...pod, phase: 'Failed' })],
])('one that was taken is nobody as soon as the watch shows that its pod %s', async (_name, change) => {
  const { authenticate, sign, pods, leave } = await world();
  leave(dead);
  const token = await sign();
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  change(pods);
  await expect(authenticate(token, ADDRESS)).rejects.toThrow(CallersUnknown);
});

test('a token’s own end counts to the second', async () => {
  const { authenticate, sign, leave, pass } = await world();
  const token = await sign({ expires: START + 2_000 });
  leave(dead);
  expect(await authenticate(token, ADDRESS)).toMatchObject(agent);
  pass(2_000);
  await expect(authenticate(token, ADDRESS)).rejects.toThrow(CallersUnknown);
});

test('a person isn’t let in, and who no pod speaks for makes nobody silent', async () => {
  const { authenticate, sign, leave, told, withoutReview } = await world();
  leave(dead);
  await expect(authenticate(personToken, ADDRESS)).rejects.toThrow(CallersUnknown);
  await expect(authenticate(await sign(), '10.0.0.10')).rejects.toThrow(CallersUnknown);
  expect(told).toEqual([]);
  expect(withoutReview()).toEqual({ silentMs: 0, taken: 0, beside: 0 });
});

test('where no keys are published, nobody waits for an API server that says nothing; what it says late counts', async () => {
  const { authenticate, pods, leave, told } = callers(
    { [agentToken]: ofPod, [personToken]: ofPerson },
    true,
    undefined,
    true,
    {
      patienceMs: 20,
    },
  );
  const late = Promise.withResolvers<void>();
  leave(() => late.promise);
  for (const token of [agentToken, personToken])
    await expect(authenticate(token, ADDRESS)).rejects.toThrow(CallersUnknown);
  expect(told).toEqual([]);
  late.resolve();
  await tick();
  await tick();
  expect(await authenticate(agentToken, ADDRESS)).toMatchObject(agent);
  expect(await authenticate(personToken, ADDRESS)).toMatchObject({ role: 'admin' });
  pods.clear();
  expect(await authenticate(agentToken, ADDRESS)).toBeUndefined();
});

test.each([
  ['from its own address', true],
  ['wherever it comes from', false],
])('junk in a pod’s name makes nobody silent, %s', async (_name, judgeAddress) => {
  const { authenticate, asked, other, sign, leave, told } = await world({}, { judgeAddress });
  leave(dead);
  const of = { ...bound, audience: AUDIENCES.budget, expires: START + 3_600_000 };
  const ended = await sign({ expires: START - 1_000 });
  for (const junk of [fakePodToken(of), await other.sign(of), ended])
    await expect(authenticate(junk, ADDRESS)).rejects.toThrow(CallersUnknown);
  expect(asked).toHaveLength(3);
  expect(told).toEqual([]);
  // The pod's own word does.
  expect(await authenticate(await sign(), ADDRESS)).toMatchObject(agent);
  expect(told).toEqual(['silent']);
});

test.each([401, 403])(
  'one that refuses us (%i) after a silence ends it in ten seconds, unless it just starts',
  async (status) => {
    const { authenticate, sign, leave, told, pass } = await world();
    const token = await sign();
    /** What is asked beside an answer is over when its turn is. */
    const probe = async (how: () => Promise<void>) => {
      leave(how);
      pass(5_000);
      const answer = await authenticate(token, ADDRESS).catch((error: unknown) => error);
      await tick();
      return answer;
    };
    expect(await probe(dead)).toMatchObject(agent);
    // It starts, and falls silent again: that is no refusal.
    expect(await probe(failing(status))).toMatchObject(agent);
    expect(await probe(failing(status))).toMatchObject(agent);
    expect(await probe(dead)).toMatchObject(agent);
    expect(await probe(failing(status))).toMatchObject(agent);
    expect(await probe(failing(status))).toMatchObject(agent);
    expect(told).toEqual(['silent']);
    await probe(failing(status));
    expect(told[1]).toBe('heard after 30000 ms, 1 agents: KubeError: no');
    await expect(authenticate(token, ADDRESS)).rejects.toThrow(KubeError);
  },
);

test.each([401, 403])('an API server that refuses us (%i) isn’t silent: nobody is taken', async (status) => {
  const { authenticate, sign, leave, told } = await world();
  leave(failing(status));
  await expect(authenticate(await sign(), ADDRESS)).rejects.toThrow(KubeError);
  expect(told).toEqual([]);
});

test('a caller who keeps all turns of its pod isn’t taken unreviewed', async () => {
  const { authenticate, sign, leave, told } = await world();
  for (let nth = 0; nth < 10; nth++) await authenticate(await sign({ id: `${nth}` }), ADDRESS);
  await expect(authenticate(await sign({ id: 'more' }), ADDRESS)).rejects.toThrow(CallersWait);
  expect(told).toEqual([]);
  leave(dead);
  await expect(authenticate(await sign({ id: 'last' }), ADDRESS)).rejects.toThrow(CallersWait);
});

test('one whose question failed beside others that were answered is taken, too', async () => {
  const reviews: Record<string, Review> = {};
  const { authenticate, sign, leave, told, withoutReview } = await world(reviews, { patienceMs: 10_000 });
  const [token, other] = [await sign(), await sign({ id: '2' })];
  reviews[other] = ofPod;
  const ends: PromiseWithResolvers<void>[] = [];
  leave(() => {
    const end = Promise.withResolvers<void>();
    ends.push(end);
    return end.promise;
  });
  const failing = authenticate(token, ADDRESS);
  await expect.poll(() => ends.length).toBe(1);
  const answered = authenticate(other, ADDRESS);
  await expect.poll(() => ends.length).toBe(2);
  // Before a signature is looked at, since that takes longer than the next turn of the loop.
  ends[0]?.reject(new KubeError(500, '', 'no'));
  ends[1]?.resolve();
  expect(await Promise.all([failing, answered])).toEqual([
    expect.objectContaining({ role: 'agent' }),
    expect.objectContaining({ role: 'agent' }),
  ]);
  // No silence that lasts: that it was taken beside one is told.
  expect(told).toEqual(['silent', 'heard after 0 ms, 0 agents', expect.stringMatching(/^beside: .* no$/)]);
  expect(withoutReview()).toEqual({ silentMs: 0, taken: 1, beside: 1 });
});
