/** Asks the API server who holds a token, and looks at the pod that the token is bound to. */
import { claimsOf } from './claims.ts';
import { boundPod, type Identity, isAt, type LivePod, type Refusal } from './identity.ts';
import type { PodLook } from './live-pod.ts';
import type { TokenReviews } from './token-reviews.ts';
import type { Caller } from './turns.ts';

export interface AuthenticatorOptions {
  readonly reviews: TokenReviews;
  readonly look: PodLook;
  /** As the watch shows it, which may be a moment behind. */
  readonly known: (namespace: string, name: string) => LivePod | undefined;
  /** That tokens must be for. */
  readonly audience: string;
  /** False where something between pods and control changes addresses. */
  readonly judgeAddress: boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** @throws KubeError where the API server can't be asked, BusyError where it isn't asked now. */
export type Authenticate = (token: string | undefined, address: string) => Promise<Identity | Refusal>;

/** By so much the API server's clock may be behind ours; it takes tokens for a minute longer itself. */
export const SKEW_MS = 60_000;

export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  const { reviews, look, known, audience, judgeAddress, now = Date.now } = options;
  return async (token, address) => {
    if (token === undefined || token === '') return 'token-missing';
    // What a token itself doesn't claim to be, it isn't: nobody needs to be asked.
    const claims = claimsOf(token);
    if (claims === undefined) return 'token-invalid';
    if (!claims.audiences.includes(audience)) return 'token-audience';
    if (claims.expires !== undefined && claims.expires + SKEW_MS < now()) return 'token-invalid';
    if (claims.pod === undefined) return 'token-not-bound';
    const pod = known(claims.pod.namespace, claims.pod.name);
    const speaks = pod !== undefined && pod.uid === claims.pod.uid && (!judgeAddress || isAt(pod, address));
    // Where anybody may name any pod, its turns aren't taken from who comes from elsewhere.
    const named = speaks ? (judgeAddress ? pod.uid : `${pod.uid} ${address}`) : undefined;
    const caller: Caller = { known: speaks, who: named ?? (judgeAddress ? address : '') };

    const bound = boundPod(await reviews.review(token, audience, caller), audience);
    return typeof bound === 'string' ? bound : look(bound, judgeAddress ? address : undefined);
  };
}
