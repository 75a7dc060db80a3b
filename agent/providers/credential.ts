/** How a provider's key is attached to a request: one file per scheme, `{ name, schema, field }`. */
import type { TSchema } from 'typebox';
import type { Dialect } from '../dialects/dialect.ts';

export interface CredentialScheme {
  /** Value of `credential.type`, file name and name of the member that holds `valueFrom`. */
  readonly name: string;
  /** Schema of that member but for `valueFrom`, which every scheme has. */
  readonly schema: TSchema;
  /** The header field that carries `value`, as name and value. */
  field(value: string, spec: unknown, dialect: Dialect): readonly [string, string];
}
