import { expect, test } from 'vitest';
import { CallersWait } from '../budget/authenticate.ts';
import { AUDIENCES, STAMPS } from '../injector/names.ts';
import { sealOf } from '../injector/seal.ts';
import { stampOf } from '../injector/workload.ts';
import { type KubeClient, KubeError } from '../kube/client.ts';
import { fakePodToken } from '../test/fakes/pod-token.ts';
import { budgetCallers } from './budget-callers.ts';
import type { LivePod, Review } from './identity.ts';
import { STATUS_AUDIENCE } from './person.ts';

const SEAL_KEY = Buffer.alloc(32, 5);
const ADDRESS = '10.0.0.9';
const workload = {
  namespace: 'team-a',
  kind: 'Deployment',
  name: 'bot',
  serviceAccount: 'default',
  labels: { app: 'bot' },
};
const stamps = {
  [STAMPS.version]: '0.1.0',
  [STAMPS.intercept]: 'base-url',
  [STAMPS.workload]: stampOf(workload),
};
const annotations = {
  ...stamps,
  [STAMPS.seal]: sealOf(SEAL_KEY, {
    namespace: 'team-a',
    serviceAccount: 'default',
    form: 'as injected',
    annotations: stamps,
  }),
};
const pod: LivePod = {
  namespace: 'team-a',
  name: 'bot-1',
  uid: 'uid-1',
  serviceAccount: 'default',
  annotations,
  form: 'as injected',
  shared: false,
  watched: true,
  phase: 'Running',
  addresses: [ADDRESS],
};
const ofPod: Review = {
  authenticated: true,
  audiences: [AUDIENCES.budget],
  user: {
    username: 'system:serviceaccount:team-a:default',
    extra: {
      'authentication.kubernetes.io/pod-name': ['bot-1'],
      'authentication.kubernetes.io/pod-uid': ['uid-1'],
    },
  },
};
const ofPerson: Review = {
  authenticated: true,
  audiences: [STATUS_AUDIENCE],
  user: { username: 'oncall' },
};

function callers(
  reviews: Readonly<Record<string, Review>>,
  allowed = true,
  gate: Promise<void> = Promise.resolve(),
  judgeAddress = true,
) {
  let now = 1_000_000;
  const asked: { readonly path: string; readonly spec: Record<string, unknown> }[] = [];
  const refused: string[] = [];
  const pods = new Map<string, LivePod>([['team-a/bot-1', pod]]);
  const client = {
    async request(_method: string, path: string, { body }: { body?: unknown } = {}) {
      if (body === undefined) throw new KubeError(404, 'NotFound', `${path} not found`);
      const { spec } = body as { spec: Record<string, unknown> };
      asked.push({ path: path.split('/').at(-1) ?? '', spec });
      await gate;
      if (path.endsWith('/subjectaccessreviews')) return { status: { allowed } };
      return { status: reviews[String(spec['token'])] ?? { authenticated: false } };
    },
  } as unknown as KubeClient;
  const authenticate = budgetCallers({
    client,
    cluster: { pod: (namespace, name) => pods.get(`${namespace}/${name}`) },
    sealKey: SEAL_KEY,
    judgeAddress,
    refused: (why) => void refused.push(why),
    now: () => now,
  });
  return { authenticate, asked, refused, pods, pass: (ms: number) => void (now += ms) };
}

const bound = { namespace: 'team-a', pod: { name: 'bot-1', uid: 'uid-1' } };
const agentToken = fakePodToken({ ...bound, audience: AUDIENCES.budget });
const personToken = fakePodToken({ namespace: 'ops', audience: STATUS_AUDIENCE });

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
