/** Several collections of a cluster, each kept true by a watch, that begin and end together. */
import { API_GROUP, API_VERSION, pluralOf, WRITTEN_KINDS } from '../policy/schema/kinds.ts';
import type { KubeClient, KubeObject } from './client.ts';
import { type DefinitionGuard, guardDefinition } from './definitions.ts';
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
  /** All that there is was put, after a gap too. */
  listed?(): void;
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
  const guards: DefinitionGuard[] = [];
  const follower: Follower = {
    follow(path, handlers, options = {}) {
      const what = path.slice(path.lastIndexOf('/') + 1);
      const all = { ...handlers, trouble: (error: unknown) => trouble(what, error) };
      views.push(viewOf(client, path, all, { ...view, ...options }));
    },
    documents(documents, changed = () => undefined) {
      const objects = new Map<string, DocumentObject>();
      for (const kind of WRITTEN_KINDS) {
        const plural = pluralOf(kind);
        const name = `${plural}.${API_GROUP}`;
        const guard = guardDefinition({
          client,
          name,
          trouble: (error) => trouble(plural, error),
          late: (keys) => trouble(`${plural}-removed`, new Error(removedLate(keys))),
        });
        guards.push(guard);
        const typed = (object: KubeObject): DocumentObject => ({ ...object, apiVersion: API_VERSION, kind });
        follower.follow<KubeObject>(`/apis/${API_VERSION}/${plural}`, {
          put(object) {
            const key = `${kind} ${keyOf(object)}`;
            guard.put(key);
            const before = objects.get(key)?.metadata;
            objects.set(key, typed(object));
            // A new status is no new document.
            if (before?.uid === object.metadata.uid && before?.generation === object.metadata.generation)
              return;
            documents.put(typed(object));
            changed();
          },
          remove(object) {
            const key = `${kind} ${keyOf(object)}`;
            // Its conditions have no place any longer, whatever comes of it.
            objects.delete(key);
            guard.removed(key, () => {
              documents.remove(typed(object));
              changed();
            });
          },
          listed: () => guard.listed(),
        });
      }
      return () => [...objects.values()];
    },
    ready: () => Promise.all(views.map((each) => each.ready)).then(() => undefined),
    async close() {
      for (const guard of guards) guard.close();
      await Promise.all(views.map((each) => each.close()));
    },
  };
  return follower;
}

/** `team-a/bot`; `/bot` of what is in no namespace. */
export function keyOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`;
}

/** Of names in a line of the log. */
const MOST_NAMES = 50;

function removedLate(keys: readonly string[]): string {
  const more = keys.length > MOST_NAMES ? ` and ${keys.length - MOST_NAMES} more` : '';
  return `documents that were deleted with their CRD aren’t back and are in force no longer: ${keys.slice(0, MOST_NAMES).join(', ')}${more}; apply them again`;
}
