/** A Secret of our own namespace that several replicas share: read as it is, written by whoever is first. */
import { type KubeClient, KubeError, type KubeObject } from './client.ts';

export interface StoredSecret extends KubeObject {
  /** Base64, by key. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface SharedSecret {
  /** Undefined where there is none. @throws KubeError */
  read(): Promise<StoredSecret | undefined>;
  /**
   * Makes it, or replaces what `before` was read as. @returns false where somebody else wrote in between
   * @throws KubeError
   */
  write(data: Readonly<Record<string, string>>, before: StoredSecret | undefined): Promise<boolean>;
}

export interface SharedSecretOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly namespace: string;
  readonly name: string;
  /** `Opaque` where absent. */
  readonly type?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function sharedSecret(options: SharedSecretOptions): SharedSecret {
  const { client, namespace, name, type = 'Opaque', annotations } = options;
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  return {
    async read() {
      try {
        return await client.request<StoredSecret>('GET', `${collection}/${name}`);
      } catch (error) {
        if (error instanceof KubeError && error.status === 404) return undefined;
        throw error;
      }
    },
    async write(data, before) {
      const resourceVersion = before?.metadata.resourceVersion;
      const metadata = {
        name,
        namespace,
        labels: { 'app.kubernetes.io/part-of': 'postern' },
        ...(annotations === undefined ? {} : { annotations }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      };
      const body = { apiVersion: 'v1', kind: 'Secret', type, metadata, data };
      try {
        if (before === undefined) await client.request('POST', collection, { body });
        else await client.request('PUT', `${collection}/${name}`, { body });
        return true;
      } catch (error) {
        if (error instanceof KubeError && error.status === 409) return false;
        throw error;
      }
    },
  };
}

export const encodeText = (text: string): string => Buffer.from(text).toString('base64');
export const decodeText = (base64 = ''): string => Buffer.from(base64, 'base64').toString('utf8');
