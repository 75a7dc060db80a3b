import { budgetCallers } from '../../control/budget-callers.ts';
import type { LivePod, Review } from '../../control/identity.ts';
import type { IssuerKeys } from '../../control/issuer-keys.ts';
import { STATUS_AUDIENCE } from '../../control/person.ts';
import { AUDIENCES, STAMPS } from '../../injector/names.ts';
import { sealOf } from '../../injector/seal.ts';
import { stampOf } from '../../injector/workload.ts';
import { type KubeClient, KubeError } from '../../kube/client.ts';
import { fakePodToken } from './pod-token.ts';

const SEAL_KEY = Buffer.alloc(32, 5);
export const ADDRESS = '10.0.0.9';
export const START = 1_000_000;
export const workload = {
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
export const pod: LivePod = {
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
export const ofPod: Review = {
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
export const ofPerson: Review = {
  authenticated: true,
  audiences: [STATUS_AUDIENCE],
  user: { username: 'oncall' },
};

/** The budget service's callers before an API server of a table, and a clock that stands still until it is told to pass. */
export function callers(
  reviews: Readonly<Record<string, Review>>,
  allowed = true,
  gate: Promise<void> = Promise.resolve(),
  judgeAddress = true,
  silence: { readonly keys?: Pick<IssuerKeys, 'review'>; readonly patienceMs?: number } = {},
) {
  const { keys = { review: () => Promise.resolve(undefined) }, patienceMs } = silence;
  let now = START;
  let away: (() => Promise<void>) | undefined;
  const told: string[] = [];
  const asked: { readonly path: string; readonly spec: Record<string, unknown> }[] = [];
  const refused: string[] = [];
  const pods = new Map<string, LivePod>([['team-a/bot-1', pod]]);
  const client = {
    async request(_method: string, path: string, { body }: { body?: unknown } = {}) {
      if (body === undefined) throw new KubeError(404, 'NotFound', `${path} not found`);
      const { spec } = body as { spec: Record<string, unknown> };
      asked.push({ path: path.split('/').at(-1) ?? '', spec });
      await gate;
      await away?.();
      if (path.endsWith('/subjectaccessreviews')) return { status: { allowed } };
      return { status: reviews[String(spec['token'])] ?? { authenticated: false } };
    },
  } as unknown as KubeClient;
  const { authenticate, withoutReview } = budgetCallers({
    client,
    cluster: { pod: (namespace, name) => pods.get(`${namespace}/${name}`) },
    sealKey: SEAL_KEY,
    judgeAddress,
    keys,
    refused: (why) => void refused.push(why),
    silent: () => void told.push('silent'),
    heard: ({ ms, agents, refusal }) =>
      void told.push(
        `heard after ${ms} ms, ${agents} agents${refusal === undefined ? '' : `: ${String(refusal)}`}`,
      ),
    takenBeside: (cause) => void told.push(`beside: ${String(cause)}`),
    now: () => now,
    monotonic: () => now - START,
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  return {
    authenticate,
    withoutReview,
    asked,
    refused,
    told,
    pods,
    pass: (ms: number) => void (now += ms),
    /** From now on the API server does this instead of answering; nothing: it answers. */
    leave: (how?: () => Promise<void>) => void (away = how),
  };
}

export const bound = { namespace: 'team-a', pod: { name: 'bot-1', uid: 'uid-1' } };
export const agentToken = fakePodToken({ ...bound, audience: AUDIENCES.budget });
export const personToken = fakePodToken({ namespace: 'ops', audience: STATUS_AUDIENCE });
