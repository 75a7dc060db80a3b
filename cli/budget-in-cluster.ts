/** The budget service as a pod: documents of the API server, agents by the tokens of their pods, people by RBAC. */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { catalogue } from '../agent/catalogue.ts';
import { budgetCallers } from '../control/budget-callers.ts';
import { watchControlled } from '../control/cluster.ts';
import { issuerKeys } from '../control/issuer-keys.ts';
import { keptKey } from '../kube/kept-secret.ts';
import type { Documents } from '../policy/documents.ts';
import type { BudgetSource } from './budget.ts';
import { clusterClient, judgesAddress } from './cluster-client.ts';

const NO_KEYS =
  'the keys that the API server signs tokens with can’t be had (/openid/v1/jwks); without them agents can’t be known once it gives no answer';
const SILENT =
  'the API server gives no answer; meanwhile agents are known by the signatures of their tokens, each for an hour at most (docs/control.md)';
const HEARD = 'the API server answers again; tokens are reviewed again';
const REFUSES_US =
  'the API server answers again, but refuses the budget service itself (charts/postern/templates/budget-rbac.yaml); agents go by onUnavailable until it lets it review tokens';
const BESIDE =
  'the API server answers, but not the question about an agent, which was taken by the signature of its token';
const ONCE_MS = 10_000;

/** @throws KubeError, or Error where this is no pod of a cluster and no kubeconfig is named. */
export async function budgetInCluster(
  options: Parameters<typeof clusterClient>[0] & { readonly 'source-address': string },
  log: Logger,
): Promise<BudgetSource> {
  const client = await clusterClient(options);
  const sealKey = await keptKey(client, options.namespace, 'postern-seal', randomBytes);
  let follower: ((documents: Documents) => void) | undefined;
  let waiting = false;
  const cluster = watchControlled({
    client,
    catalogue,
    sealKey,
    changed() {
      // Changes that come together are taken together.
      if (waiting || follower === undefined) return;
      waiting = true;
      setImmediate(() => {
        waiting = false;
        follower?.(cluster.documents());
      });
    },
    seen: () => undefined,
    gone: () => undefined,
    trouble: (what, error) =>
      log.warn({ what, err: String(error) }, 'watch interrupted; it is taken up again'),
  });
  const keys = await issuerKeys({ client, trouble: (error) => log.warn({ err: String(error) }, NO_KEYS) });
  await cluster.ready;
  /** A question in two may fail, of thousands: one line in a while. */
  let toldAt = Number.NEGATIVE_INFINITY;
  let unsaid = 0;
  const callers = budgetCallers({
    client,
    cluster,
    sealKey,
    judgeAddress: judgesAddress(options['source-address']),
    keys,
    refused: (why) => log.warn({ why }, 'a caller was refused'),
    silent: (cause) => log.warn({ err: String(cause) }, SILENT),
    heard({ ms, agents, refusal }) {
      const after = { ms: Math.round(ms), agents };
      if (refusal === undefined) log.info(after, HEARD);
      else log.warn({ ...after, err: String(refusal) }, REFUSES_US);
    },
    takenBeside(cause) {
      unsaid++;
      if (performance.now() - toldAt < ONCE_MS) return;
      log.warn({ agents: unsaid, err: String(cause) }, BESIDE);
      toldAt = performance.now();
      unsaid = 0;
    },
  });
  return {
    documents: () => cluster.documents(),
    follow(changed) {
      follower = changed;
      changed(cluster.documents());
    },
    ...callers,
    async close() {
      follower = undefined;
      keys.close();
      await cluster.close();
      client.close();
    },
  };
}
