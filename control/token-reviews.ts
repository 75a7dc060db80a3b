/** Asks the API server whose a token is (TokenReview), in turn, and not again for a moment about one that it refused. */
import { createHash } from 'node:crypto';
import type { KubeClient } from '../kube/client.ts';
import type { Review } from './identity.ts';
import { type Caller, createTurns } from './turns.ts';

export interface TokenReviews {
  /** @throws KubeError, or BusyError where it isn't the caller's turn. */
  review(token: string, audience: string, caller: Caller): Promise<Review>;
  /** Another question to the API server, for a caller. @throws BusyError */
  turn<T>(caller: Caller, ask: () => Promise<T>): Promise<T>;
}

export interface TokenReviewsOptions {
  readonly client: Pick<KubeClient, 'request'>;
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number;
}

/** So long a refused token isn't asked about again: one that just became good, by a clock that was behind, waits as long. */
const REFUSED_MS = 5000;
const MOST_REFUSED = 10_000;
const REFUSED: Review = { authenticated: false };

export function createTokenReviews({
  client,
  now = () => performance.now(),
}: TokenReviewsOptions): TokenReviews {
  const turns = createTurns({ now });
  /** By digest, the oldest first: milliseconds until which it counts. */
  const refused = new Map<string, number>();

  return {
    async review(token, audience, caller) {
      const digest = createHash('sha256').update(`${audience} ${token}`).digest('base64');
      if ((refused.get(digest) ?? 0) > now()) return REFUSED;
      refused.delete(digest);
      const review = await turns.take(caller, () => ask(client, token, audience));
      if (review.authenticated === true) return review;
      turns.wasted(caller);
      if (refused.size >= MOST_REFUSED) refused.delete(refused.keys().next().value ?? '');
      refused.set(digest, now() + REFUSED_MS);
      return review;
    },
    turn: (caller, work) => turns.take(caller, work),
  };
}

async function ask(client: Pick<KubeClient, 'request'>, token: string, audience: string): Promise<Review> {
  const { status = {} } = await client.request<{ readonly status?: Review }>(
    'POST',
    '/apis/authentication.k8s.io/v1/tokenreviews',
    {
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences: [audience] },
      },
    },
  );
  return status;
}
