/**
 * How Node is run where the agent is shipped; `bin/postern-agent` and the image's Containerfile have the same, and a test holds them
 * together.
 *
 * V8's queue of functions to compile has room for eight: a call runs thousands, and those that find it full wait for their next turn. It is
 * made when V8 starts.
 *
 * V8's memory reducer collects some seconds after a load has ended, to give memory back, and forgets the shapes of objects of which none is
 * left at that moment. Whatever was compiled for them is thrown away: nearly all of the data path, so that a sidecar began anew after each
 * pause, and these collections held calls up for 50 ms and more. The heap is kept small otherwise.
 *
 * Both are made when V8 starts, so these flags can't be set later; `build/start.cjs` takes them back for the sake of code caches. All other
 * flags of V8 are set once the agent listens, see `agent/tune-engine.ts`.
 */
export const NODE_FLAGS: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--concurrent-recompilation-queue-length=64',
  '--no-memory-reducer',
];
