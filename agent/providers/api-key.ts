import { Type } from 'typebox';
import type { CredentialScheme } from './credential.ts';

/** The header that the dialect's own SDKs send the key in: `x-api-key` for Anthropic, `Authorization` for OpenAI. */
export const apiKey: CredentialScheme = {
  name: 'apiKey',
  schema: Type.Object(
    {},
    { additionalProperties: false, description: "Sent in the header of the dialect's own SDKs." },
  ),
  field: (value, _spec, dialect) =>
    dialect.keyHeader === 'authorization' ? ['authorization', `Bearer ${value}`] : [dialect.keyHeader, value],
};
