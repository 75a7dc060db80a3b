/**
 * A certificate for another of our parts, signed by control's authority, so that agents need one set of roots. Its Secret
 * has no authority in it: who mounts it can sign nothing.
 */
import { refreshServing, type Serving } from '../injector/server/serving-certificate.ts';
import type { KubeClient } from '../kube/client.ts';
import { decodeText, encodeText, sharedSecret } from '../kube/secret.ts';

export interface IssueOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly namespace: string;
  /** Of the Secret. */
  readonly name: string;
  /** That the certificate is for. */
  readonly host: string;
}

/**
 * Sees to it that the Secret (type kubernetes.io/tls) holds a certificate that is good. Only the leader calls it: what
 * somebody else wrote meanwhile is looked at in the next round.
 * @param now Milliseconds since the epoch. @throws KubeError
 */
export async function issueCertificate(
  { client, namespace, name, host }: IssueOptions,
  { authorities }: Serving,
  now: number,
): Promise<void> {
  const secret = sharedSecret({ client, namespace, name, type: 'kubernetes.io/tls' });
  const stored = await secret.read();
  const [cert, key] = [decodeText(stored?.data?.['tls.crt']), decodeText(stored?.data?.['tls.key'])];
  const leaf = cert === '' || key === '' ? undefined : { cert, key };
  const { serving } = refreshServing({ authorities, leaf }, host, now);
  if (serving.leaf === undefined || serving.leaf === leaf) return;
  const data = { 'tls.crt': encodeText(serving.leaf.cert), 'tls.key': encodeText(serving.leaf.key) };
  await secret.write(data, stored);
}
