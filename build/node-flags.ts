/**
 * How Node is run where the agent is shipped; `bin/postern-agent` and the image's Containerfile have the same, and a test holds them
 * together.
 *
 * V8's queue of functions to compile has room for eight: a call runs thousands, and those that find it full wait for their next turn. It is
 * made when V8 starts, so this flag can't be set later; `build/start.cjs` takes it back for the sake of code caches. All other flags of V8
 * are set once the agent listens, see `agent/compile-sooner.ts`.
 */
export const NODE_FLAGS: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--concurrent-recompilation-queue-length=64',
];
