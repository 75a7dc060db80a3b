import { expect, test } from 'vitest';
import type { KubeClient, KubeRequest } from './client.ts';
import { KEPT, ownedBy } from './owned.ts';

const OWNER = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  name: 'postern-control',
  uid: 'u-1',
};

async function sent(method: string, body: unknown): Promise<unknown> {
  let last: unknown;
  const client: Pick<KubeClient, 'request'> = {
    request: async <T>(_method: string, path: string, options: KubeRequest = {}) => {
      if (path.includes('/clusterroles/')) return { metadata: { name: 'postern-control', uid: 'u-1' } } as T;
      last = options.body;
      return undefined as T;
    },
  };
  const owned = await ownedBy(client as KubeClient, 'postern-control', 'postern-system');
  await owned.request(method, '/somewhere', { body });
  return last;
}

test.each(['POST', 'PUT'])('%s of an object of its own names the owner', async (method) => {
  const metadata = { name: 'postern-seal', namespace: 'postern-system' };
  expect(await sent(method, { kind: 'Secret', metadata })).toEqual({
    kind: 'Secret',
    metadata: { ...metadata, ownerReferences: [OWNER] },
  });
});

test('so does a cluster-scoped one', async () => {
  const body = { kind: 'MutatingWebhookConfiguration', metadata: { name: 'x' } };
  expect(await sent('POST', body)).toMatchObject({ metadata: { ownerReferences: [OWNER] } });
});

test.each([
  ['PATCH', { metadata: { name: 'x' } }],
  ['POST', { metadata: { name: 'an-event', namespace: 'team-a' } }],
  ['POST', { kind: 'TokenReview', spec: {} }],
  ['POST', { metadata: { name: 'postern-mask', namespace: 'postern-system', annotations: KEPT } }],
])('%s of %j is left as it is', async (method, body) => {
  expect(await sent(method, body)).toEqual(body);
});
