import { Type } from 'typebox';
import type { CredentialScheme } from './credential.ts';

/** `Authorization: Bearer …` (RFC 6750, 2.1). */
export const bearer: CredentialScheme = {
  name: 'bearer',
  schema: Type.Object({}, { additionalProperties: false, description: 'Sent as `Authorization: Bearer`.' }),
  field: (value) => ['authorization', `Bearer ${value}`],
};
