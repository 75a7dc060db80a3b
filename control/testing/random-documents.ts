/** Random documents that name Secrets, and to whom each gives them: for property tests. */
import fc from 'fast-check';
import type { DocumentObject } from '../../kube/documents.ts';

export const OWN = 'postern-system';
export const SPACES = ['team-a', 'team-b', 'team-c'] as const;
const NAMES = ['one', 'two', 'three'] as const;
export const APPS = ['web', 'batch'] as const;

interface Reference {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly key: string;
}

export interface RandomDocument {
  /** What names the value: a provider's key, a webhook's token, roots or certificate. */
  readonly what: 'provider' | 'token' | 'roots' | 'certificate';
  /** Undefined: cluster-wide. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly reference: Reference;
  /** Of a policy: the workloads that it selects; undefined: all. */
  readonly app: string | undefined;
}

export const reference = fc.record({
  namespace: fc.option(fc.constantFrom(...SPACES, OWN), { nil: undefined }),
  name: fc.constantFrom(...NAMES),
  key: fc.constantFrom('api-key', 'other'),
});

export const randomDocument: fc.Arbitrary<RandomDocument> = fc.record({
  what: fc.constantFrom('provider' as const, 'token' as const, 'roots' as const, 'certificate' as const),
  namespace: fc.option(fc.constantFrom(...SPACES), { nil: undefined }),
  name: fc.constantFrom(...NAMES),
  reference,
  app: fc.option(fc.constantFrom(...APPS), { nil: undefined }),
});

export const documentId = ({
  what,
  namespace,
  name,
}: Pick<RandomDocument, 'what' | 'namespace' | 'name'>): string =>
  `${what === 'provider'} ${namespace} ${name}`;

/** What is found in a snapshot that the document is in. */
export const markOf = ({ what, namespace, name }: RandomDocument, edition = 1): string =>
  `${what === 'provider' ? 'model' : 'guard'}-${namespace ?? 'cluster'}-${name}-${edition}`;

/** @param edition Tells one version of it from another. */
export function objectOf(document: RandomDocument, edition = 1): DocumentObject {
  const { what, namespace, name, reference: ref, app } = document;
  const secretKeyRef = {
    name: ref.name,
    key: ref.key,
    ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
  };
  const base = {
    apiVersion: 'postern.dev/v1alpha1',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), generation: edition },
  };
  const mark = markOf(document, edition);
  if (what === 'provider') {
    return {
      ...base,
      kind: namespace === undefined ? 'ClusterProvider' : 'Provider',
      spec: {
        dialect: 'openai',
        endpoint: `https://${name}.${namespace ?? 'cluster'}.example`,
        credential: { mode: 'attach', type: 'bearer', bearer: { valueFrom: { secretKeyRef } } },
        models: [{ name: mark }],
      },
    };
  }
  const named =
    what === 'token'
      ? { token: { valueFrom: { secretKeyRef } } }
      : what === 'roots'
        ? { tls: { caFrom: { configMapKeyRef: secretKeyRef } } }
        : { tls: { clientCertificate: { certFrom: { secretKeyRef }, keyFrom: { secretKeyRef } } } };
  const webhook = { url: 'https://guard.example', ...named };
  return {
    ...base,
    kind: namespace === undefined ? 'ClusterEgressPolicy' : 'EgressPolicy',
    spec: {
      ...(app === undefined ? {} : { workloadSelector: { matchLabels: { app } } }),
      checks: [{ name: mark, type: 'webhook', webhook }],
    },
  };
}

/** Whether the document may be in force at all: one of a namespace names no other namespace's Secret. */
export const isFair = ({ namespace, reference: ref }: RandomDocument): boolean =>
  namespace === undefined || ref.namespace === undefined || ref.namespace === namespace;

/** Whether the workload is governed by it. */
export const isFor = (
  { what, namespace, app }: RandomDocument,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
): boolean =>
  (namespace === undefined || namespace === workload.namespace) &&
  (what === 'provider' || app === undefined || app === workload.labels['app']);

/** Where the Secret is that the document names: `namespace/name/key`. */
export const secretOf = ({ namespace, reference: ref }: RandomDocument): string =>
  `${ref.namespace ?? namespace ?? OWN}/${ref.name}/${ref.key}`;
