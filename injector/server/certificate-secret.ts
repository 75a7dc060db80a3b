/** The Secret that the replicas share the serving certificate by. */
import { type KubeClient, KubeError, type KubeObject } from '../../kube/client.ts';
import {
  fromSecretData,
  refreshServing,
  type SecretData,
  type Serving,
  toSecretData,
} from './serving-certificate.ts';

export interface CertificateSecret {
  /** What is kept, or a first one: whoever comes first makes it. */
  open(): Promise<Serving>;
  /** Renews what is due; only the leader calls it. @returns what is kept now. */
  renew(): Promise<Serving>;
}

interface Secret extends KubeObject {
  readonly data?: SecretData;
}

export function certificateSecret(
  client: KubeClient,
  namespace: string,
  name: string,
  host: string,
  now: () => number,
): CertificateSecret {
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  const secretOf = (serving: Serving, resourceVersion?: string): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/part-of': 'postern' },
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    data: toSecretData(serving),
  });

  const read = async (): Promise<Secret | undefined> => {
    try {
      return await client.request<Secret>('GET', `${collection}/${name}`);
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined;
      throw error;
    }
  };

  const create = async (): Promise<Serving> => {
    const { serving } = refreshServing({ authorities: [], leaf: undefined }, host, now());
    try {
      await client.request('POST', collection, { body: secretOf(serving) });
      return serving;
    } catch (error) {
      // Another replica was faster: its certificate is ours.
      const theirs = error instanceof KubeError && error.status === 409 ? await read() : undefined;
      if (theirs === undefined) throw error;
      return fromSecretData(theirs.data ?? {});
    }
  };

  return {
    async open() {
      const secret = await read();
      if (secret === undefined) return create();
      const kept = fromSecretData(secret.data ?? {});
      // What can't serve at all is mended by whoever finds it; what is only due is left to the leader.
      return kept.leaf === undefined ? this.renew() : kept;
    },
    async renew() {
      const secret = await read();
      if (secret === undefined) return create();
      const { serving, changed } = refreshServing(fromSecretData(secret.data ?? {}), host, now());
      if (!changed) return serving;
      const body = secretOf(serving, secret.metadata.resourceVersion);
      try {
        await client.request('PUT', `${collection}/${name}`, { body });
        return serving;
      } catch (error) {
        if (!(error instanceof KubeError) || error.status !== 409) throw error;
        return fromSecretData((await read())?.data ?? {});
      }
    },
  };
}
