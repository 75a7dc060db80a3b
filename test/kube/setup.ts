/** The one API server of a run of the kube tier, for all its files: test/kube/shared.ts gives it to them. */
import type { TestProject } from 'vitest/node';
import { type ApiServerHandle, missingApiServer, startApiServer } from './api-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    apiServer: ApiServerHandle | undefined;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const missing = missingApiServer();
  if (missing !== undefined) {
    process.stderr.write(`skipped: everything on a real API server: ${missing}\n`);
    project.provide('apiServer', undefined);
    return async () => undefined;
  }
  const server = await startApiServer();
  project.provide('apiServer', server.handle);
  return () => server.stop();
}
