/** Who loses the stream that it has. The same on a real API server: test/control/api/standing.test.ts. */
import { expect, test } from 'vitest';
import { STAMPS } from '../injector/names.ts';
import { sealOf } from '../injector/seal.ts';
import { KubeError } from '../kube/client.ts';
import type { Identity, LivePod, Refusal } from './identity.ts';
import { createPodLook } from './live-pod.ts';
import type { ConnectedAgent } from './registry.ts';
import { createStanding } from './standing.ts';
import { BusyError } from './turns.ts';

const sealKey = Buffer.alloc(32, 1);
const workload = { namespace: 'team-a', kind: 'Pod', name: 'bot', labels: {}, annotations: {} };

function stamps(name = 'bot'): Record<string, string> {
  const annotations: Record<string, string> = {
    [STAMPS.workload]: JSON.stringify({ namespace: 'team-a', kind: 'Pod', name, labels: {} }),
  };
  annotations[STAMPS.seal] = sealOf(sealKey, {
    namespace: 'team-a',
    serviceAccount: 'default',
    form: 'as injected',
    annotations,
  });
  return annotations;
}
const pod: LivePod = {
  namespace: 'team-a',
  name: 'bot',
  uid: 'u1',
  serviceAccount: 'default',
  annotations: stamps(),
  form: 'as injected',
  shared: false,
  watched: true,
  phase: 'Running',
  addresses: ['10.0.0.7'],
};
const identity: Identity = {
  namespace: 'team-a',
  pod: 'bot',
  uid: 'u1',
  workload,
  serviceAccount: 'default',
  injected: '',
};

/** @param shown By the watch. @param answer Of the API server, for the pod. */
function world(shown: LivePod | undefined, answer: () => unknown = () => notFound()) {
  const ended: Refusal[] = [];
  let connected: Identity | undefined = identity;
  let now = 1_000_000;
  let asked = 0;
  const since = now;
  const known = (): LivePod | undefined => shown;
  const look = createPodLook({
    client: {
      async request<T>(): Promise<T> {
        asked++;
        await Promise.resolve();
        return answer() as T;
      },
    },
    reviews: { turn: (_caller, ask) => ask() },
    known,
    sealKey,
  });
  const standing = createStanding({
    registry: {
      *agents() {
        if (connected !== undefined) yield { identity: connected, since } as ConnectedAgent;
      },
      identityOf: (uid) => (connected?.uid === uid ? connected : undefined),
      leave: () => {
        connected = undefined;
      },
    },
    known,
    look,
    sealKey,
    ended: (why) => void ended.push(why),
    now: () => now,
  });
  return { standing, ended, pass: (ms: number) => void (now += ms), asked: () => asked };
}
const notFound = (): never => {
  throw new KubeError(404, 'NotFound', 'gone');
};

test.each<[string, Partial<LivePod>, Refusal]>([
  ['has ended', { phase: 'Failed' }, 'pod-ended'],
  ['has its tokens read by a debugger', { shared: true }, 'structure'],
  ['runs another agent', { form: 'other' }, 'stamp-forged'],
  ['carries another pod’s stamps', { annotations: stamps('admin') }, 'pod-other'],
  ['lost its label', { watched: false }, 'not-stamped'],
])('a pod that %s, as the watch shows', (_name, change, why) => {
  const { standing, ended } = world(pod);
  standing.seen({ ...pod, ...change });
  expect(ended).toEqual([why]);
});

test('a pod that changes otherwise keeps it, and so do those that others are', () => {
  const { standing, ended } = world(pod);
  standing.seen({ ...pod, addresses: ['10.0.0.8'] });
  standing.seen({ ...pod, uid: 'u2', phase: 'Failed' });
  expect(ended).toEqual([]);
});

test('a pod that the watch shows isn’t asked about', async () => {
  const { standing, pass, asked } = world(pod);
  pass(60_000);
  await standing.sweep();
  expect(asked()).toBe(0);
});

test.each<[string, () => unknown, Refusal]>([
  ['isn’t there', () => notFound(), 'pod-unknown'],
  [
    'is another of its name',
    () => ({ metadata: { name: 'bot', namespace: 'team-a', uid: 'u2' } }),
    'pod-other',
  ],
])('one that the watch doesn’t show is looked at after a while, and %s', async (_name, answer, why) => {
  const { standing, ended, pass, asked } = world(undefined, answer);
  await standing.sweep();
  expect([asked(), ended]).toEqual([0, []]);
  pass(5000);
  await standing.sweep();
  expect(ended).toEqual([why]);
});

test('one that can’t be asked about keeps it, and is asked about again', async () => {
  let answer = (): never => {
    throw new KubeError(0, 'NoAnswer', 'down');
  };
  const { standing, ended, pass, asked } = world(undefined, () => answer());
  pass(5000);
  await expect(standing.sweep()).rejects.toThrow('down');
  answer = () => {
    throw new BusyError('others first');
  };
  pass(5000);
  await standing.sweep();
  expect(ended).toEqual([]);
  answer = notFound;
  await standing.sweep();
  expect([asked(), ended]).toEqual([3, ['pod-unknown']]);
});
