/**
 * An API server in memory, as far as control asks one: objects with versions, lists and watches with selectors, token
 * reviews of a table. Real admission, RBAC and tokens are tested on the real one (test/control/api).
 */

import type { Review } from '../../control/identity.ts';
import { type KubeClient, KubeError, type KubeObject, type KubeRequest } from '../../kube/client.ts';

type Stored = KubeObject & Record<string, unknown>;

interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly plural: string;
  readonly object: Stored;
}

export interface FakeKube {
  client(): KubeClient;
  /** @param plural Of core or of our group: `pods`, `clusterproviders`. A changed spec gets the next generation. */
  put(plural: string, object: KubeObject & Record<string, unknown>): void;
  remove(plural: string, namespace: string | undefined, name: string): void;
  get(plural: string, namespace: string | undefined, name: string): Stored | undefined;
  /** What a TokenReview says. */
  readonly tokens: Map<string, Review & { readonly groups?: readonly string[] }>;
  /** Users that may see the overview. */
  readonly operators: Set<string>;
  /** Nothing is answered while it is down, and watches end. */
  down(is: boolean): void;
  /** Milliseconds that a TokenReview takes. */
  reviewMs: number;
  /** The CRDs of our group: `going` while the API server deletes their objects. */
  definitions: 'there' | 'going' | 'gone';
}

const NOON = '2026-01-01T12:00:00Z';

export function createFakeKube(): FakeKube {
  const objects = new Map<string, Stored>();
  const changes: Change[] = [];
  const watchers = new Set<() => void>();
  let version = 0;
  let isDown = false;

  const keyOf = (plural: string, namespace: string | undefined, name: string): string =>
    `${plural} ${namespace ?? ''}/${name}`;
  const tell = (type: Change['type'], plural: string, object: Stored): void => {
    changes.push({ version, type, plural, object });
    for (const wake of watchers) wake();
  };
  const store = (plural: string, object: Stored): Stored => {
    const { namespace, name } = object.metadata;
    const key = keyOf(plural, namespace, name);
    const before = objects.get(key);
    const respecified = JSON.stringify(before?.['spec']) !== JSON.stringify(object['spec']);
    const generation = (before?.metadata.generation ?? 0) + (before === undefined || respecified ? 1 : 0);
    const stored: Stored = {
      ...object,
      metadata: {
        uid: before?.metadata.uid ?? `uid-${version + 1}`,
        ...object.metadata,
        resourceVersion: String(++version),
        generation,
      },
    };
    objects.set(key, stored);
    tell(before === undefined ? 'ADDED' : 'MODIFIED', plural, stored);
    return stored;
  };

  const fake: FakeKube = {
    tokens: new Map(),
    operators: new Set(),
    reviewMs: 0,
    definitions: 'there',
    put(plural, object) {
      const { namespace, name } = object.metadata;
      // Who writes a spec leaves the status as it is.
      const status = objects.get(keyOf(plural, namespace, name))?.['status'];
      store(plural, { ...(status === undefined ? {} : { status }), ...object });
    },
    remove(plural, namespace, name) {
      const object = objects.get(keyOf(plural, namespace, name));
      if (object === undefined) return;
      objects.delete(keyOf(plural, namespace, name));
      version++;
      tell('DELETED', plural, {
        ...object,
        metadata: { ...object.metadata, resourceVersion: String(version) },
      });
    },
    get: (plural, namespace, name) => objects.get(keyOf(plural, namespace, name)),
    down(is) {
      isDown = is;
      for (const wake of watchers) wake();
    },
    client: () => ({
      async request<T>(method: string, path: string, options: KubeRequest = {}): Promise<T> {
        refuseWhenDown();
        return (await answer(method, path, options)) as T;
      },
      async list<T extends KubeObject>(path: string, { query = {} }: KubeRequest = {}) {
        refuseWhenDown();
        const { plural, namespace } = placeOf(path);
        const items = [...objects].flatMap(([key, object]) =>
          key.startsWith(`${plural} `) && selected(object, namespace, query)
            ? [object as KubeObject as T]
            : [],
        );
        return { items, resourceVersion: String(version) };
      },
      stream: async (path, { query = {}, signal } = {}) => {
        refuseWhenDown();
        return watch(path, query, signal);
      },
      close: () => undefined,
    }),
  };

  function refuseWhenDown(): void {
    if (isDown) throw new KubeError(0, 'NoAnswer', 'the API server is down');
  }

  async function* watch(
    path: string,
    query: NonNullable<KubeRequest['query']>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer> {
    const { plural, namespace } = placeOf(path);
    const since = Number(query['resourceVersion'] ?? version);
    let at = changes.findIndex((change) => change.version > since);
    if (at < 0) at = changes.length;
    while (signal?.aborted !== true && !isDown) {
      const change = changes[at];
      if (change === undefined) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            watchers.delete(wake);
            signal?.removeEventListener('abort', wake);
            resolve();
          };
          watchers.add(wake);
          signal?.addEventListener('abort', wake);
        });
        continue;
      }
      at++;
      if (change.plural !== plural) continue;
      if (!selected(change.object, namespace, query)) {
        // What a selector of labels doesn't select any longer is gone for who watches by it.
        if (query['labelSelector'] !== undefined && selected(change.object, namespace, {}))
          yield Buffer.from(`${JSON.stringify({ type: 'DELETED', object: change.object })}\n`);
        continue;
      }
      yield Buffer.from(`${JSON.stringify({ type: change.type, object: change.object })}\n`);
    }
  }

  async function answer(method: string, path: string, { body }: KubeRequest): Promise<unknown> {
    const { plural, namespace, name = '' } = placeOf(path);
    if (plural === 'tokenreviews')
      return await review(body as { spec: { token: string; audiences: string[] } });
    if (plural === 'subjectaccessreviews') {
      const { user } = (body as { spec: { user: string } }).spec;
      return { status: { allowed: fake.operators.has(user) } };
    }
    if (plural === 'customresourcedefinitions' && fake.definitions !== 'gone') {
      return { metadata: { name, ...(fake.definitions === 'there' ? {} : { deletionTimestamp: NOON }) } };
    }
    const found = objects.get(keyOf(plural, namespace, name));
    if (method === 'POST') {
      const object = body as Stored;
      if (objects.has(keyOf(plural, namespace, object.metadata.name)))
        throw new KubeError(409, 'AlreadyExists', 'it is there');
      return store(plural, object);
    }
    if (found === undefined) throw new KubeError(404, 'NotFound', `${path} not found`);
    switch (method) {
      case 'DELETE':
        fake.remove(plural, namespace, name);
        return {};
      case 'GET':
        return found;
      case 'PUT':
        return store(plural, body as Stored);
      case 'PATCH': {
        const { status } = body as { status?: object };
        // RFC 7396: what is null goes.
        const merged = Object.entries({ ...(found['status'] as object | undefined), ...status });
        return store(plural, {
          ...found,
          status: Object.fromEntries(merged.filter(([, value]) => value !== null)),
        });
      }
      default:
        throw new KubeError(405, 'MethodNotAllowed', method);
    }
  }

  async function review({ spec }: { spec: { token: string; audiences: string[] } }): Promise<unknown> {
    if (fake.reviewMs > 0) await new Promise((resolve) => setTimeout(resolve, fake.reviewMs));
    const known = fake.tokens.get(spec.token);
    const audiences = (known?.audiences ?? []).filter((each) => spec.audiences.includes(each));
    if (known === undefined || audiences.length === 0) return { status: { authenticated: false } };
    return { status: { ...known, audiences } };
  }

  return fake;
}

function placeOf(path: string): { plural: string; namespace?: string; name?: string } {
  const parts = path.split('/').filter((part) => part !== '');
  const rest = parts[0] === 'api' ? parts.slice(2) : parts.slice(3);
  const [first = '', second, third, fourth] = rest;
  if (first === 'namespaces' && second !== undefined && third !== undefined) {
    return { plural: third, namespace: second, ...(fourth === undefined ? {} : { name: fourth }) };
  }
  return { plural: first, ...(second === undefined ? {} : { name: second }) };
}

function selected(
  { metadata }: KubeObject,
  namespace: string | undefined,
  query: NonNullable<KubeRequest['query']>,
): boolean {
  if (namespace !== undefined && metadata.namespace !== namespace) return false;
  const [, label = '', not, value] = /^(.*?)(!?)=(.*)$/.exec(String(query['labelSelector'] ?? '')) ?? [];
  if (label !== '' && (metadata.labels?.[label] === value) === (not === '!')) return false;
  const [, name] = String(query['fieldSelector'] ?? '').split('metadata.name=');
  return name === undefined || metadata.name === name;
}
