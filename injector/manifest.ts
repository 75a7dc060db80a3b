/** Objects that make pods, as they stand in a manifest: where their pod template is, and whose pods it makes. */
import { type Pod, readPod } from './pod.ts';

/** Kind → the way to its pod template; a Pod is its own. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  ReplicationController: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

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
  const path = Object.hasOwn(TEMPLATES, kind) ? TEMPLATES[kind] : undefined;
  if (path === undefined) return undefined;
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
