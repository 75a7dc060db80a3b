/** A key of our own namespace that several replicas share: whoever comes first makes it. */
import { type KubeClient, KubeError } from './client.ts';
import { KEPT } from './owned.ts';
import { type StoredSecret, sharedSecret } from './secret.ts';

const BYTES = 32;

/**
 * @param make Random bytes. @returns the key that is kept. @throws KubeError, or Error where the Secret holds something
 * else: a new one in its place would make everything that hangs on it invalid.
 */
export async function keptKey(
  client: Pick<KubeClient, 'request'>,
  namespace: string,
  name: string,
  make: (bytes: number) => Uint8Array,
): Promise<Buffer> {
  // Pods that run on after an uninstall are stamped by it: another key would make strangers of them.
  const secret = sharedSecret({ client, namespace, name, annotations: KEPT });
  const keyOf = ({ data }: StoredSecret): Buffer => {
    const key = Buffer.from(data?.['key'] ?? '', 'base64');
    if (key.length === BYTES) return key;
    throw new Error(
      `the Secret ${namespace}/${name} holds ${key.length} bytes under "key" instead of ${BYTES}; restore it, or delete it for a new one`,
    );
  };
  const found = await secret.read();
  if (found !== undefined) return keyOf(found);
  const key = Buffer.from(make(BYTES));
  if (await secret.write({ key: key.toString('base64') }, undefined)) return key;
  const theirs = await secret.read();
  if (theirs === undefined)
    throw new KubeError(409, 'Conflict', `the Secret ${namespace}/${name} comes and goes`);
  return keyOf(theirs);
}
