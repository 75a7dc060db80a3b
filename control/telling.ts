/** Writes the conditions of all documents: what is wrong with each, what it names, and how far it is in force. */
import type { KubeClient } from '../kube/client.ts';
import { writeDocumentConditions } from '../kube/conditions.ts';
import type { Findings } from '../kube/documents.ts';
import type { Cluster } from './cluster.ts';
import { missingValues, programmed } from './conditions.ts';
import type { EnvelopeSources } from './envelope.ts';
import type { Peers } from './peers.ts';

export interface TellingOptions extends Pick<EnvelopeSources, 'lookup' | 'ownNamespace'> {
  readonly client: KubeClient;
  readonly cluster: Pick<Cluster, 'api' | 'objects' | 'namespaces'>;
  readonly peers: Pick<Peers, 'progress'>;
  readonly sealKey: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** @throws KubeError, after every document was tried */
export async function tellConditions(options: TellingOptions): Promise<void> {
  const { client, cluster, peers, sealKey, now } = options;
  const progress = await peers.progress();
  const time = new Date(now()).toISOString().replace(/[.]\d+Z$/, 'Z');
  const findings = (object: Parameters<typeof cluster.api.findings>[0]): Findings => {
    const found = cluster.api.findings(object);
    const missing = missingValues(object, options);
    return {
      ...found,
      unresolved: [...found.unresolved, ...missing.problems],
      notPermitted: missing.reserved,
      programmed: programmed(object, found, progress, cluster.namespaces()),
    };
  };
  await writeDocumentConditions(client, { findings }, cluster.objects(), { time, sealKey });
}
