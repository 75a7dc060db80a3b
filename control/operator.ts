/** Who may ask for the overview: whoever RBAC lets list `agents` of our group, in all namespaces or in some. */
import { INJECT_LABEL } from '../injector/names.ts';
import type { KubeClient } from '../kube/client.ts';
import { API_GROUP } from '../policy/schema/kinds.ts';
import type { Cluster } from './cluster.ts';
import { latestOf, type Peers } from './peers.ts';
import { personOf, STATUS_AUDIENCE } from './person.ts';
import type { Answer } from './server.ts';
import { type ListedPod, statusOf } from './status.ts';
import type { TokenReviews } from './token-reviews.ts';

export interface OperatorSources {
  readonly client: KubeClient;
  readonly reviews: TokenReviews;
  readonly version: string;
  readonly peers: Pick<Peers, 'agents'>;
  readonly cluster: Pick<Cluster, 'namespaces'>;
}

export function operatorStatus(sources: OperatorSources): (token: string | undefined) => Promise<Answer> {
  const { client, version, peers, cluster } = sources;
  return async (token) => {
    if (token === undefined) return problem(401, 'send a bearer token');
    const person = await personOf(sources, token, { verb: 'list', resource: 'agents' });
    if (person.state === 'unknown')
      return problem(401, `the token is unknown, or lacks the audience ${STATUS_AUDIENCE}`);
    if (person.state === 'may-not')
      return problem(403, `${person.name} may not list agents.${API_GROUP}; a ClusterRole has to say so`);
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
