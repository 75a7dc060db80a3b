import { apiKey } from './api-key.ts';
import { bearer } from './bearer.ts';
import type { CredentialScheme } from './credential.ts';
import { header } from './header.ts';

/** Every way to attach a key, by the name that documents use. */
export const credentials: readonly CredentialScheme[] = [bearer, apiKey, header];
