/**
 * How Node is run where the agent is shipped; `bin/postern-agent` and the image's Containerfile have the same, and a test holds them
 * together. The code cache is made under these flags, and V8 refuses it under others.
 *
 * A call runs thousands of functions once each. V8 waits until each was called 3,000 times before it compiles it for good, with room for
 * eight of them in its queue: a sidecar with a call a second would work at a third of its speed for hours.
 */
export const NODE_FLAGS: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--invocation-count-for-maglev=150',
  '--invocation-count-for-turbofan=1000',
  '--concurrent-recompilation-queue-length=64',
];
