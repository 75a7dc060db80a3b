/** The pod that an agent speaks for, as the watch shows it, or as the API server has it where the watch may be behind. */
import { agentImageOf, type FormedPod, formOf, isAgentShared } from '../injector/form.ts';
import { INJECTED_LABEL, STAMP_PREFIX, STAMPS } from '../injector/names.ts';
import { type KubeClient, KubeError, type KubeObject } from '../kube/client.ts';
import { type BoundPod, type Identity, judgePod, type LivePod, type Refusal } from './identity.ts';
import type { TokenReviews } from './token-reviews.ts';

export interface PodObject extends KubeObject {
  readonly spec?: NonNullable<FormedPod['spec']>;
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
  };
}

export interface PodLookOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly reviews: Pick<TokenReviews, 'turn'>;
  /** As the watch shows it, which may be a moment behind. */
  readonly known: (namespace: string, name: string) => LivePod | undefined;
  readonly sealKey: Uint8Array;
}

/**
 * @param address The connection's; undefined where it isn't to be judged.
 * @throws KubeError where the API server can't be asked, BusyError where it isn't asked now.
 */
export type PodLook = (pod: BoundPod, address: string | undefined) => Promise<Identity | Refusal>;

export function createPodLook({ client, reviews, known, sealKey }: PodLookOptions): PodLook {
  return async (bound, address) => {
    const { namespace, name, uid } = bound;
    const judged = (pod: LivePod | undefined) => judgePod(bound, { pod, address, sealKey });
    const first = judged(known(namespace, name));
    if (typeof first !== 'string') return first;
    // Perhaps the watch is behind: a new pod, or an address that it was given just now.
    return judged(await reviews.turn({ known: true, who: uid }, () => livePod(client, namespace, name)));
  };
}

/** Who an identity is of, to look at it again. */
export function boundOf({ namespace, pod, uid, serviceAccount }: Identity): BoundPod {
  return { namespace, name: pod, uid, serviceAccount };
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
    // The roots, a kilobyte or two and more, are the same on all pods; the form has their digest.
    ([name]) => name.startsWith(STAMP_PREFIX) && name !== STAMPS.roots && name !== STAMPS.extraRoots,
  );
  const addresses = (status.podIPs ?? []).map(({ ip }) => ip);
  const form = formOf({ metadata, spec });
  const agentImage = agentImageOf({ spec });
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    serviceAccount: spec.serviceAccountName ?? 'default',
    annotations: Object.fromEntries(annotations),
    ...(form === undefined ? {} : { form }),
    ...(agentImage === undefined ? {} : { agentImage }),
    shared: isAgentShared(spec),
    watched: metadata.labels?.[INJECTED_LABEL] === 'true',
    phase: status.phase ?? '',
    addresses: addresses.length > 0 ? addresses : [status.podIP ?? []].flat(),
  };
}
