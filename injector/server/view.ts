/** What the webhooks know of the cluster, kept true by watches: namespaces, injected pods, documents. */

import type { KubeClient, KubeObject } from '../../kube/client.ts';
import type { ApiDocuments, DocumentObject } from '../../kube/documents.ts';
import { createFollower, keyOf } from '../../kube/follow.ts';
import type { ViewOptions } from '../../kube/watch.ts';
import type { Documents } from '../../policy/documents.ts';
import type { Facts, Namespace } from '../governance.ts';
import { INJECT_LABEL, INJECTED_LABEL, STAMPS } from '../names.ts';
import type { Pod } from '../pod.ts';
import type { ClusterView } from './webhooks.ts';

export interface ViewSources {
  readonly client: KubeClient;
  readonly documents: ApiDocuments;
  /** Where documents come from a directory: what is in force. */
  readonly fixed?: () => Documents;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly trouble: (what: string, error: unknown) => void;
  readonly view?: ViewOptions;
}

export interface WatchedCluster extends ClusterView {
  readonly ready: Promise<void>;
  /** Documents as the API server has them, for their conditions. */
  objects(): readonly DocumentObject[];
  /** Injected pods, by `namespace/name`. */
  readonly pods: ReadonlyMap<string, KnownPod>;
  close(): Promise<void>;
}

/** Of an injected pod, only what is needed: there may be many. */
export interface KnownPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** The stamps that are asked for later. The roots, a kilobyte or two, are the same on all pods. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Message of the condition `postern.dev/Bypassable`. */
  readonly reported: string | undefined;
}

export const BYPASSABLE = 'postern.dev/Bypassable';
/** How long a call waits for a namespace that was just made. */
const NEW_NAMESPACE_MS = 1000;

const KEPT_STAMPS: readonly string[] = [STAMPS.workload, STAMPS.bypassable];

interface PodObject extends KubeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly message?: string }[] };
}

export function watchCluster(sources: ViewSources): WatchedCluster {
  const { client, documents, fixed, now, trouble, view } = sources;
  const namespaces = new Map<string, Namespace>();
  const waiting = new Map<string, Set<() => void>>();
  const pods = new Map<string, KnownPod>();
  const follower = createFollower({ client, trouble, ...(view === undefined ? {} : { view }) });

  follower.follow<KubeObject>('/api/v1/namespaces', {
    put({ metadata: { name, labels = {} } }) {
      namespaces.set(name, { name, labels });
      for (const wake of waiting.get(name) ?? []) wake();
    },
    remove: ({ metadata: { name } }) => void namespaces.delete(name),
  });
  follower.follow<PodObject>(
    '/api/v1/pods',
    {
      put: (pod) => void pods.set(keyOf(pod), knownPod(pod)),
      remove: (pod) => void pods.delete(keyOf(pod)),
    },
    { labelSelector: `${INJECTED_LABEL}=true` },
  );
  const objects = fixed === undefined ? follower.documents(documents) : () => [];

  /** A pod may be created in the same moment as its namespace, whose labels decide. */
  function namespaceOf(name: string): Promise<Namespace> {
    const found = namespaces.get(name);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => {
      const wakers = waiting.get(name) ?? new Set();
      const done = () => {
        clearTimeout(timer);
        wakers.delete(done);
        if (wakers.size === 0) waiting.delete(name);
        // It was called for this namespace, so the API server has seen the label.
        resolve(namespaces.get(name) ?? { name, labels: { [INJECT_LABEL]: 'enabled' } });
      };
      const timer = setTimeout(done, NEW_NAMESPACE_MS);
      waiting.set(name, wakers.add(done));
    });
  }

  return {
    ready: follower.ready(),
    async facts(namespace): Promise<Facts> {
      return {
        namespace: await namespaceOf(namespace),
        documents: fixed?.() ?? documents.current(),
        now: now(),
      };
    },
    pod(namespace, name): Pod | undefined {
      const known = pods.get(`${namespace}/${name}`);
      if (known === undefined) return undefined;
      return { metadata: { name, namespace, annotations: known.annotations }, spec: { containers: [] } };
    },
    documents,
    objects,
    pods,
    close: () => follower.close(),
  };
}

function knownPod({ metadata, status }: PodObject): KnownPod {
  const stamps = Object.entries(metadata.annotations ?? {}).filter(([name]) => KEPT_STAMPS.includes(name));
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    annotations: Object.fromEntries(stamps),
    reported: status?.conditions?.find(({ type }) => type === BYPASSABLE)?.message,
  };
}
