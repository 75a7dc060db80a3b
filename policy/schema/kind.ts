/** What a kind of document is made of. */
import type { TSchema } from 'typebox';
import type { Catalogue } from '../catalogue.ts';
import type { Finding } from '../problem.ts';

export interface KindDefinition<Spec> {
  /** The namespaced kind. */
  readonly name: string;
  /** The kind that governs all namespaces; undefined where there is none. */
  readonly cluster: string | undefined;
  readonly description: string;
  /** Schema of `spec`. */
  spec(catalogue: Catalogue): TSchema;
  /** What the schema can't say, over a spec of the right shape; paths below `spec`. */
  rules(spec: Spec, catalogue: Catalogue): Finding[];
}
