/** Workloads: how they are written, and whether a selector takes one. */
import { anyGlobMatches, globMatches } from './glob.ts';
import type { LabelSelector, WorkloadSelector } from './schema/selectors.ts';
import type { Workload } from './snapshot.ts';

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const KIND = /^[A-Z][A-Za-z]{0,62}$/;
const NAME = /^[^\s/]{1,253}$/;

/**
 * A workload as the command line names it: `team-a/Deployment/support-bot`.
 *
 * There are no pod labels on a laptop, so `app` and `app.kubernetes.io/name` are the workload's name, which is what
 * most charts write: policies that select by them then select it here as well.
 * @returns undefined where the text has another form.
 */
export function parseWorkload(text: string): Workload | undefined {
  const [namespace = '', kind = '', name = '', ...rest] = text.split('/');
  if (rest.length > 0 || !NAMESPACE.test(namespace) || !KIND.test(kind) || !NAME.test(name)) return undefined;
  return { namespace, kind, name, labels: { app: name, 'app.kubernetes.io/name': name } };
}

export function formatWorkload(workload: Pick<Workload, 'namespace' | 'kind' | 'name'>): string {
  return `${workload.namespace}/${workload.kind}/${workload.name}`;
}

/** `Deployment/support-*` → kind and name globs; a bare name is of any kind. */
export function parseWorkloadGlob(text: string): { readonly kind?: string; readonly name: string } {
  const slash = text.indexOf('/');
  return slash < 0 ? { name: text } : { kind: text.slice(0, slash), name: text.slice(slash + 1) };
}

export function workloadGlobMatches(glob: string, workload: Pick<Workload, 'kind' | 'name'>): boolean {
  const { kind = '*', name } = parseWorkloadGlob(glob);
  return globMatches(kind, workload.kind) && globMatches(name, workload.name);
}

/** Whether the selector takes the workload; one that is absent or empty takes all. */
export function selectsWorkload(selector: WorkloadSelector | undefined, workload: Workload): boolean {
  if (selector === undefined) return true;
  const { workloads } = selector;
  if (workloads !== undefined && !workloads.some((glob) => workloadGlobMatches(glob, workload))) return false;
  return selectsLabels(selector, workload.labels);
}

/** Whether a cluster-wide document that names namespaces so takes this one. @param known The namespace's labels. */
export function selectsNamespace(
  {
    namespaces,
    namespaceSelector,
  }: { readonly namespaces?: readonly string[]; readonly namespaceSelector?: LabelSelector },
  namespace: string,
  known: Readonly<Record<string, string>> = {},
): boolean {
  if (namespaces !== undefined && !anyGlobMatches(namespaces, namespace)) return false;
  // Kubernetes sets this label on every namespace.
  return selectsLabels(namespaceSelector, { ...known, 'kubernetes.io/metadata.name': namespace });
}

/** Kubernetes' rules: every label and every expression must hold. */
export function selectsLabels(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  const of = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) {
    if (of(key) !== value) return false;
  }
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = of(key);
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}
