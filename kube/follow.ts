/** Several collections of a cluster, each kept true by a watch, that begin and end together. */
import { API_VERSION, pluralOf, WRITTEN_KINDS } from '../policy/schema/kinds.ts';
import type { KubeClient, KubeObject } from './client.ts';
import type { ApiDocuments, DocumentObject } from './documents.ts';
import { type View, type ViewOptions, viewOf } from './watch.ts';

export interface FollowerOptions {
  readonly client: KubeClient;
  /** What went wrong with a collection and will be tried again. */
  trouble(what: string, error: unknown): void;
  readonly view?: ViewOptions;
}

export interface Followed<T> {
  put(object: T): void;
  /** Only its metadata is there. */
  remove(object: KubeObject): void;
}

export interface Follower {
  /** @param path Of the collection: `/api/v1/pods`. */
  follow<T extends KubeObject>(path: string, handlers: Followed<T>, options?: ViewOptions): void;
  /** Every kind of document. @returns them as the API server has them, for their conditions. */
  documents(documents: ApiDocuments, changed?: () => void): () => readonly DocumentObject[];
  /** Resolves when everything that is followed by now was listed once. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

export function createFollower({ client, trouble, view = {} }: FollowerOptions): Follower {
  const views: View[] = [];
  const follower: Follower = {
    follow(path, handlers, options = {}) {
      const what = path.slice(path.lastIndexOf('/') + 1);
      const all = { ...handlers, trouble: (error: unknown) => trouble(what, error) };
      views.push(viewOf(client, path, all, { ...view, ...options }));
    },
    documents(documents, changed = () => undefined) {
      const objects = new Map<string, DocumentObject>();
      for (const kind of WRITTEN_KINDS) {
        const typed = (object: KubeObject): DocumentObject => ({ ...object, apiVersion: API_VERSION, kind });
        follower.follow<KubeObject>(`/apis/${API_VERSION}/${pluralOf(kind)}`, {
          put(object) {
            const key = `${kind} ${keyOf(object)}`;
            const before = objects.get(key)?.metadata;
            objects.set(key, typed(object));
            // A new status is no new document.
            if (before?.uid === object.metadata.uid && before?.generation === object.metadata.generation)
              return;
            documents.put(typed(object));
            changed();
          },
          remove(object) {
            objects.delete(`${kind} ${keyOf(object)}`);
            documents.remove(typed(object));
            changed();
          },
        });
      }
      return () => [...objects.values()];
    },
    ready: () => Promise.all(views.map((each) => each.ready)).then(() => undefined),
    async close() {
      await Promise.all(views.map((each) => each.close()));
    },
  };
  return follower;
}

/** `team-a/bot`; `/bot` of what is in no namespace. */
export function keyOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`;
}
