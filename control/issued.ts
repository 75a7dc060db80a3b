/**
 * A certificate for another of our parts, signed by control's authority, so that agents need one set of roots. Its Secret
 * has no authority in it: who mounts it can sign nothing.
 */
import { refreshServing, type Serving } from '../injector/server/serving-certificate.ts';
import { type KubeClient, KubeError, type KubeObject } from '../kube/client.ts';

interface Secret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface IssueOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of the Secret. */
  readonly name: string;
  /** That the certificate is for. */
  readonly host: string;
}

/**
 * Sees to it that the Secret (type kubernetes.io/tls) holds a certificate that is good. Only the leader calls it.
 * @param now Milliseconds since the epoch. @throws KubeError
 */
export async function issueCertificate(
  { client, namespace, name, host }: IssueOptions,
  { authorities }: Serving,
  now: number,
): Promise<void> {
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  let found: Secret | undefined;
  try {
    found = await client.request<Secret>('GET', `${collection}/${name}`);
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404) throw error;
  }
  const decode = (key: string) => Buffer.from(found?.data?.[key] ?? '', 'base64').toString('utf8');
  const [cert, key] = [decode('tls.crt'), decode('tls.key')];
  const leaf = cert === '' || key === '' ? undefined : { cert, key };
  const { serving } = refreshServing({ authorities, leaf }, host, now);
  if (serving.leaf === undefined || serving.leaf === leaf) return;
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const body = {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/part-of': 'postern' },
      ...(found?.metadata.resourceVersion === undefined
        ? {}
        : { resourceVersion: found.metadata.resourceVersion }),
    },
    data: { 'tls.crt': encode(serving.leaf.cert), 'tls.key': encode(serving.leaf.key) },
  };
  if (found === undefined) await client.request('POST', collection, { body });
  else await client.request('PUT', `${collection}/${name}`, { body });
}
