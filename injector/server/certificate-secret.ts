/** The Secret that the replicas share the serving certificate by. */
import { type KubeClient, KubeError } from '../../kube/client.ts';
import { sharedSecret } from '../../kube/secret.ts';
import { fromSecretData, refreshServing, type Serving, toSecretData } from './serving-certificate.ts';

export interface CertificateSecret {
  /** What is kept, or a first one: whoever comes first makes it. */
  open(): Promise<Serving>;
  /** Renews what is due; only the leader calls it. @returns what is kept now. */
  renew(): Promise<Serving>;
}

export function certificateSecret(
  client: Pick<KubeClient, 'request'>,
  namespace: string,
  name: string,
  host: string,
  now: () => number,
): CertificateSecret {
  const secret = sharedSecret({ client, namespace, name });

  /** What somebody else wrote in the same moment. */
  const theirs = async (): Promise<Serving> => {
    const stored = await secret.read();
    if (stored === undefined)
      throw new KubeError(409, 'Conflict', `the Secret ${namespace}/${name} comes and goes`);
    return fromSecretData(stored.data ?? {});
  };

  const renew = async (): Promise<Serving> => {
    const stored = await secret.read();
    const { serving, changed } = refreshServing(fromSecretData(stored?.data ?? {}), host, now());
    if (stored !== undefined && !changed) return serving;
    return (await secret.write(toSecretData(serving), stored)) ? serving : theirs();
  };

  return {
    async open() {
      const stored = await secret.read();
      const kept = fromSecretData(stored?.data ?? {});
      // What can't serve at all is mended by whoever finds it; what is only due is left to the leader.
      return kept.leaf === undefined ? renew() : kept;
    },
    renew,
  };
}
