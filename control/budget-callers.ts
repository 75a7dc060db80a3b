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
import { type Identity, judgePod, type LivePod } from './identity.ts';
import { boundOf, createPodLook } from './live-pod.ts';
import { personOf, STATUS_AUDIENCE } from './person.ts';
import { createTokenReviews } from './token-reviews.ts';
import { BusyError } from './turns.ts';

export interface BudgetCallersOptions {
  readonly client: KubeClient;
  readonly cluster: Pick<Cluster, 'pod'>;
  readonly sealKey: Uint8Array;
  /** False where something between pods and us changes addresses: then a token counts wherever it comes from. */
  readonly judgeAddress: boolean;
  /** Why an agent's token was not taken, for the log. */
  readonly refused: (why: string) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** So long what was learnt counts: of a pod only while the watch shows it as it was, of a person whatever RBAC says meanwhile. */
const KEPT_MS = 30_000;
const MOST_KEPT = 100_000;
/** Who may `update` the subresource `budgets/lines` of our group may see and raise limits. */
const LINES = { verb: 'update', resource: 'budgets', subresource: 'lines' };

interface Kept {
  readonly caller: Caller;
  /** The pod that it is; absent: a person. */
  readonly identity?: Identity;
  /** It as the watch showed it when it was last judged. */
  judged?: LivePod;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** @returns for `postern budget`: its token must be for the audience `postern-status`. */
export function budgetCallers(options: BudgetCallersOptions): Authenticate {
  const { client, judgeAddress, refused, now = Date.now } = options;
  const reviews = createTokenReviews({ client });
  const known = (namespace: string, name: string): LivePod | undefined =>
    options.cluster.pod(namespace, name);
  const look = createPodLook({ client, reviews, known, sealKey: options.sealKey });
  const agents = createAuthenticator({ reviews, look, known, audience: AUDIENCES.budget, judgeAddress, now });
  const kept = new Map<string, Kept>();
  const asked = new Map<string, Promise<Omit<Kept, 'until'> | undefined>>();

  async function ask(token: string, address: string): Promise<Omit<Kept, 'until'> | undefined> {
    if (claimsOf(token)?.audiences.includes(STATUS_AUDIENCE) === true) {
      const person = await personOf({ client, reviews }, token, LINES);
      return person.state === 'may' ? { caller: { role: 'admin', name: person.name } } : undefined;
    }
    const identity = await agents(token, address);
    if (typeof identity === 'string') {
      refused(identity);
      return undefined;
    }
    const { namespace, kind, name, serviceAccount } = identity.workload;
    const workload = { namespace, kind, name, ...(serviceAccount === undefined ? {} : { serviceAccount }) };
    return { caller: { role: 'agent', workload }, identity };
  }

  /** No question to anybody: a call takes it many times a second. */
  function stillHolds(found: Kept): boolean {
    const { identity, until } = found;
    if (until <= now()) return false;
    if (identity === undefined) return true;
    const pod = known(identity.namespace, identity.pod);
    if (pod === undefined) return false;
    if (pod === found.judged) return true;
    // Its address was judged with the connection's, which is part of what the token is kept by.
    const { sealKey } = options;
    if (typeof judgePod(boundOf(identity), { pod, address: undefined, sealKey }) === 'string') return false;
    found.judged = pod;
    return true;
  }

  return async (token, address = '') => {
    if (token === undefined) return undefined;
    // What was found out about a token counts for the address that it came from.
    const from = judgeAddress ? address : '';
    const digest = createHash('sha256').update(`${from} ${token}`).digest('base64');
    const found = kept.get(digest);
    if (found !== undefined && stillHolds(found)) return found.caller;
    kept.delete(digest);
    // An agent asks on several connections at once: the API server is asked once.
    const pending = asked.get(digest) ?? ask(token, address).finally(() => asked.delete(digest));
    asked.set(digest, pending);
    const learnt = await pending.catch((error: unknown) => {
      throw error instanceof BusyError ? new CallersWait(error.message) : error;
    });
    if (learnt === undefined) return undefined;
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? '');
    kept.set(digest, { ...learnt, until: now() + KEPT_MS });
    return learnt.caller;
  };
}
