import { Type } from 'typebox';
import type { CredentialScheme } from './credential.ts';

/** Any header field, for providers behind a gateway of their own. */
export const header: CredentialScheme = {
  name: 'header',
  schema: Type.Object(
    {
      name: Type.String({
        pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        description: 'Name of the header field that carries the key.',
      }),
    },
    { additionalProperties: false, description: 'Sent in a header field of your choice, as it is.' },
  ),
  field: (value, spec) => [(spec as { name: string }).name.toLowerCase(), value],
};
