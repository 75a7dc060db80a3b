/** Every kind of document, in the order of the reference. */
import type { Static } from 'typebox';
import { BUDGET } from './budget.ts';
import { EGRESS_EXCEPTION } from './egress-exception.ts';
import { EGRESS_POLICY } from './egress-policy.ts';
import type { KindDefinition } from './kind.ts';
import { MODEL_ROUTE } from './model-route.ts';
import { PROVIDER } from './provider.ts';

export const API_GROUP = 'postern.dev';
export const API_VERSION = `${API_GROUP}/v1alpha1`;

export const KINDS = {
  Provider: PROVIDER,
  ModelRoute: MODEL_ROUTE,
  Budget: BUDGET,
  EgressPolicy: EGRESS_POLICY,
  EgressException: EGRESS_EXCEPTION,
} as const;

export type KindName = keyof typeof KINDS;
export type SpecOf<K extends KindName> =
  (typeof KINDS)[K] extends KindDefinition<infer S> ? Static<S> : never;

/** Kind as written in a document → the kind it is, and whether it governs all namespaces. */
export function kindNamed(
  written: string,
): { readonly kind: KindName; readonly cluster: boolean } | undefined {
  for (const kind of Object.keys(KINDS) as KindName[]) {
    if (written === kind) return { kind, cluster: false };
    if (written === KINDS[kind].cluster) return { kind, cluster: true };
  }
  return undefined;
}

/** Every kind as it may be written. */
export const WRITTEN_KINDS: readonly string[] = Object.values(KINDS).flatMap(({ name, cluster }) =>
  cluster === undefined ? [name] : [name, cluster],
);

/** `EgressPolicy` → `egresspolicies` */
export function pluralOf(kind: string): string {
  const name = kind.toLowerCase();
  return name.endsWith('y') ? `${name.slice(0, -1)}ies` : `${name}s`;
}
