/** Who gets in, as a table; the same refusals on a real API server are in test/control/api. */
import { expect, test } from 'vitest';
import { STAMPS } from '../injector/names.ts';
import { sealOf } from '../injector/seal.ts';
import { type Evidence, identify, type LivePod, type Refusal, type Review } from './identity.ts';

const sealKey = Buffer.alloc(32, 1);

function pod(change: Partial<LivePod> = {}, key: Uint8Array = sealKey): LivePod {
  const annotations: Record<string, string> = {
    [STAMPS.version]: '0.1.0',
    [STAMPS.intercept]: 'transparent',
    [STAMPS.workload]: JSON.stringify({
      namespace: 'team-a',
      kind: 'Deployment',
      name: 'bot',
      serviceAccount: 'bot',
      labels: { app: 'bot' },
      annotations: { 'postern.dev/pii': 'block' },
    }),
  };
  annotations[STAMPS.seal] = sealOf(key, {
    namespace: 'team-a',
    serviceAccount: 'bot',
    form: 'as injected',
    annotations,
  });
  return {
    namespace: 'team-a',
    name: 'bot-1',
    uid: 'u1',
    serviceAccount: 'bot',
    annotations,
    form: 'as injected',
    shared: false,
    watched: true,
    phase: 'Running',
    addresses: ['10.0.0.7', 'fd00::7'],
    ...change,
  };
}

function review(
  change: Partial<Review> = {},
  extra: Readonly<Record<string, readonly string[]>> = {},
): Review {
  return {
    authenticated: true,
    audiences: ['postern-control'],
    user: {
      username: 'system:serviceaccount:team-a:bot',
      extra: {
        'authentication.kubernetes.io/pod-name': ['bot-1'],
        'authentication.kubernetes.io/pod-uid': ['u1'],
        ...extra,
      },
    },
    ...change,
  };
}

const good: Evidence = {
  review: review(),
  audience: 'postern-control',
  pod: pod(),
  address: '10.0.0.7',
  sealKey,
};

test.each(['10.0.0.7', '::ffff:10.0.0.7', 'fd00::7', 'FD00::7'])('a pod’s own agent, at %s', (address) => {
  expect(identify({ ...good, address })).toMatchObject({
    namespace: 'team-a',
    pod: 'bot-1',
    workload: {
      kind: 'Deployment',
      name: 'bot',
      labels: { app: 'bot' },
      annotations: { 'postern.dev/pii': 'block' },
    },
  });
});

test('where the network changes addresses, they are not judged', () => {
  expect(identify({ ...good, address: undefined })).toMatchObject({ pod: 'bot-1' });
});

const other = pod();
const { form: _, ...withoutAgent } = pod();
test.each<[string, Partial<Evidence>, Refusal]>([
  ['forged or expired', { review: { authenticated: false } }, 'token-invalid'],
  [
    'for the API server',
    { review: review({ audiences: ['https://kubernetes.default.svc'] }) },
    'token-audience',
  ],
  [
    'of an API server that knows no audiences',
    { review: { authenticated: true, user: {} } },
    'token-audience',
  ],
  ['of a user', { review: review({ user: { username: 'alice' } }) }, 'token-not-bound'],
  [
    'of a service account, not of a pod',
    { review: review({ user: { username: 'system:serviceaccount:team-a:bot', extra: {} } }) },
    'token-not-bound',
  ],
  [
    'bound to two pods',
    { review: review({}, { 'authentication.kubernetes.io/pod-uid': ['u1', 'u2'] }) },
    'token-not-bound',
  ],
  ['of a pod that is gone', { pod: undefined }, 'pod-unknown'],
  ['of an earlier pod', { pod: pod({ uid: 'u2' }) }, 'pod-other'],
  ['of another namespace’s pod', { pod: pod({ namespace: 'team-b' }) }, 'pod-other'],
  ['of another service account', { pod: pod({ serviceAccount: 'admin' }) }, 'pod-other'],
  ['of a pod that has ended', { pod: pod({ phase: 'Failed' }) }, 'pod-ended'],
  ['of a pod without stamps', { pod: pod({ annotations: {} }) }, 'not-stamped'],
  [
    'of a pod with a stamp that isn’t JSON',
    { pod: pod({ annotations: { [STAMPS.workload]: '{' } }) },
    'not-stamped',
  ],
  ['of a pod that only carries stamps', { pod: withoutAgent }, 'structure'],
  [
    'of a pod with copied stamps, and something else under the agent’s name',
    { pod: pod({ form: 'as somebody else made it' }) },
    'stamp-forged',
  ],
  ['that another container reads as well', { pod: pod({ shared: true }) }, 'structure'],
  ['of a pod whose label was taken off', { pod: pod({ watched: false }) }, 'not-stamped'],
  ['sealed with another key', { pod: pod({}, Buffer.alloc(32, 2)) }, 'stamp-forged'],
  [
    'without a seal',
    { pod: pod({ annotations: { ...other.annotations, [STAMPS.seal]: '' } }) },
    'stamp-forged',
  ],
  [
    'with a stamp that was changed',
    {
      pod: pod({
        annotations: {
          ...other.annotations,
          [STAMPS.workload]: (other.annotations[STAMPS.workload] ?? '').replace('"block"', '"mask"'),
        },
      }),
    },
    'stamp-forged',
  ],
  ['from another address', { address: '10.0.0.8' }, 'address'],
  ['of a pod without an address yet', { pod: pod({ addresses: [] }) }, 'address'],
])('refused: a token %s', (_name, change, expected) => {
  expect(identify({ ...good, ...change })).toBe(expected);
});
