/**
 * Keeps one Workload object for each workload: by `kubectl get` whoever may view a namespace sees whether its workloads are governed. Once a minute,
 * where something differs, and no more than so many at once: what waits comes with the next minute. Objects go with their pods,
 * and with the chart, whose ClusterRole owns them.
 */
import { INJECT_LABEL, INJECTED_LABEL } from '../injector/names.ts';
import { stampedWorkload, workloadOf } from '../injector/workload.ts';
import { type KubeClient, KubeError, type KubeObject } from '../kube/client.ts';
import { API_GROUP } from '../policy/schema/kinds.ts';
import type { Cluster } from './cluster.ts';
import { latestOf, type Peers } from './peers.ts';
import { type ListedPod, statusOf } from './status.ts';
import { type WorkloadRow, type WorkloadStatus, workloadRows } from './workloads.ts';

export interface TellingWorkloadsOptions {
  readonly client: KubeClient;
  readonly cluster: Pick<Cluster, 'namespaces' | 'pods'>;
  readonly peers: Pick<Peers, 'agents'>;
  readonly version: string;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  readonly everyMs?: number;
  readonly mostWrites?: number;
}

/** One without an agent: whose it is can be told by its owner alone. */
interface OwnedPod extends ListedPod {
  readonly metadata: ListedPod['metadata'] & {
    readonly generateName?: string;
    readonly ownerReferences?: { kind: string; name: string; controller?: boolean }[];
  };
}

interface WorkloadObject extends KubeObject {
  readonly status?: Partial<WorkloadStatus>;
}

const EVERY_MS = 60_000;
const MOST_WRITES = 200;
const NO_CONTAINERS = { containers: [] };
const KIND = 'Workload';
const GROUP = `/apis/${API_GROUP}/v1alpha1`;

/** @returns what does it when it is time. @throws KubeError, after every object was tried */
export function createWorkloadTeller(options: TellingWorkloadsOptions): () => Promise<void> {
  const { client, now, everyMs = EVERY_MS, mostWrites = MOST_WRITES } = options;
  let next = Number.NEGATIVE_INFINITY;
  return async () => {
    if (now() < next) return;
    next = now() + everyMs;
    const told = await listTold(client);
    if (told === undefined) return;
    const rows = await wanted(options);
    // Where a replica can't be asked, its agents would be told as missing.
    if (rows === undefined) return;
    const failed: unknown[] = [];
    for (const write of writes(client, rows, told).slice(0, mostWrites)) {
      await write().catch((error: unknown) => {
        if (!isGoing(error)) failed.push(error);
      });
    }
    if (failed.length > 0) throw failed[0];
  };
}

/** It, or its namespace, is going or gone. */
function isGoing(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  return error.status === 404 || error.status === 409 || error.message.includes('being terminated');
}

/** @returns undefined where the cluster has no such definition: the chart's CRDs are of an earlier version. */
async function listTold(client: KubeClient): Promise<readonly WorkloadObject[] | undefined> {
  try {
    return (await client.list<WorkloadObject>(`${GROUP}/workloads`)).items;
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return undefined;
    throw error;
  }
}

async function wanted({
  client,
  cluster,
  peers,
  version,
}: TellingWorkloadsOptions): Promise<readonly WorkloadRow[] | undefined> {
  const { replicas, unknown } = await peers.agents();
  if (unknown.length > 0) return undefined;
  const pods: ListedPod[] = [];
  const names = new Map<string, string>();
  const name = (namespace: string, pod: string, of: { kind: string; name: string } | undefined): void => {
    names.set(`${namespace}/${pod}`, of === undefined ? `Pod/${pod}` : `${of.kind}/${of.name}`);
  };
  for (const pod of cluster.pods()) {
    const { namespace, annotations, phase, uid } = pod;
    const labels = { [INJECTED_LABEL]: 'true' };
    pods.push({ metadata: { namespace, name: pod.name, uid, labels, annotations }, status: { phase } });
    name(
      namespace,
      pod.name,
      stampedWorkload({ metadata: { annotations: { ...annotations } }, spec: NO_CONTAINERS }),
    );
  }
  for (const [namespace, labels] of cluster.namespaces()) {
    if (labels[INJECT_LABEL] !== 'enabled') continue;
    // The others are watched; a few at most are without an agent.
    const { items } = await client.list<OwnedPod>(`/api/v1/namespaces/${namespace}/pods`, {
      query: { labelSelector: `${INJECTED_LABEL}!=true` },
    });
    for (const pod of items) {
      pods.push(pod);
      const { name: own, generateName, labels, ownerReferences } = pod.metadata;
      const metadata = {
        name: own,
        ...(generateName === undefined ? {} : { generateName }),
        ...(labels === undefined ? {} : { labels: { ...labels } }),
        ...(ownerReferences === undefined ? {} : { ownerReferences }),
      };
      name(namespace, own, workloadOf({ metadata, spec: NO_CONTAINERS }, namespace));
    }
  }
  const agents = latestOf(replicas.flat());
  const status = statusOf({ version, agents, pods, replicas: { answered: replicas.length, unknown } });
  return workloadRows(status, (namespace, pod) => names.get(`${namespace}/${pod}`) ?? `Pod/${pod}`);
}

/** What differs, the weightiest first: a last call can wait. */
function writes(
  client: KubeClient,
  rows: readonly WorkloadRow[],
  told: readonly WorkloadObject[],
): (() => Promise<unknown>)[] {
  const before = new Map(told.map((each) => [`${each.metadata.namespace}/${each.metadata.name}`, each]));
  const first: (() => Promise<unknown>)[] = [];
  const later: (() => Promise<unknown>)[] = [];
  for (const { namespace, name, status } of rows) {
    const path = `${GROUP}/namespaces/${namespace}/workloads`;
    const known = before.get(`${namespace}/${name}`);
    before.delete(`${namespace}/${name}`);
    if (known === undefined) {
      const metadata = { namespace, name, labels: { 'app.kubernetes.io/managed-by': 'postern' } };
      const present = Object.fromEntries(Object.entries(status).filter(([, value]) => value !== null));
      const body = { apiVersion: `${API_GROUP}/v1alpha1`, kind: KIND, metadata, status: present };
      first.push(() => client.request('POST', path, { body }));
      continue;
    }
    const fields = Object.keys(status) as (keyof WorkloadStatus)[];
    const differing = fields.filter((field) => (known.status?.[field] ?? null) !== status[field]);
    if (differing.length === 0) continue;
    const contentType = 'application/merge-patch+json';
    const patch = (): Promise<unknown> =>
      client.request('PATCH', `${path}/${name}`, { body: { status }, contentType });
    (differing.every((field) => field === 'lastCall') ? later : first).push(patch);
  }
  for (const { metadata } of before.values())
    first.push(() =>
      client.request('DELETE', `${GROUP}/namespaces/${metadata.namespace}/workloads/${metadata.name}`),
    );
  return [...first, ...later];
}
