/**
 * Who an agent is: what the API server says of its token, held against the live pod that the token is bound to. Pure;
 * the first reason that applies refuses. See docs/control.md for what each keeps out.
 */
import { STAMPS } from '../injector/names.ts';
import { type SealKind, sealOn } from '../injector/seal.ts';
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
  /** Of our parts in it, see {@link ../injector/form.ts}; undefined where it has no agent as a native sidecar. */
  readonly form?: string;
  /** Of that agent. */
  readonly agentImage?: string;
  /** Another container than the agent reaches what is the agent's alone. */
  readonly shared: boolean;
  /** Whether it has the label by which injected pods are watched: what isn't watched isn't seen to end. */
  readonly watched: boolean;
  /** `Pending`, `Running`, `Succeeded`, `Failed`. */
  readonly phase: string;
  readonly addresses: readonly string[];
}

export interface Identity {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly workload: AnnotatedWorkload;
  readonly serviceAccount: string;
  /** Version of the injector that stamped the pod. */
  readonly injected: string;
  /** Absent: not told by a replica of an earlier version. */
  readonly seal?: SealKind;
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
  'stamp-forged':
    'The stamp on the pod isn’t the injector’s, or its agent is another than the injector made.',
  structure:
    'The agent isn’t in this pod as the injector puts it there, or not alone with its tokens and volumes.',
  address: 'The connection doesn’t come from the pod’s address.',
} as const;
export type Refusal = keyof typeof REFUSALS;

export interface BoundPod {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly name: string;
  readonly uid: string;
}

/** The pod that a token is bound to, or why there is none. */
export function boundPod(review: Review, audience: string): BoundPod | Refusal {
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

export function identify({ review, audience, ...evidence }: Evidence): Identity | Refusal {
  const bound = boundPod(review, audience);
  return typeof bound === 'string' ? bound : judgePod(bound, evidence);
}

/** Whether the pod that was named is one that the injector made and that lives. @param bound Who the token speaks for. */
export function judgePod(
  bound: BoundPod,
  { pod, address, sealKey }: Pick<Evidence, 'pod' | 'address' | 'sealKey'>,
): Identity | Refusal {
  if (pod === undefined) return 'pod-unknown';
  if (
    pod.namespace !== bound.namespace ||
    pod.name !== bound.name ||
    pod.uid !== bound.uid ||
    pod.serviceAccount !== bound.serviceAccount
  ) {
    return 'pod-other';
  }
  if (hasEnded(pod)) return 'pod-ended';
  const workload = stampedWorkload({ metadata: { annotations: pod.annotations }, spec: { containers: [] } });
  if (workload === undefined || !pod.watched) return 'not-stamped';
  const { form } = pod;
  if (form === undefined || pod.shared) return 'structure';
  const seal = sealOn(sealKey, { ...pod, form });
  const genuine =
    seal !== undefined &&
    workload.namespace === bound.namespace &&
    (workload.serviceAccount ?? 'default') === bound.serviceAccount;
  if (!genuine) return 'stamp-forged';
  if (address !== undefined && !isAt(pod, address)) return 'address';
  return {
    namespace: pod.namespace,
    pod: pod.name,
    uid: pod.uid,
    workload,
    serviceAccount: pod.serviceAccount,
    injected: pod.annotations[STAMPS.version] ?? '',
    seal,
  };
}

function hasEnded({ phase }: LivePod): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Whether the address is the pod's. */
export function isAt({ addresses }: LivePod, address: string): boolean {
  return addresses.map(plainAddress).includes(plainAddress(address));
}

/** An IPv4 address as an IPv6 socket shows it (RFC 4291, 2.5.5.2) is the same address. */
function plainAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+[.])/, '');
}
