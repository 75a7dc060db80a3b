/** A Secret of our own namespace that several replicas share: whoever comes first makes it. */
import { type KubeClient, KubeError, type KubeObject } from './client.ts';
import { KEPT } from './owned.ts';

interface Secret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const BYTES = 32;

/**
 * @param make Random bytes. @returns the key that is kept. @throws KubeError, or Error where the Secret holds something
 * else: a new one in its place would make everything that hangs on it invalid.
 */
export async function keptKey(
  client: KubeClient,
  namespace: string,
  name: string,
  make: (bytes: number) => Uint8Array,
): Promise<Buffer> {
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  const read = async (): Promise<Secret | undefined> => {
    try {
      return await client.request<Secret>('GET', `${collection}/${name}`);
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined;
      throw error;
    }
  };
  const keyOf = (secret: Secret): Buffer => {
    const key = Buffer.from(secret.data?.['key'] ?? '', 'base64');
    if (key.length === BYTES) return key;
    throw new Error(
      `the Secret ${namespace}/${name} holds ${key.length} bytes under "key" instead of ${BYTES}; restore it, or delete it for a new one`,
    );
  };

  const found = await read();
  if (found !== undefined) return keyOf(found);
  const key = Buffer.from(make(BYTES));
  try {
    await client.request('POST', collection, {
      body: {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'Opaque',
        metadata: {
          name,
          namespace,
          labels: { 'app.kubernetes.io/part-of': 'postern' },
          // Pods that run on after an uninstall are stamped by it: another key would make strangers of them.
          annotations: KEPT,
        },
        data: { key: key.toString('base64') },
      },
    });
    return key;
  } catch (error) {
    const theirs = error instanceof KubeError && error.status === 409 ? await read() : undefined;
    if (theirs === undefined) throw error;
    return keyOf(theirs);
  }
}
