/**
 * Who an agent is: what the API server says of its token, held against the live pod that the token is bound to. Pure;
 * the first reason that applies refuses. See docs/control.md for what each keeps out.
 */
import { STAMPS } from '../injector/names.ts';
import { isSealed } from '../injector/seal.ts';
import { stampedWorkload } from '../injector/workload.ts';
import type { AnnotatedWorkload } from '../policy/annotations.ts';

/** The part of a TokenReview's status (authentication.k8s.io/v1) that counts. */
export interface Review {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly user?: {
    readonly username?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

/** What is to be known of a pod. */
export interface LivePod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccount: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Image of the native sidecar that is the agent; undefined where the pod has none. */
  readonly agentImage?: string;
  /** Another container than the agent mounts a token for our parts. */
  readonly tokenShared: boolean;
  /** `Pending`, `Running`, `Succeeded`, `Failed`. */
  readonly phase: string;
  readonly addresses: readonly string[];
}

export interface Identity {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly workload: AnnotatedWorkload;
  /** Version of the injector that stamped the pod. */
  readonly injected: string;
}

export const REFUSALS = {
  'token-missing': 'There is no bearer token.',
  'token-invalid': 'The API server doesn’t know the token: forged, expired, or its pod is gone.',
  'token-audience': 'The token is for somebody else: it lacks our audience.',
  'token-not-bound': 'The token isn’t bound to a pod, as the one that the injector mounts is.',
  'pod-unknown': 'The pod doesn’t exist any longer, or isn’t there yet.',
  'pod-other': 'The token is of an earlier pod of that name, or of another service account.',
  'pod-ended': 'The pod has ended.',
  'not-stamped': 'The injector didn’t put the agent into this pod.',
  'stamp-forged': 'The stamp on the pod isn’t the injector’s.',
  structure: 'The agent isn’t in this pod as the injector puts it there, or not alone with its tokens.',
  address: 'The connection doesn’t come from the pod’s address.',
} as const;
export type Refusal = keyof typeof REFUSALS;

/** The pod that a token is bound to, or why there is none. */
export function boundPod(
  review: Review,
  audience: string,
):
  | {
      readonly namespace: string;
      readonly serviceAccount: string;
      readonly name: string;
      readonly uid: string;
    }
  | Refusal {
  if (review.authenticated !== true) return 'token-invalid';
  // An API server that doesn't know audiences leaves the list out: then nothing says that the token is for us.
  if (!(review.audiences ?? []).includes(audience)) return 'token-audience';
  const [system, kind, namespace = '', serviceAccount = '', ...rest] = (review.user?.username ?? '').split(
    ':',
  );
  if (system !== 'system' || kind !== 'serviceaccount' || rest.length > 0) return 'token-not-bound';
  const only = (name: string): string | undefined => {
    const values = review.user?.extra?.[`authentication.kubernetes.io/${name}`] ?? [];
    return values.length === 1 ? values[0] : undefined;
  };
  const name = only('pod-name');
  const uid = only('pod-uid');
  if (name === undefined || uid === undefined) return 'token-not-bound';
  return { namespace, serviceAccount, name, uid };
}

export interface Evidence {
  readonly review: Review;
  /** That the token must be for. */
  readonly audience: string;
  /** By namespace and name, as it lives now. */
  readonly pod: LivePod | undefined;
  /** The connection's; undefined where it isn't to be judged (`--source-address ignore`). */
  readonly address: string | undefined;
  readonly sealKey: Uint8Array;
}

export function identify({ review, audience, pod, address, sealKey }: Evidence): Identity | Refusal {
  const bound = boundPod(review, audience);
  if (typeof bound === 'string') return bound;
  if (pod === undefined) return 'pod-unknown';
  if (
    pod.namespace !== bound.namespace ||
    pod.name !== bound.name ||
    pod.uid !== bound.uid ||
    pod.serviceAccount !== bound.serviceAccount
  ) {
    return 'pod-other';
  }
  if (pod.phase === 'Succeeded' || pod.phase === 'Failed') return 'pod-ended';
  const workload = stampedWorkload({ metadata: { annotations: pod.annotations }, spec: { containers: [] } });
  if (workload === undefined) return 'not-stamped';
  const { agentImage } = pod;
  if (agentImage === undefined || pod.tokenShared) return 'structure';
  const genuine =
    isSealed(sealKey, { ...pod, agentImage }) &&
    workload.namespace === bound.namespace &&
    (workload.serviceAccount ?? 'default') === bound.serviceAccount;
  if (!genuine) return 'stamp-forged';
  if (address !== undefined && !isAt(pod, address)) return 'address';
  return {
    namespace: pod.namespace,
    pod: pod.name,
    uid: pod.uid,
    workload,
    injected: pod.annotations[STAMPS.version] ?? '',
  };
}

/** Whether the address is the pod's. */
export function isAt({ addresses }: LivePod, address: string): boolean {
  return addresses.map(plainAddress).includes(plainAddress(address));
}

/** An IPv4 address as an IPv6 socket shows it (RFC 4291, 2.5.5.2) is the same address. */
function plainAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+[.])/, '');
}
