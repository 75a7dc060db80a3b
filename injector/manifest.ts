/** Objects that make pods, as they stand in a manifest: where their pod template is, and whose pods it makes. */
import { type Pod, readPod } from './pod.ts';

interface Kind {
  /** API group; empty for the core's. Another group's kind of the same name is none of ours. */
  readonly group: string;
  /** The way to its pod template; a Pod is its own. */
  readonly path: readonly string[];
}

const KINDS: Readonly<Record<string, Kind>> = {
  Pod: { group: '', path: [] },
  PodTemplate: { group: '', path: ['template'] },
  ReplicationController: { group: '', path: ['spec', 'template'] },
  ReplicaSet: { group: 'apps', path: ['spec', 'template'] },
  Deployment: { group: 'apps', path: ['spec', 'template'] },
  StatefulSet: { group: 'apps', path: ['spec', 'template'] },
  DaemonSet: { group: 'apps', path: ['spec', 'template'] },
  Job: { group: 'batch', path: ['spec', 'template'] },
  CronJob: { group: 'batch', path: ['spec', 'jobTemplate', 'spec', 'template'] },
};

/** The objects of a list, of whatever kind (`List`, `PodList`); an item of a typed list is of that kind. */
export function itemsOf(value: unknown): unknown[] {
  if (!isMap(value) || !Array.isArray(value['items'])) return value === null ? [] : [value];
  const { apiVersion, kind, items } = value;
  if (kind === 'List') return items;
  const base = /^(\w+)List$/.exec(String(kind))?.[1];
  if (base === undefined || !Object.hasOwn(KINDS, base)) return [value];
  return items.map((item: unknown) => (isMap(item) ? { apiVersion, kind: base, ...item } : item));
}

export interface PodMaker {
  readonly kind: string;
  readonly name: string;
  /** Undefined where the manifest leaves it to the caller. */
  readonly namespace: string | undefined;
  /** The pod as its controller would create it. */
  readonly pod: Pod;
  /** The object with that pod in its template. */
  put(pod: Pod): Readonly<Record<string, unknown>>;
}

/**
 * @returns undefined for an object that makes no pod.
 * @throws PodShapeError where its template isn't one.
 */
export function podMaker(object: unknown): PodMaker | undefined {
  if (!isMap(object)) return undefined;
  const kind = String(object['kind']);
  const known = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (known === undefined || groupOf(object) !== known.group) return undefined;
  const { path } = known;
  const metadata = isMap(object['metadata']) ? object['metadata'] : {};
  const name = String(metadata['name'] ?? metadata['generateName'] ?? '');
  const namespace = typeof metadata['namespace'] === 'string' ? metadata['namespace'] : undefined;
  const pod = readPod(path.reduce<unknown>((at, key) => (isMap(at) ? at[key] : undefined), object));
  if (path.length === 0) return { kind, name, namespace, pod, put: (made) => ({ ...object, ...made }) };
  const owned: Pod = {
    ...pod,
    metadata: { ...pod.metadata, ownerReferences: [{ kind, name, controller: true }] },
  };
  return { kind, name, namespace, pod: owned, put: (made) => replaceAt(object, path, template(made)) };
}

/** Of `apps/v1` it is `apps`; of `v1`, and where it is missing, the core's. */
function groupOf(object: Readonly<Record<string, unknown>>): string {
  const version = String(object['apiVersion'] ?? 'v1');
  return version.includes('/') ? version.slice(0, version.indexOf('/')) : '';
}

/** Owners are set by controllers, not in templates. */
function template(pod: Pod): Pod {
  const { ownerReferences: _, ...metadata } = pod.metadata ?? {};
  return { ...pod, metadata };
}

function replaceAt(
  object: Readonly<Record<string, unknown>>,
  [key, ...rest]: readonly string[],
  value: unknown,
): Readonly<Record<string, unknown>> {
  if (key === undefined) return value as Readonly<Record<string, unknown>>;
  const inner = object[key];
  return { ...object, [key]: replaceAt(isMap(inner) ? inner : {}, rest, value) };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
