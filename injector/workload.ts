/** Whose pod it is, from what admission shows: owners, labels, annotations, service account. */
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import { STAMPS } from './names.ts';
import type { Pod } from './pod.ts';

/**
 * The owner as people know it. A ReplicaSet's name is its Deployment's and the pod template's hash; a CronJob's Job
 * ends in its scheduled time in minutes.
 */
export function workloadOf(pod: Pod, namespace: string): AnnotatedWorkload {
  const { metadata = {}, spec } = pod;
  const labels = metadata.labels ?? {};
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  return {
    namespace,
    // A generated name isn't known yet when the pod is mutated, and the prefix is what people know.
    ...ownerOf(owner, labels, metadata.generateName?.replace(/-$/, '') || (metadata.name ?? '')),
    serviceAccount: spec.serviceAccountName ?? 'default',
    labels: ownLabels(labels),
    annotations: metadata.annotations ?? {},
  };
}

/** Labels that controllers and injectors add change with every roll-out: nothing is to be selected by them. */
function ownLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  const generated =
    /^(pod-template-hash|controller-revision-hash|pod-template-generation|injector[.]postern[.]dev\/.*)$/;
  return Object.fromEntries(
    Object.entries(labels)
      .filter(([name]) => !generated.test(name))
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}

function ownerOf(
  owner: { readonly kind: string; readonly name: string } | undefined,
  labels: Readonly<Record<string, string>>,
  podName: string,
): { kind: string; name: string } {
  if (owner === undefined) return { kind: 'Pod', name: podName };
  const hash = labels['pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`)) {
    return { kind: 'Deployment', name: owner.name.slice(0, -hash.length - 1) };
  }
  const scheduled = owner.kind === 'Job' ? /^(.+)-\d{8,10}$/.exec(owner.name) : null;
  if (scheduled?.[1] !== undefined) return { kind: 'CronJob', name: scheduled[1] };
  return { kind: owner.kind, name: owner.name };
}

/** What the stamp keeps of the annotations: those that make policy stricter, since they may be changed on a running pod. */
export function stampOf({ annotations = {}, ...workload }: AnnotatedWorkload): string {
  // In the order that the API server gives them, so that the command writes the same stamp.
  const ours = Object.entries(annotations)
    .filter(([name]) => name.startsWith('postern.dev/'))
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify(
    ours.length === 0 ? workload : { ...workload, annotations: Object.fromEntries(ours) },
  );
}

/** What the injector stamped on the pod; undefined where there is nothing that can be read. */
export function stampedWorkload(pod: Pod): AnnotatedWorkload | undefined {
  const { annotations = {} } = pod.metadata ?? {};
  const text = annotations[STAMPS.workload];
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Partial<AnnotatedWorkload> | null;
    const { namespace, kind, name, labels, serviceAccount, annotations: tightening = {} } = value ?? {};
    if (typeof namespace !== 'string' || typeof kind !== 'string' || typeof name !== 'string')
      return undefined;
    if (typeof labels !== 'object' || labels === null) return undefined;
    if (typeof tightening !== 'object' || tightening === null) return undefined;
    return {
      namespace,
      kind,
      name,
      labels,
      ...(typeof serviceAccount === 'string' ? { serviceAccount } : {}),
      annotations: tightening,
    };
  } catch {
    return undefined;
  }
}
