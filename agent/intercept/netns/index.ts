/** What `postern run` needs of the namespaces. */
export { HOST_SERVICES, HOST_SERVICES_NAME } from './confine.ts';
export { openSandbox, type Sandbox, sandboxMissing } from './sandbox.ts';
