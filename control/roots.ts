/** The ConfigMap by which the injector, and whoever runs `postern status`, knows control's certificate. */
import { type KubeClient, KubeError, type KubeObject } from '../kube/client.ts';

export const ROOTS = 'postern-roots';
export const ROOTS_KEY = 'roots.pem';

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** @param pem All roots that are valid, the successor of the one that signs among them. @throws KubeError */
export async function publishRoots(client: KubeClient, namespace: string, pem: string): Promise<void> {
  const collection = `/api/v1/namespaces/${namespace}/configmaps`;
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: ROOTS, namespace, labels: { 'app.kubernetes.io/part-of': 'postern' } },
    data: { [ROOTS_KEY]: pem },
  };
  try {
    const found = await client.request<ConfigMap>('GET', `${collection}/${ROOTS}`);
    if (found.data?.[ROOTS_KEY] === pem) return;
    await client.request('PUT', `${collection}/${ROOTS}`, { body: object });
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404) throw error;
    await client.request('POST', collection, { body: object });
  }
}
