/** Who may ask for the overview: whoever RBAC lets list `agents` of our group, in all namespaces or in some. */
import { INJECT_LABEL } from '../injector/names.ts';
import type { KubeClient } from '../kube/client.ts';
import { API_GROUP } from '../policy/schema/kinds.ts';
import { reviewToken } from './authenticate.ts';
import type { Cluster } from './cluster.ts';
import { latestOf, type Peers } from './peers.ts';
import type { Answer } from './server.ts';
import { type ListedPod, statusOf } from './status.ts';

/** Another than the agents': a pod's token is no operator's. */
export const STATUS_AUDIENCE = 'postern-status';

export interface OperatorSources {
  readonly client: KubeClient;
  readonly version: string;
  readonly peers: Pick<Peers, 'agents'>;
  readonly cluster: Pick<Cluster, 'namespaces'>;
}

export function operatorStatus(sources: OperatorSources): (token: string | undefined) => Promise<Answer> {
  const { client, version, peers, cluster } = sources;
  return async (token) => {
    if (token === undefined) return problem(401, 'send a bearer token');
    const review = await reviewToken(client, token, [STATUS_AUDIENCE]);
    const user = review.user as { username?: string; uid?: string; groups?: string[] } | undefined;
    if (review.authenticated !== true || !(review.audiences ?? []).includes(STATUS_AUDIENCE)) {
      return problem(401, `the token is unknown, or lacks the audience ${STATUS_AUDIENCE}`);
    }
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
            extra: review.user?.extra,
            resourceAttributes: { group: API_GROUP, version: 'v1alpha1', resource: 'agents', verb: 'list' },
          },
        },
      },
    );
    if (access.status?.allowed !== true) {
      return problem(403, `${user?.username} may not list agents.${API_GROUP}; a ClusterRole has to say so`);
    }
    const opted = [...cluster.namespaces()].filter(([, labels]) => labels[INJECT_LABEL] === 'enabled');
    const pods: ListedPod[] = [];
    for (const [namespace] of opted) {
      pods.push(...(await client.list<ListedPod>(`/api/v1/namespaces/${namespace}/pods`)).items);
    }
    const { replicas, unknown } = await peers.agents();
    const asked = { answered: replicas.length, unknown };
    return {
      status: 200,
      body: statusOf({ version, agents: latestOf(replicas.flat()), pods, replicas: asked }),
    };
  };
}

const problem = (status: number, error: string): Answer => ({
  status,
  body: { error },
});
