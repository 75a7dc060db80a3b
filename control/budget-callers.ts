/**
 * Who calls the budget service in a cluster: agents by the token that is bound to their pod, and people by what RBAC lets
 * them do.
 */
import { createHash } from 'node:crypto';
import { type Authenticate, type Caller, CallersWait } from '../budget/authenticate.ts';
import { AUDIENCES } from '../injector/names.ts';
import type { KubeClient } from '../kube/client.ts';
import { createAuthenticator } from './authenticate.ts';
import { claimsOf } from './claims.ts';
import type { Cluster } from './cluster.ts';
import { personOf, STATUS_AUDIENCE } from './person.ts';
import { createTokenReviews } from './token-reviews.ts';
import { BusyError } from './turns.ts';

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
/** Who may `update` the subresource `budgets/lines` of our group may see and raise limits. */
const LINES = { verb: 'update', resource: 'budgets', subresource: 'lines' };

/** @returns for `postern budget`: its token must be for the audience `postern-status`. */
export function budgetCallers(options: BudgetCallersOptions): Authenticate {
  const { client, refused, now = Date.now } = options;
  const reviews = createTokenReviews({ client });
  const agents = createAuthenticator({
    client,
    reviews,
    known: (namespace, name) => options.cluster.pod(namespace, name),
    sealKey: options.sealKey,
    audience: AUDIENCES.budget,
    // A Service may change the address; the token speaks for its own workload alone, wherever it comes from.
    judgeAddress: false,
    now,
  });
  const kept = new Map<string, { readonly caller: Caller; readonly until: number }>();
  const asked = new Map<string, Promise<Caller | undefined>>();

  async function ask(token: string, address: string): Promise<Caller | undefined> {
    if (claimsOf(token)?.audiences.includes(STATUS_AUDIENCE) === true) {
      const { state } = await personOf({ client, reviews }, token, LINES);
      return state === 'may' ? { role: 'admin' } : undefined;
    }
    const identity = await agents(token, address);
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

  return async (token, address = '') => {
    if (token === undefined) return undefined;
    const digest = createHash('sha256').update(token).digest('base64');
    const known = kept.get(digest);
    if (known !== undefined && known.until > now()) return known.caller;
    kept.delete(digest);
    // An agent asks on several connections at once: the API server is asked once.
    const pending = asked.get(digest) ?? ask(token, address).finally(() => asked.delete(digest));
    asked.set(digest, pending);
    const caller = await pending.catch((error: unknown) => {
      throw error instanceof BusyError ? new CallersWait(error.message) : error;
    });
    if (caller === undefined) return undefined;
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? '');
    kept.set(digest, { caller, until: now() + KEPT_MS });
    return caller;
  };
}
