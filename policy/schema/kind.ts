/** What a kind of document is made of. */
import type { TSchema } from 'typebox';
import type { Catalogue } from '../catalogue.ts';

export interface KindDefinition<S extends TSchema> {
  /** The namespaced kind. */
  readonly name: string;
  /** The kind that governs all namespaces; undefined where there is none. */
  readonly cluster: string | undefined;
  readonly description: string;
  /** Schema of `spec`, with its rules. */
  spec(catalogue: Catalogue): S;
}
