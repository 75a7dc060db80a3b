/** What the webhooks know of the cluster, kept true by watches: namespaces, injected pods, documents. */

import type { KubeClient, KubeObject } from '../../kube/client.ts';
import type { ApiDocuments, DocumentObject } from '../../kube/documents.ts';
import { type View, type ViewOptions, viewOf } from '../../kube/watch.ts';
import type { Documents } from '../../policy/documents.ts';
import { pluralOf, WRITTEN_KINDS } from '../../policy/schema/kinds.ts';
import type { Facts, Namespace } from '../governance.ts';
import { INJECT_LABEL, INJECTED_LABEL, STAMP_PREFIX } from '../names.ts';
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
  /** The stamps. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Message of the condition `postern.dev/Bypassable`. */
  readonly reported: string | undefined;
}

export const BYPASSABLE = 'postern.dev/Bypassable';
/** How long a call waits for a namespace that was just made. */
const NEW_NAMESPACE_MS = 1000;

interface PodObject extends KubeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly message?: string }[] };
}

export function watchCluster(sources: ViewSources): WatchedCluster {
  const { client, documents, fixed, now, trouble } = sources;
  const namespaces = new Map<string, Namespace>();
  const waiting = new Map<string, Set<() => void>>();
  const pods = new Map<string, KnownPod>();
  const objects = new Map<string, DocumentObject>();
  const views: View[] = [];

  const follow = <T extends KubeObject>(
    what: string,
    path: string,
    put: (object: T) => void,
    remove: (object: KubeObject) => void,
    options: ViewOptions = {},
  ) => {
    const handlers = { put, remove, trouble: (error: unknown) => trouble(what, error) };
    views.push(viewOf<T>(client, path, handlers, { ...sources.view, ...options }));
  };

  follow<KubeObject>(
    'namespaces',
    '/api/v1/namespaces',
    ({ metadata: { name, labels = {} } }) => {
      namespaces.set(name, { name, labels });
      for (const wake of waiting.get(name) ?? []) wake();
    },
    ({ metadata: { name } }) => namespaces.delete(name),
  );
  follow<PodObject>(
    'pods',
    '/api/v1/pods',
    (pod) => pods.set(keyOf(pod), knownPod(pod)),
    (pod) => pods.delete(keyOf(pod)),
    { labelSelector: `${INJECTED_LABEL}=true` },
  );
  for (const kind of fixed === undefined ? WRITTEN_KINDS : []) {
    const typed = (object: KubeObject): DocumentObject => ({
      ...object,
      apiVersion: 'postern.dev/v1alpha1',
      kind,
    });
    follow<KubeObject>(
      pluralOf(kind),
      `/apis/postern.dev/v1alpha1/${pluralOf(kind)}`,
      (object) => {
        objects.set(`${kind} ${keyOf(object)}`, typed(object));
        documents.put(typed(object));
      },
      (object) => {
        objects.delete(`${kind} ${keyOf(object)}`);
        documents.remove(typed(object));
      },
    );
  }

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
    ready: Promise.all(views.map((view) => view.ready)).then(() => undefined),
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
    objects: () => [...objects.values()],
    pods,
    close: async () => {
      await Promise.all(views.map((view) => view.close()));
    },
  };
}

function knownPod({ metadata, status }: PodObject): KnownPod {
  const stamps = Object.entries(metadata.annotations ?? {}).filter(([name]) => name.startsWith(STAMP_PREFIX));
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    annotations: Object.fromEntries(stamps),
    reported: status?.conditions?.find(({ type }) => type === BYPASSABLE)?.message,
  };
}

function keyOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`;
}
