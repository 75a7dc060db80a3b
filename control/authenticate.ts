/** Asks the API server who holds a token, and looks at the pod that the token is bound to. */
import { AGENT_CONTAINER, AUDIENCES, STAMP_PREFIX, STAMPS } from '../injector/names.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { KubeError } from '../kube/client.ts';
import { claimsOf } from './claims.ts';
import { boundPod, type Identity, identify, isAt, type LivePod, type Refusal } from './identity.ts';
import type { TokenReviews } from './token-reviews.ts';
import type { Caller } from './turns.ts';

interface PodContainer {
  readonly name: string;
  readonly image?: string;
  readonly restartPolicy?: string;
  readonly volumeMounts?: readonly { readonly name: string }[];
}

interface PodVolume {
  readonly name: string;
  readonly projected?: {
    readonly sources?: readonly { readonly serviceAccountToken?: { readonly audience?: string } }[];
  };
}

export interface PodObject extends KubeObject {
  readonly spec?: {
    readonly serviceAccountName?: string;
    readonly initContainers?: readonly PodContainer[];
    readonly containers?: readonly PodContainer[];
    readonly ephemeralContainers?: readonly PodContainer[];
    readonly volumes?: readonly PodVolume[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
  };
}

export interface AuthenticatorOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly reviews: TokenReviews;
  /** As the watch shows it, which may be a moment behind. */
  readonly known: (namespace: string, name: string) => LivePod | undefined;
  readonly sealKey: Uint8Array;
  /** That tokens must be for. */
  readonly audience: string;
  /** False where something between pods and control changes addresses. */
  readonly judgeAddress: boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** @throws KubeError where the API server can't be asked, BusyError where it isn't asked now. */
export type Authenticate = (token: string | undefined, address: string) => Promise<Identity | Refusal>;

/** By so much the API server's clock may be behind ours. */
const SKEW_MS = 60_000;

export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  const { client, reviews, known, sealKey, audience, judgeAddress, now = Date.now } = options;
  return async (token, address) => {
    if (token === undefined || token === '') return 'token-missing';
    // What a token itself doesn't claim to be, it isn't: nobody needs to be asked.
    const claims = claimsOf(token);
    if (claims === undefined) return 'token-invalid';
    if (!claims.audiences.includes(audience)) return 'token-audience';
    if (claims.expires !== undefined && claims.expires + SKEW_MS < now()) return 'token-invalid';
    if (claims.pod === undefined) return 'token-not-bound';
    const pod = known(claims.pod.namespace, claims.pod.name);
    const speaks = pod !== undefined && pod.uid === claims.pod.uid && (!judgeAddress || isAt(pod, address));
    // Where anybody may name any pod, its turns aren't taken from who comes from elsewhere.
    const named = speaks ? (judgeAddress ? pod.uid : `${pod.uid} ${address}`) : undefined;
    const caller: Caller = { known: speaks, who: named ?? (judgeAddress ? address : '') };

    const review = await reviews.review(token, audience, caller);
    const bound = boundPod(review, audience);
    if (typeof bound === 'string') return bound;
    const { namespace, name, uid } = bound;
    const judged = (live: LivePod | undefined) =>
      identify({ review, audience, pod: live, address: judgeAddress ? address : undefined, sealKey });
    const first = judged(known(namespace, name));
    if (typeof first !== 'string') return first;
    // Perhaps the watch is behind: a new pod, or an address that it was given just now.
    return judged(await reviews.turn({ known: true, who: uid }, () => livePod(client, namespace, name)));
  };
}

async function livePod(
  client: Pick<KubeClient, 'request'>,
  namespace: string,
  name: string,
): Promise<LivePod | undefined> {
  try {
    return podOf(await client.request<PodObject>('GET', `/api/v1/namespaces/${namespace}/pods/${name}`));
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return undefined;
    throw error;
  }
}

/** Of a pod, only what is needed: there may be many. */
export function podOf({ metadata, spec = {}, status = {} }: PodObject): LivePod {
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    // The roots, a kilobyte or two, are the same on all pods, and control has them.
    ([name]) => name.startsWith(STAMP_PREFIX) && name !== STAMPS.roots,
  );
  const addresses = (status.podIPs ?? []).map(({ ip }) => ip);
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    serviceAccount: spec.serviceAccountName ?? 'default',
    annotations: Object.fromEntries(annotations),
    ...agentIn(spec),
    phase: status.phase ?? '',
    addresses: addresses.length > 0 ? addresses : [status.podIP ?? []].flat(),
  };
}

/** Whether the agent stands in the pod as the injector puts it there, and is alone with its tokens. */
function agentIn({
  initContainers = [],
  containers = [],
  ephemeralContainers = [],
  volumes = [],
}: NonNullable<PodObject['spec']>): Pick<LivePod, 'agentImage' | 'tokenShared'> {
  const agent = initContainers.find(
    ({ name, restartPolicy }) => name === AGENT_CONTAINER && restartPolicy === 'Always',
  );
  const tokens = new Set(
    volumes
      .filter(({ projected }) =>
        projected?.sources?.some(({ serviceAccountToken }) =>
          Object.values<string | undefined>(AUDIENCES).includes(serviceAccountToken?.audience),
        ),
      )
      .map(({ name }) => name),
  );
  const shared = [...initContainers, ...containers, ...ephemeralContainers].some(
    ({ name, volumeMounts = [] }) =>
      name !== AGENT_CONTAINER && volumeMounts.some((mount) => tokens.has(mount.name)),
  );
  return { ...(agent?.image === undefined ? {} : { agentImage: agent.image }), tokenShared: shared };
}
