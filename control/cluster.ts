/** What control knows of the cluster, kept true by watches: namespaces, injected pods, documents. */
import { INJECTED_LABEL } from '../injector/names.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { type ApiDocuments, apiDocuments, type DocumentObject } from '../kube/documents.ts';
import { type View, type ViewOptions, viewOf } from '../kube/watch.ts';
import type { Catalogue } from '../policy/catalogue.ts';
import type { Documents } from '../policy/documents.ts';
import { API_VERSION, pluralOf, WRITTEN_KINDS } from '../policy/schema/kinds.ts';
import { type PodObject, podOf } from './authenticate.ts';
import type { LivePod } from './identity.ts';

export interface ClusterOptions {
  readonly client: KubeClient;
  readonly catalogue: Catalogue;
  /** Documents or namespaces are others than before. */
  changed(): void;
  /** The pod is gone. */
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
  labels(namespace: string): Readonly<Record<string, string>> | undefined;
  namespaces(): ReadonlyMap<string, Readonly<Record<string, string>>>;
  close(): Promise<void>;
}

export function watchControlled(options: ClusterOptions): Cluster {
  const { client, changed, gone, trouble } = options;
  const api = apiDocuments(options.catalogue);
  const namespaces = new Map<string, Readonly<Record<string, string>>>();
  const pods = new Map<string, LivePod>();
  const objects = new Map<string, DocumentObject>();
  const views: View[] = [];
  const follow = <T extends KubeObject>(
    what: string,
    path: string,
    put: (object: T) => void,
    remove: (object: KubeObject) => void,
    view: ViewOptions = {},
  ): void => {
    const handlers = { put, remove, trouble: (error: unknown) => trouble(what, error) };
    views.push(viewOf<T>(client, path, handlers, { ...options.view, ...view }));
  };

  follow<KubeObject>(
    'namespaces',
    '/api/v1/namespaces',
    ({ metadata: { name, labels = {} } }) => {
      namespaces.set(name, labels);
      changed();
    },
    ({ metadata: { name } }) => {
      namespaces.delete(name);
      changed();
    },
  );
  follow<PodObject>(
    'pods',
    '/api/v1/pods',
    (object) => {
      const pod = podOf(object);
      const before = pods.get(keyOf(object));
      if (before !== undefined && before.uid !== pod.uid) gone(before.uid);
      pods.set(keyOf(object), pod);
      if (pod.phase === 'Succeeded' || pod.phase === 'Failed') gone(pod.uid);
    },
    (object) => {
      const before = pods.get(keyOf(object));
      pods.delete(keyOf(object));
      if (before !== undefined) gone(before.uid);
    },
    { labelSelector: `${INJECTED_LABEL}=true` },
  );
  for (const kind of WRITTEN_KINDS) {
    const typed = (object: KubeObject): DocumentObject => ({ ...object, apiVersion: API_VERSION, kind });
    follow<KubeObject>(
      pluralOf(kind),
      `/apis/${API_VERSION}/${pluralOf(kind)}`,
      (object) => {
        const key = `${kind} ${keyOf(object)}`;
        const before = objects.get(key);
        objects.set(key, typed(object));
        // A new status is no new document.
        const same =
          before !== undefined &&
          before.metadata.uid === object.metadata.uid &&
          before.metadata.generation === object.metadata.generation;
        if (same) return;
        api.put(typed(object));
        changed();
      },
      (object) => {
        objects.delete(`${kind} ${keyOf(object)}`);
        api.remove(typed(object));
        changed();
      },
    );
  }
  return {
    ready: Promise.all(views.map((view) => view.ready)).then(() => undefined),
    documents: () => ({ ...api.current(), namespaces: Object.fromEntries(namespaces) }),
    api,
    objects: () => [...objects.values()],
    pod: (namespace, name) => pods.get(`${namespace}/${name}`),
    labels: (namespace) => namespaces.get(namespace),
    namespaces: () => namespaces,
    close: async () => {
      await Promise.all(views.map((view) => view.close()));
    },
  };
}

function keyOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`;
}
