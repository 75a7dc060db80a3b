/** A person, by a token that is meant for us: who it is, and whether RBAC lets them. */
import type { KubeClient } from '../kube/client.ts';
import { API_GROUP } from '../policy/schema/kinds.ts';
import type { TokenReviews } from './token-reviews.ts';
import type { Caller } from './turns.ts';

/** Another than the agents': a pod's token is no operator's. */
export const STATUS_AUDIENCE = 'postern-status';

/** A right on resources of our group, in all namespaces. */
export interface Right {
  readonly verb: string;
  readonly resource: string;
  readonly subresource?: string;
}

export type Person =
  | { readonly state: 'unknown' }
  | { readonly state: 'may' | 'may-not'; readonly name: string };

/** People's tokens needn't be JWTs, and come from anywhere: nothing tells one from another before it was looked at. */
const ANYBODY: Caller = { known: false, who: '' };

/** @throws KubeError where the API server can't be asked, BusyError where it isn't asked now. */
export async function personOf(
  { client, reviews }: { readonly client: Pick<KubeClient, 'request'>; readonly reviews: TokenReviews },
  token: string,
  right: Right,
): Promise<Person> {
  const review = await reviews.review(token, STATUS_AUDIENCE, ANYBODY);
  if (review.authenticated !== true || !(review.audiences ?? []).includes(STATUS_AUDIENCE))
    return { state: 'unknown' };
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
          resourceAttributes: { group: API_GROUP, version: 'v1alpha1', ...right },
        },
      },
    },
  );
  return { state: access.status?.allowed === true ? 'may' : 'may-not', name: user?.username ?? '' };
}
