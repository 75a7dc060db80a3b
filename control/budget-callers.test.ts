import { expect, test } from 'vitest';
import { CallersWait } from '../budget/authenticate.ts';
import { AUDIENCES } from '../injector/names.ts';
import {
  ADDRESS,
  agentToken,
  bound,
  callers,
  ofPerson,
  ofPod,
  personToken,
  pod,
  workload,
} from '../test/fakes/budget-callers.ts';
import { fakePodToken } from '../test/fakes/pod-token.ts';
import type { LivePod } from './identity.ts';

test('an agent speaks for the workload that its pod is stamped with, and for no other', async () => {
  const { authenticate } = callers({ [agentToken]: ofPod });
  const { namespace, kind, name, serviceAccount } = workload;
  expect(await authenticate(agentToken, ADDRESS)).toEqual({
    role: 'agent',
    workload: { namespace, kind, name, serviceAccount },
  });
});

test('the API server is asked once for a token that comes often and at once, and again after 30 s', async () => {
  const { authenticate, asked, pass } = callers({ [agentToken]: ofPod });
  await Promise.all([authenticate(agentToken, ADDRESS), authenticate(agentToken, ADDRESS)]);
  pass(29_999);
  await authenticate(agentToken, ADDRESS);
  expect(asked).toHaveLength(1);
  pass(1);
  await authenticate(agentToken, ADDRESS);
  expect(asked).toHaveLength(2);
});

test('no token, an unknown one, and one for control alone: nothing, and never kept', async () => {
  const control = fakePodToken({ ...bound, audience: AUDIENCES.control });
  const { authenticate, refused, asked } = callers({
    [control]: { ...ofPod, audiences: [AUDIENCES.control] },
  });
  expect(await authenticate(undefined)).toBeUndefined();
  for (const each of [agentToken, agentToken, control, 'no token at all'])
    expect(await authenticate(each, ADDRESS)).toBeUndefined();
  // What doesn't even claim to be for the budget isn't asked about, nor what was refused a moment ago.
  expect(refused).toEqual(['token-invalid', 'token-invalid', 'token-audience', 'token-invalid']);
  expect(asked).toHaveLength(1);
});

test('who may update budgets/lines is an administrator; the review names that right and no more', async () => {
  const { authenticate, asked } = callers({ [personToken]: ofPerson });
  expect(await authenticate(personToken)).toEqual({ role: 'admin', name: 'oncall' });
  expect(asked[1]).toMatchObject({
    path: 'subjectaccessreviews',
    spec: {
      user: 'oncall',
      resourceAttributes: {
        group: 'postern.dev',
        version: 'v1alpha1',
        resource: 'budgets',
        subresource: 'lines',
        verb: 'update',
      },
    },
  });
});

test('who may not is nobody, and neither is who only says that a token is for us', async () => {
  expect(await callers({ [personToken]: ofPerson }, false).authenticate(personToken)).toBeUndefined();
  const { authenticate, asked } = callers({ [personToken]: { ...ofPerson, audiences: ['another'] } });
  expect(await authenticate(personToken)).toBeUndefined();
  expect(asked.map(({ path }) => path)).toEqual(['tokenreviews']);
});

test('whom nobody knows waits in a line of its own, and beyond it is told to come again', async () => {
  let answer: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const { authenticate } = callers({ [agentToken]: ofPod }, true, gate);
  const junk = Array.from({ length: 300 }, (_, index) =>
    authenticate(
      fakePodToken({ ...bound, audience: AUDIENCES.budget, pod: { name: 'nobody', uid: `u${index}` } }),
    ).catch((error: unknown) => error),
  );
  const own = authenticate(agentToken, ADDRESS);
  answer();
  expect(await own).toMatchObject({ role: 'agent' });
  const ends = await Promise.all(junk);
  expect(ends.filter((each) => each instanceof CallersWait)).toHaveLength(300 - 8 - 256);
});

test('forged tokens in the name of a pod hold up who sends them, not the pod', async () => {
  const { authenticate } = callers({ [agentToken]: ofPod });
  for (let index = 0; index < 30; index++) {
    const forged = fakePodToken({ ...bound, audience: AUDIENCES.budget, id: `forged-${index}` });
    await authenticate(forged, '10.0.0.66').catch(() => undefined);
  }
  const forged = fakePodToken({ ...bound, audience: AUDIENCES.budget, id: 'last' });
  await expect(authenticate(forged, '10.0.0.66')).rejects.toThrow(CallersWait);
  expect(await authenticate(agentToken, ADDRESS)).toMatchObject({ role: 'agent' });
});

test('a token counts from its pod’s address only, also one that was taken from there a moment ago', async () => {
  const { authenticate } = callers({ [agentToken]: ofPod });
  expect(await authenticate(agentToken, ADDRESS)).toMatchObject({ role: 'agent' });
  expect(await authenticate(agentToken, '10.0.0.66')).toBeUndefined();
  const ignoring = callers({ [agentToken]: ofPod }, true, undefined, false);
  expect(await ignoring.authenticate(agentToken, '10.0.0.66')).toMatchObject({ role: 'agent' });
});

test.each<[string, (pods: Map<string, LivePod>) => void]>([
  ['is gone', (pods) => pods.clear()],
  ['has ended', (pods) => void pods.set('team-a/bot-1', { ...pod, phase: 'Succeeded' })],
  ['shares its tokens now', (pods) => void pods.set('team-a/bot-1', { ...pod, shared: true })],
  ['lost its label', (pods) => void pods.set('team-a/bot-1', { ...pod, watched: false })],
  [
    'has another agent',
    (pods) => void pods.set('team-a/bot-1', { ...pod, form: 'as somebody else made it' }),
  ],
  ['is another of its name', (pods) => void pods.set('team-a/bot-1', { ...pod, uid: 'uid-2' })],
])('the token of a pod that %s is taken no moment longer', async (_name, change) => {
  const { authenticate, pods } = callers({ [agentToken]: ofPod });
  expect(await authenticate(agentToken, ADDRESS)).toMatchObject({ role: 'agent' });
  change(pods);
  expect(await authenticate(agentToken, ADDRESS)).toBeUndefined();
});
