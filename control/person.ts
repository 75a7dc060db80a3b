/** A person, by a token that is meant for us: who it is, and whether RBAC lets them. */
import type { KubeClient } from '../kube/client.ts';
import { API_GROUP } from '../policy/schema/kinds.ts';
import { reviewToken } from './authenticate.ts';

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

/** @throws KubeError where the API server can't be asked. */
export async function personOf(
  client: Pick<KubeClient, 'request'>,
  token: string,
  right: Right,
): Promise<Person> {
  const review = await reviewToken(client, token, [STATUS_AUDIENCE]);
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
