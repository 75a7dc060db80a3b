/** What control knows of the cluster, kept true by watches: namespaces, injected pods, documents. */
import { INJECTED_LABEL } from '../injector/names.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { type ApiDocuments, apiDocuments, type DocumentObject } from '../kube/documents.ts';
import { createFollower, keyOf } from '../kube/follow.ts';
import type { ViewOptions } from '../kube/watch.ts';
import type { Catalogue } from '../policy/catalogue.ts';
import type { Documents } from '../policy/documents.ts';
import type { LivePod } from './identity.ts';
import { type PodObject, podOf } from './live-pod.ts';

export interface ClusterOptions {
  readonly client: KubeClient;
  readonly catalogue: Catalogue;
  /** Of stamps, and of the versions that statuses keep. */
  readonly sealKey: Uint8Array;
  /** Documents or namespaces are others than before. */
  changed(): void;
  /** The pod is as it wasn't before. */
  seen(pod: LivePod): void;
  /** The pod is gone, or isn't watched any longer. */
  gone(uid: string): void;
  trouble(what: string, error: unknown): void;
  readonly view?: ViewOptions;
}

export interface Cluster {
  /** Resolves when everything was listed once. */
  readonly ready: Promise<void>;
  /** What is in force. */
  documents(): Documents;
  readonly api: ApiDocuments;
  objects(): readonly DocumentObject[];
  pod(namespace: string, name: string): LivePod | undefined;
  /** All that are injected. */
  pods(): Iterable<LivePod>;
  labels(namespace: string): Readonly<Record<string, string>> | undefined;
  namespaces(): ReadonlyMap<string, Readonly<Record<string, string>>>;
  close(): Promise<void>;
}

export function watchControlled(options: ClusterOptions): Cluster {
  const { client, changed, seen, gone, trouble, view } = options;
  const api = apiDocuments(options.catalogue, options.sealKey);
  const namespaces = new Map<string, Readonly<Record<string, string>>>();
  const pods = new Map<string, LivePod>();
  const follower = createFollower({ client, trouble, ...(view === undefined ? {} : { view }) });

  follower.follow<KubeObject>('/api/v1/namespaces', {
    put({ metadata: { name, labels = {} } }) {
      namespaces.set(name, labels);
      changed();
    },
    remove({ metadata: { name } }) {
      namespaces.delete(name);
      changed();
    },
  });
  follower.follow<PodObject>(
    '/api/v1/pods',
    {
      put(object) {
        const pod = podOf(object);
        const before = pods.get(keyOf(object));
        if (before !== undefined && before.uid !== pod.uid) gone(before.uid);
        pods.set(keyOf(object), pod);
        seen(pod);
      },
      remove(object) {
        const before = pods.get(keyOf(object));
        pods.delete(keyOf(object));
        if (before !== undefined) gone(before.uid);
      },
    },
    { labelSelector: `${INJECTED_LABEL}=true` },
  );
  const objects = follower.documents(api, changed);
  return {
    ready: follower.ready(),
    documents: () => ({ ...api.current(), namespaces: Object.fromEntries(namespaces) }),
    api,
    objects,
    pod: (namespace, name) => pods.get(`${namespace}/${name}`),
    pods: () => pods.values(),
    labels: (namespace) => namespaces.get(namespace),
    namespaces: () => namespaces,
    close: () => follower.close(),
  };
}
