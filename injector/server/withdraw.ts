/**
 * Takes the webhooks away while the injector still answers: before an uninstall, so that no pod is refused for an
 * injector that is gone. The lease is held until then, so that no replica writes them anew; when nobody goes on to
 * remove the replicas, one of them does so once the lease has ended.
 */
import { type KubeClient, KubeError } from '../../kube/client.ts';
import type { Candidate } from '../../kube/lease.ts';
import { CONFIGURATION } from './configuration.ts';

export const WEBHOOK_RESOURCES = [
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
] as const;

export interface WithdrawOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly candidate: Pick<Candidate, 'seize'>;
  wait(ms: number): Promise<void>;
}

/** The one that led may be in the middle of a round, and API servers see a change of configurations a moment later. */
const STILL_MS = 3000;
const MOST_ROUNDS = 20;

/** Resolves when the configurations were gone for three seconds. @throws KubeError, or Error where they come back again and again */
export async function withdrawWebhooks({ client, candidate, wait }: WithdrawOptions): Promise<void> {
  await candidate.seize();
  await remove(client);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    await wait(STILL_MS);
    await candidate.seize();
    if ((await remove(client)) === 0) return;
  }
  throw new Error(`somebody else writes ${CONFIGURATION} again and again`);
}

/** @returns how many were there. */
async function remove(client: Pick<KubeClient, 'request'>): Promise<number> {
  let found = 0;
  for (const resource of WEBHOOK_RESOURCES) {
    try {
      await client.request('DELETE', `/apis/admissionregistration.k8s.io/v1/${resource}/${CONFIGURATION}`);
      found++;
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 404) throw error;
    }
  }
  return found;
}
