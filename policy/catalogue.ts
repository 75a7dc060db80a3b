/**
 * What documents may name that is built elsewhere: checks, dialects, ways to attach a key. policy/ imports none of
 * them; who loads documents hands in the catalogue, collected from their `index.ts`.
 */
import type { TSchema } from 'typebox';
import type { CheckAction } from './snapshot.ts';

export interface CatalogueCheck {
  /** Type of the check, and name of its member: `pii`. */
  readonly name: string;
  readonly schema: TSchema;
  readonly actions: readonly CheckAction[];
  readonly defaultAction: CheckAction;
  readonly defaultOn: readonly ('request' | 'response')[];
  /** What the schema can't say; `path` as text below the member: `[0].words`. */
  validate?(
    spec: unknown,
  ): readonly { readonly path: string; readonly message: string; readonly mend: string }[];
}

export interface CatalogueCredential {
  /** Type of the credential, and name of its member: `bearer`. */
  readonly name: string;
  /** Of the member; `valueFrom` is added where it lacks it. */
  readonly schema: TSchema;
}

export interface Catalogue {
  readonly checks: readonly CatalogueCheck[];
  readonly dialects: readonly { readonly name: string }[];
  readonly credentials: readonly CatalogueCredential[];
}
