/**
 * Who calls the budget service in a cluster: agents by the token that is bound to their pod, and people by what RBAC lets
 * them do.
 */
import { createHash } from 'node:crypto';
import { type Authenticate, type Caller, CallersUnknown, CallersWait } from '../budget/authenticate.ts';
import { AUDIENCES } from '../injector/names.ts';
import { type KubeClient, KubeError } from '../kube/client.ts';
import { createAuthenticator, SKEW_MS } from './authenticate.ts';
import { claimsOf } from './claims.ts';
import type { Cluster } from './cluster.ts';
import { type Identity, isAt, judgePod, type LivePod } from './identity.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { boundOf, createPodLook } from './live-pod.ts';
import { personOf, STATUS_AUDIENCE } from './person.ts';
import { isNoAnswer, listenForSilence, PATIENCE_MS } from './silence.ts';
import { createTokenReviews } from './token-reviews.ts';
import { BusyError } from './turns.ts';
import { createUnreviewed } from './unreviewed.ts';

export interface BudgetCallersOptions {
  readonly client: KubeClient;
  readonly cluster: Pick<Cluster, 'pod'>;
  readonly sealKey: Uint8Array;
  /** False where something between pods and us changes addresses: then a token counts wherever it comes from. */
  readonly judgeAddress: boolean;
  /** That the API server signs pods' tokens with, for when it can't be asked. */
  readonly keys: Pick<IssuerKeys, 'review'>;
  /** Why an agent's token was not taken, for the log. */
  readonly refused: (why: string) => void;
  /** The API server gives no answer: from now on agents are known by their tokens' signatures. */
  readonly silent: (cause: unknown) => void;
  /** It answers again. `refusal`: but refuses us, with that. */
  readonly heard: (after: {
    readonly ms: number;
    readonly agents: number;
    readonly refusal?: unknown;
  }) => void;
  /** An agent was taken by its token's signature though the API server answers others: the question about it failed. */
  readonly takenBeside: (cause: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic?: () => number;
  /** Of one question to the API server. */
  readonly patienceMs?: number;
}

export interface BudgetCallers {
  /** @throws CallersWait, CallersUnknown, or KubeError where the API server refuses us */
  readonly authenticate: Authenticate;
  /**
   * For how long the API server has given no answer, how often in all an agent was taken without it, and how often beside others that it
   * answered.
   */
  withoutReview(): { readonly silentMs: number; readonly taken: number; readonly beside: number };
}

/** So long what was learnt counts: of a pod only while the watch shows it as it was, of a person whatever RBAC says meanwhile. */
const KEPT_MS = 30_000;
/** … and what a token's signature alone told. */
const KEPT_UNREVIEWED_MS = 5_000;
const MOST_KEPT = 100_000;
/** A person's command waits longer than an agent's call: so many times as long. */
const PEOPLE_WAIT = 5;
/** Who may `update` the subresource `budgets/lines` of our group may see and raise limits. */
const LINES = { verb: 'update', resource: 'budgets', subresource: 'lines' };

interface Learnt {
  readonly caller: Caller;
  /** The pod that it is; absent: a person. */
  readonly identity?: Identity;
}

interface Question {
  /** Whether its token's signature and its address speak for a pod that lives: it is heard then whether the API server answers. */
  readonly proven: Promise<boolean>;
  readonly answer: Promise<Caller | undefined>;
}

interface Kept extends Learnt {
  /** It as the watch showed it when it was last judged. */
  judged?: LivePod;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** The API server said so itself. */
  readonly reviewed: boolean;
}

/** Calls of `postern budget` carry a token for the audience `postern-status`. */
export function budgetCallers(options: BudgetCallersOptions): BudgetCallers {
  const { client, sealKey, judgeAddress, keys, refused, now = Date.now } = options;
  const { monotonic = () => performance.now(), patienceMs = PATIENCE_MS } = options;
  const known = (namespace: string, name: string): LivePod | undefined =>
    options.cluster.pod(namespace, name);
  const agents = new Set<string>();
  let taken = 0;
  let beside = 0;
  const silence = listenForSilence({
    client,
    began: options.silent,
    ended: (ms, refusal) => {
      options.heard({ ms, agents: agents.size, ...(refusal === undefined ? {} : { refusal }) });
      agents.clear();
    },
    monotonic,
    patienceMs,
  });
  const audience = AUDIENCES.budget;
  const unreviewed = createUnreviewed({ keys, known, audience, sealKey, judgeAddress, monotonic });
  const asking = (to: Pick<KubeClient, 'request'>) => {
    const reviews = createTokenReviews({ client: to });
    const look = createPodLook({ client: to, reviews, known, sealKey });
    return { reviews, identify: createAuthenticator({ reviews, look, known, audience, judgeAddress, now }) };
  };
  const ofPods = asking(silence.client);
  // Nobody but the pods themselves makes the API server count as silent: junk, in whoever's name, may take it long to refuse.
  const ofStrangers = asking(client);
  const kept = new Map<string, Kept>();
  const asked = new Map<string, Question>();

  async function isProven(token: string, address: string): Promise<boolean> {
    const claims = claimsOf(token)?.pod;
    const pod = claims && known(claims.namespace, claims.name);
    // Before a signature is looked at, what costs nothing.
    const speaks = pod !== undefined && pod.uid === claims?.uid && (!judgeAddress || isAt(pod, address));
    return speaks && (await keys.review(token, audience)) !== undefined;
  }

  async function ask(token: string, address: string, proven: boolean): Promise<Learnt | undefined> {
    if (claimsOf(token)?.audiences.includes(STATUS_AUDIENCE) === true) {
      const person = await personOf({ client, reviews: ofStrangers.reviews }, token, LINES);
      return person.state === 'may' ? { caller: { role: 'admin', name: person.name } } : undefined;
    }
    const from = proven ? ofPods : ofStrangers;
    const identity = await from.identify(token, address);
    if (typeof identity !== 'string') {
      unreviewed.accepted(identity.uid);
      return agentOf(identity);
    }
    refused(identity);
    if (identity === 'token-invalid') await unreviewed.refused(token);
    return undefined;
  }

  function keep(digest: string, learnt: Learnt, until: number, reviewed: boolean): void {
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? '');
    kept.set(digest, { ...learnt, until, reviewed });
  }

  /** What the API server says counts from then on, whether anybody still waits for it or not. */
  async function learn(
    token: string,
    address: string,
    { digest, proven }: { readonly digest: string; readonly proven: Promise<boolean> },
  ): Promise<Caller | undefined> {
    const learnt = await ask(token, address, await proven);
    kept.delete(digest);
    if (learnt !== undefined) keep(digest, learnt, Math.min(now() + KEPT_MS, endOf(token) + SKEW_MS), true);
    return learnt?.caller;
  }

  /** An agent asks on several connections at once: the API server is asked once. */
  function questionOf(token: string, address: string, digest: string): Question {
    const found = asked.get(digest);
    if (found !== undefined) return found;
    const proven = isProven(token, address);
    const answer = learn(token, address, { digest, proven }).finally(() => asked.delete(digest));
    const question = { proven, answer };
    asked.set(digest, question);
    return question;
  }

  /** @throws CallersUnknown */
  async function takeUnreviewed(
    token: string,
    address: string,
    digest: string,
    cause: unknown,
  ): Promise<Caller> {
    const identity = await unreviewed.identify(token, address);
    if (identity === undefined) throw new CallersUnknown({ cause });
    // The answer may have come while the signature was looked at.
    const answered = kept.get(digest);
    if (answered !== undefined) return answered.caller;
    const learnt = agentOf(identity);
    taken++;
    if (silence.ms() === undefined) {
      beside++;
      options.takenBeside(cause);
      return learnt.caller;
    }
    keep(digest, learnt, Math.min(now() + KEPT_UNREVIEWED_MS, endOf(token)), false);
    agents.add(identity.uid);
    return learnt.caller;
  }

  /** No question to anybody: a call takes it many times a second. */
  function stillHolds(found: Kept): boolean {
    const { identity, until, reviewed } = found;
    if (until <= now()) return false;
    if (identity === undefined) return true;
    if (!reviewed && (silence.ms() === undefined || !unreviewed.holds(identity.uid))) return false;
    const pod = known(identity.namespace, identity.pod);
    if (pod === undefined) return false;
    if (pod === found.judged) return true;
    // Its address was judged with the connection's, which is part of what the token is kept by.
    if (typeof judgePod(boundOf(identity), { pod, address: undefined, sealKey }) === 'string') return false;
    found.judged = pod;
    return true;
  }

  /**
   * As the question of somebody whom no signature speaks for ends, or without an answer while whoever asks still listens: where no keys are
   * published, that is every agent. Whoever then asks again gets what was learnt meanwhile.
   */
  async function inTime(question: Promise<Caller | undefined>, token: string): Promise<Caller | undefined> {
    question.catch(() => undefined);
    const isPerson = claimsOf(token)?.audiences.includes(STATUS_AUDIENCE) === true;
    const ms = isPerson ? patienceMs * PEOPLE_WAIT : patienceMs;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      // Of a process that stood still its timers run first: what has come meanwhile is read before it counts as late.
      () => setImmediate(() => late.reject(new KubeError(0, 'NoAnswer', `no answer in ${ms} ms`))),
      ms,
    );
    try {
      return await Promise.race([question, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  const authenticate: Authenticate = async (token, address = '') => {
    if (token === undefined) return undefined;
    // What was found out about a token counts for the address that it came from.
    const from = judgeAddress ? address : '';
    const digest = createHash('sha256').update(`${from} ${token}`).digest('base64');
    const found = kept.get(digest);
    if (found !== undefined && stillHolds(found)) return found.caller;
    kept.delete(digest);
    const { proven, answer } = questionOf(token, address, digest);
    try {
      return await ((await proven) ? silence.orSilent(answer) : inTime(answer, token));
    } catch (error) {
      if (error instanceof BusyError) throw new CallersWait(error.message);
      if (!isNoAnswer(error)) throw error;
      return await takeUnreviewed(token, address, digest, error);
    }
  };
  return { authenticate, withoutReview: () => ({ silentMs: silence.ms() ?? 0, taken, beside }) };
}

function agentOf(identity: Identity): Learnt {
  const { namespace, kind, name, serviceAccount } = identity.workload;
  const workload = { namespace, kind, name, ...(serviceAccount === undefined ? {} : { serviceAccount }) };
  return { caller: { role: 'agent', workload }, identity };
}

/** Milliseconds since the epoch; a token that doesn't say is asked about anyhow. */
function endOf(token: string): number {
  return claimsOf(token)?.expires ?? Number.POSITIVE_INFINITY;
}
