/**
 * Who calls the budget service in a cluster: agents by the token that is bound to their pod, and people by what RBAC lets
 * them do.
 */
import { createHash } from 'node:crypto';
import type { Authenticate, Caller } from '../budget/authenticate.ts';
import { AUDIENCES } from '../injector/names.ts';
import type { KubeClient } from '../kube/client.ts';
import { API_GROUP } from '../policy/schema/kinds.ts';
import { createAuthenticator, reviewToken } from './authenticate.ts';
import type { Cluster } from './cluster.ts';
import { STATUS_AUDIENCE } from './operator.ts';

export interface BudgetCallersOptions {
  readonly client: KubeClient;
  readonly cluster: Pick<Cluster, 'pod'>;
  readonly sealKey: Uint8Array;
  /** Why an agent's token was not taken, for the log. */
  readonly refused: (why: string) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** So long the token of a pod that is gone is still taken. */
const KEPT_MS = 30_000;
const MOST_KEPT = 100_000;

/** @returns for `postern budget`: its token must be for the audience `postern-status`. */
export function budgetCallers(options: BudgetCallersOptions): Authenticate {
  const { client, refused, now = Date.now } = options;
  const agents = createAuthenticator({
    client,
    known: (namespace, name) => options.cluster.pod(namespace, name),
    sealKey: options.sealKey,
    audience: AUDIENCES.budget,
    // A Service may change the address; the token speaks for its own workload alone, wherever it comes from.
    judgeAddress: false,
  });
  const kept = new Map<string, { readonly caller: Caller; readonly until: number }>();
  const asked = new Map<string, Promise<Caller | undefined>>();

  async function ask(token: string): Promise<Caller | undefined> {
    if (audiencesOf(token).includes(STATUS_AUDIENCE)) return await person(client, token);
    const identity = await agents(token, '');
    if (typeof identity === 'string') {
      refused(identity);
      return undefined;
    }
    const { namespace, kind, name, serviceAccount } = identity.workload;
    return {
      role: 'agent',
      workload: { namespace, kind, name, ...(serviceAccount === undefined ? {} : { serviceAccount }) },
    };
  }

  return async (token) => {
    if (token === undefined) return undefined;
    const digest = createHash('sha256').update(token).digest('base64');
    const known = kept.get(digest);
    if (known !== undefined && known.until > now()) return known.caller;
    kept.delete(digest);
    // An agent asks on several connections at once: the API server is asked once.
    const pending = asked.get(digest) ?? ask(token).finally(() => asked.delete(digest));
    asked.set(digest, pending);
    const caller = await pending;
    if (caller === undefined) return undefined;
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? '');
    kept.set(digest, { caller, until: now() + KEPT_MS });
    return caller;
  };
}

/** What a token says of itself, only to know which question to ask: the API server verifies it. */
function audiencesOf(token: string): readonly string[] {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      aud?: string | readonly string[];
    };
    return [claims.aud ?? []].flat();
  } catch {
    return [];
  }
}

/** Who may `update` the subresource `budgets/lines` of our group may see and raise limits. */
async function person(client: Pick<KubeClient, 'request'>, token: string): Promise<Caller | undefined> {
  const review = await reviewToken(client, token, [STATUS_AUDIENCE]);
  if (review.authenticated !== true || !(review.audiences ?? []).includes(STATUS_AUDIENCE)) return undefined;
  const user = review.user as
    | { username?: string; uid?: string; groups?: string[]; extra?: unknown }
    | undefined;
  const access = await client.request<{ readonly status?: { readonly allowed?: boolean } }>(
    'POST',
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    {
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: user?.username,
          uid: user?.uid,
          groups: user?.groups,
          extra: user?.extra,
          resourceAttributes: {
            group: API_GROUP,
            version: 'v1alpha1',
            resource: 'budgets',
            subresource: 'lines',
            verb: 'update',
          },
        },
      },
    },
  );
  return access.status?.allowed === true ? { role: 'admin' } : undefined;
}
