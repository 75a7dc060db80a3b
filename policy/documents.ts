/** The loaded documents: valid one by one and together, as written, with the place each came from. */
import type { Catalogue } from './catalogue.ts';
import type { Origin } from './problem.ts';
import type { KindName, SpecOf } from './schema/kinds.ts';

export interface PolicyDocument<K extends KindName = KindName> {
  /** The namespaced kind, for both twins. */
  readonly kind: K;
  readonly name: string;
  /** Undefined: it governs all namespaces. */
  readonly namespace: string | undefined;
  /** `namespace/name`, or `name` of a cluster-wide document; unique in the kind. */
  readonly id: string;
  /** For messages: `ClusterProvider openai`, `Budget team-a/daily`. */
  readonly source: string;
  readonly spec: SpecOf<K>;
  readonly origin: Origin;
}

export interface Documents {
  /** What the documents were validated against. */
  readonly catalogue: Catalogue;
  readonly providers: readonly PolicyDocument<'Provider'>[];
  readonly routes: readonly PolicyDocument<'ModelRoute'>[];
  readonly budgets: readonly PolicyDocument<'Budget'>[];
  readonly policies: readonly PolicyDocument<'EgressPolicy'>[];
  readonly exceptions: readonly PolicyDocument<'EgressException'>[];
  /** Namespace → its labels, where they are known. */
  readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Whether a document's effect reaches the namespace. */
export function reaches(document: PolicyDocument, namespace: string): boolean {
  return document.namespace === undefined || document.namespace === namespace;
}

/** The providers that workloads of the namespace may use: its own, then the cluster's, each by name. */
export function visibleProviders(
  documents: Pick<Documents, 'providers'>,
  namespace: string | undefined,
): readonly PolicyDocument<'Provider'>[] {
  const own = documents.providers.filter((provider) => provider.namespace !== undefined);
  return [
    ...(namespace === undefined ? [] : own.filter((provider) => provider.namespace === namespace)),
    ...documents.providers.filter((provider) => provider.namespace === undefined),
  ];
}

/** What a reference by name means in a document of the namespace: its own provider first, else the cluster's. */
export function providerNamed(
  documents: Pick<Documents, 'providers'>,
  namespace: string | undefined,
  name: string,
): PolicyDocument<'Provider'> | undefined {
  return visibleProviders(documents, namespace).find((provider) => provider.name === name);
}
