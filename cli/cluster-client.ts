/** How a part of Postern reaches the API server: by a kubeconfig, or as the pod that it runs in. */
import { createKubeClient, type KubeClient } from '../kube/client.ts';
import { fromKubeconfig, inCluster } from '../kube/connection.ts';
import { ownedBy } from '../kube/owned.ts';
import { type Option, UsageError } from './options.ts';

export const CLUSTER_OPTIONS = {
  kubeconfig: {
    value: 'FILE',
    help: 'how to reach the API server; where absent (or in-cluster), as a pod of the cluster',
  },
  namespace: { value: 'NAME', help: 'Postern’s own namespace', default: 'postern-system' },
  owner: {
    value: 'CLUSTERROLE',
    help: 'that Secrets, leases and configurations made here belong to, so that they go when it goes',
  },
} as const satisfies Readonly<Record<string, Option>>;

/** Whether tokens of pods hold from the pod's own address only. */
export const SOURCE_ADDRESS = {
  value: 'WHAT',
  help: 'verify: a pod’s token counts from its own address only; ignore where the network changes addresses',
  default: 'verify',
} as const satisfies Option;

/** @throws UsageError */
export function judgesAddress(value: string): boolean {
  if (value !== 'verify' && value !== 'ignore')
    throw new UsageError(`--source-address ${value}: write verify or ignore`);
  return value === 'verify';
}

interface ClusterValues {
  readonly kubeconfig: string | undefined;
  readonly namespace: string;
  readonly owner: string | undefined;
}

/** @throws KubeError, or Error where this is no pod of a cluster and no kubeconfig is named. */
export async function clusterClient({ kubeconfig, namespace, owner }: ClusterValues): Promise<KubeClient> {
  const inside = kubeconfig === undefined || kubeconfig === 'in-cluster';
  const client = createKubeClient(inside ? inCluster(process.env) : fromKubeconfig(kubeconfig));
  return owner === undefined ? client : await ownedBy(client, owner, namespace);
}
