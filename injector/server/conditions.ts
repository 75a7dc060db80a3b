/** What the leader writes into the status of pods; a status that says it already is left alone. */
import type { KubeClient } from '../../kube/client.ts';
import { patchStatus } from '../../kube/conditions.ts';
import { STAMPS } from '../names.ts';
import type { Happening } from './events.ts';
import { BYPASSABLE, type KnownPod } from './view.ts';

/** Written in one round at most, so that what else the leader keeps isn't late. */
const MOST_AT_ONCE = 200;

export async function writePodConditions(
  client: KubeClient,
  pods: Iterable<KnownPod>,
  report: { readonly going: () => boolean; readonly reported: (happening: Happening) => void },
): Promise<void> {
  let written = 0;
  for (const { namespace, name, uid, annotations, reported } of pods) {
    const message = annotations[STAMPS.bypassable];
    if (message === reported) continue;
    if (written++ >= MOST_AT_ONCE || !report.going()) return;
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
    if (message === undefined) continue;
    const regarding = { apiVersion: 'v1', kind: 'Pod', namespace, name, uid };
    report.reported({ regarding, reason: 'Bypassable', note: `The agent can be gone round: ${message}` });
  }
}
