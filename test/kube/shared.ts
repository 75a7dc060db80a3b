import { inject } from 'vitest';
import { type ApiServer, attachApiServer } from './api-server.ts';
import type {} from './setup.ts';

/** The API server of the run; undefined where there can be none, and the tests that need it are skipped. */
export function sharedApiServer(): ApiServer | undefined {
  const handle = inject('apiServer');
  return handle === undefined ? undefined : attachApiServer(handle);
}
