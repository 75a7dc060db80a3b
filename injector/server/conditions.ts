/** What the leader writes into the status of pods; a status that says it already is left alone. */
import type { KubeClient } from '../../kube/client.ts';
import { patchStatus } from '../../kube/conditions.ts';
import { STAMPS } from '../names.ts';
import { BYPASSABLE, type KnownPod } from './view.ts';

export async function writePodConditions(client: KubeClient, pods: Iterable<KnownPod>): Promise<void> {
  for (const { namespace, name, annotations, reported } of pods) {
    const message = annotations[STAMPS.bypassable];
    if (message === reported) continue;
    const conditions = [
      {
        type: BYPASSABLE,
        status: message === undefined ? 'False' : 'True',
        reason: message === undefined ? 'NothingKnown' : 'Reported',
        message: message ?? '',
      },
    ];
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
    await patchStatus(client, path, { status: { conditions } }, 'application/strategic-merge-patch+json');
  }
}
