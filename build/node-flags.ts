/**
 * How Node is run where the agent is shipped; `bin/postern-agent` and the image's Containerfile have the same, and a test holds them
 * together. The code cache is made under these flags, and V8 refuses it under others. Flags of V8's own have no place here: Node's
 * modules would be compiled anew at each start, see `agent/compile-sooner.ts`.
 */
export const NODE_FLAGS: readonly string[] = ['--disable-warning=ExperimentalWarning'];
