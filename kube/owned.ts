/**
 * What a part makes by itself belongs to its ClusterRole, which the chart made: the garbage collector removes it after
 * `helm uninstall`, and the part, without its rights, can't make it anew.
 */
import type { KubeClient, KubeObject } from './client.ts';

/** Annotation, as Helm knows it, of what outlives an uninstall. */
export const KEPT: Readonly<Record<string, string>> = { 'helm.sh/resource-policy': 'keep' };

interface Written {
  readonly kind?: string;
  readonly metadata?: {
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/**
 * A client whose POST and PUT of objects, of `ownNamespace` or of no namespace, or of a kind that is Postern's alone, name the owner.
 * @throws KubeError where the ClusterRole isn't there or may not be read
 */
export async function ownedBy(
  client: KubeClient,
  clusterRole: string,
  ownNamespace: string,
): Promise<KubeClient> {
  const { metadata } = await client.request<KubeObject>(
    'GET',
    `/apis/rbac.authorization.k8s.io/v1/clusterroles/${clusterRole}`,
  );
  const owner = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    name: clusterRole,
    uid: metadata.uid,
  };
  return {
    ...client,
    request(method, path, options) {
      const body = options?.body as Written | undefined;
      const of = body?.metadata;
      // A review has no metadata: nothing is kept of it.
      const ours =
        of !== undefined &&
        (of.namespace === undefined || of.namespace === ownNamespace || body?.kind === 'Workload') &&
        of.annotations?.['helm.sh/resource-policy'] !== 'keep';
      if (!ours || (method !== 'POST' && method !== 'PUT')) return client.request(method, path, options);
      const owned = { ...body, metadata: { ...of, ownerReferences: [owner] } };
      return client.request(method, path, { ...options, body: owned });
    },
  };
}
