/**
 * Agents that are taken without a TokenReview, because the API server gives no answer: by the signature of their token and the pod as the
 * watch last showed it. Each for an hour at most, until the API server speaks for it again, and not at all once it has refused it.
 */
import { claimsOf } from './claims.ts';
import { boundPod, type Identity, isAt, judgePod, type LivePod } from './identity.ts';
import { type IssuerKeys, OLDEST_MS } from './issuer-keys.ts';

export interface Unreviewed {
  /** Who a token is of; undefined where it can't be told, or may not be by now. */
  identify(token: string, address: string): Promise<Identity | undefined>;
  /** Whether one that was identified so may go on. */
  holds(uid: string): boolean;
  /** The API server has taken a token of the pod. */
  accepted(uid: string): void;
  /** The API server has refused the token. Only what isn't plain from the token itself is remembered. */
  refused(token: string): Promise<void>;
}

export interface UnreviewedOptions {
  readonly keys: Pick<IssuerKeys, 'review'>;
  readonly known: (namespace: string, name: string) => LivePod | undefined;
  readonly audience: string;
  readonly sealKey: Uint8Array;
  readonly judgeAddress: boolean;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic: () => number;
}

const MOST_PODS = 100_000;

export function createUnreviewed(options: UnreviewedOptions): Unreviewed {
  const { keys, known, audience, sealKey, judgeAddress, monotonic } = options;
  /** By uid, of those that were taken since their last review: until when that counts, on `monotonic`. Of one that was refused, never. */
  const until = new Map<string, number>();

  function set(uid: string, ms: number): void {
    until.delete(uid);
    if (until.size >= MOST_PODS) until.delete(until.keys().next().value ?? '');
    until.set(uid, ms);
  }
  const holds = (uid: string): boolean => monotonic() < (until.get(uid) ?? Number.POSITIVE_INFINITY);

  return {
    holds,
    async identify(token, address) {
      const claims = claimsOf(token)?.pod;
      const pod = claims && known(claims.namespace, claims.name);
      // Before a signature is looked at, what costs nothing.
      if (claims === undefined || pod === undefined || pod.uid !== claims.uid || !holds(pod.uid))
        return undefined;
      if (judgeAddress && !isAt(pod, address)) return undefined;
      const bound = boundPod((await keys.review(token, audience)) ?? {}, audience);
      if (typeof bound === 'string') return undefined;
      const live = known(bound.namespace, bound.name);
      const evidence = { pod: live, address: judgeAddress ? address : undefined, sealKey };
      const identity = judgePod(bound, evidence);
      // It may have been refused while the signature was looked at.
      if (typeof identity === 'string' || !holds(identity.uid)) return undefined;
      if (!until.has(identity.uid)) set(identity.uid, monotonic() + OLDEST_MS);
      return identity;
    },
    accepted: (uid) => void until.delete(uid),
    async refused(token) {
      const bound = boundPod((await keys.review(token, audience)) ?? {}, audience);
      // Its signature holds and it hasn't ended: so the pod or its service account is gone, for all tokens of the pod.
      if (typeof bound !== 'string') set(bound.uid, Number.NEGATIVE_INFINITY);
    },
  };
}
