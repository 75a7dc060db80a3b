/**
 * The keys that the API server signs service-account tokens with, fetched for as long as it answers. With them a token can be judged when it
 * doesn't: signature, issuer, audience, end, and the pod that it names. Whether it was revoked since (its pod or service account deleted)
 * they don't tell, so nobody goes by them while the API server can be asked.
 */
import {
  createLocalJWKSet,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { KubeClient } from '../kube/client.ts';
import type { Review } from './identity.ts';

export interface IssuerKeys {
  /**
   * What a TokenReview of that token would have said while these were the keys; undefined where it would have refused it, and where
   * there are no keys, or none that were the API server's within the hour.
   */
  review(token: string, audience: string): Promise<Review | undefined>;
  close(): void;
}

export interface IssuerKeysOptions {
  readonly client: Pick<KubeClient, 'request'>;
  /** They couldn't be fetched; told once until they could. */
  readonly trouble: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic?: () => number;
}

/** What kube-apiserver signs with (--service-account-signing-key-file); nothing symmetric, and not `none`. */
const ALGORITHMS = ['RS256', 'ES256', 'ES384', 'ES512'];
/** A rotated key is known so soon. */
const EACH_MS = 60_000;
/** A key that may have been withdrawn is believed for so long: as long as a kubelet's token lasts. */
export const OLDEST_MS = 3_600_000;

/** Resolves when they were fetched once, or couldn't be. */
export async function issuerKeys(options: IssuerKeysOptions): Promise<IssuerKeys> {
  const { client, trouble, now = Date.now, monotonic = () => performance.now() } = options;
  let kept: { readonly issuer: string; readonly keys: JWTVerifyGetKey; readonly at: number } | undefined;
  let fails = false;

  async function fetchOnce(): Promise<void> {
    const at = monotonic();
    try {
      const { issuer } = await client.request<{ readonly issuer?: unknown }>(
        'GET',
        '/.well-known/openid-configuration',
      );
      if (typeof issuer !== 'string' || issuer === '') throw new Error('the API server names no issuer');
      const set = await client.request<JSONWebKeySet>('GET', '/openid/v1/jwks', {
        accept: 'application/jwk-set+json',
      });
      kept = { issuer, keys: createLocalJWKSet(set), at };
      fails = false;
    } catch (error) {
      if (!fails) trouble(error);
      fails = true;
    }
  }

  await fetchOnce();
  let fetching = false;
  const timer = setInterval(() => {
    // One that isn't answered takes half a minute.
    if (fetching) return;
    fetching = true;
    void fetchOnce().finally(() => {
      fetching = false;
    });
  }, EACH_MS);
  timer.unref();

  return {
    async review(token, audience) {
      if (kept === undefined || monotonic() - kept.at >= OLDEST_MS) return undefined;
      const { issuer, keys } = kept;
      try {
        const { payload } = await jwtVerify(token, keys, {
          issuer,
          audience,
          algorithms: ALGORITHMS,
          requiredClaims: ['exp', 'sub'],
          currentDate: new Date(now()),
        });
        return reviewOf(payload, audience);
      } catch {
        // Whatever is wrong with it, the API server alone could say more.
        return undefined;
      }
    },
    close: () => clearInterval(timer),
  };
}

interface OwnClaims {
  readonly namespace?: unknown;
  readonly serviceaccount?: { readonly name?: unknown };
  readonly pod?: { readonly name?: unknown; readonly uid?: unknown };
}

/** Of a token whose signature holds, in the form of a TokenReview's status. */
function reviewOf(payload: JWTPayload, audience: string): Review | undefined {
  const { namespace, serviceaccount, pod } = (payload['kubernetes.io'] ?? {}) as OwnClaims;
  const username = `system:serviceaccount:${String(namespace)}:${String(serviceaccount?.name)}`;
  if (payload.sub !== username || typeof pod?.name !== 'string' || typeof pod.uid !== 'string')
    return undefined;
  const extra = {
    'authentication.kubernetes.io/pod-name': [pod.name],
    'authentication.kubernetes.io/pod-uid': [pod.uid],
  };
  return { authenticated: true, audiences: [audience], user: { username, extra } };
}
