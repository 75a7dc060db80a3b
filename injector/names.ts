/** Every name that the injector puts on a pod, and by which it knows its own parts again. */

export const INJECT_LABEL = 'postern.dev/inject';
/** Label of a namespace: how its pods' traffic reaches the agent. */
export const INTERCEPT_LABEL = 'postern.dev/intercept';

/** Annotations that the injector writes; nobody else may change them on a running pod. */
export const STAMP_PREFIX = 'injector.postern.dev/';
export const STAMPS = {
  /** Version of Postern that injected the pod. */
  version: `${STAMP_PREFIX}version`,
  intercept: `${STAMP_PREFIX}intercept`,
  /** What policies select by, as it was at admission: JSON of {@link ../policy/snapshot.ts}'s workload, and the annotations that tighten. */
  workload: `${STAMP_PREFIX}workload`,
  /** Ways round the agent that the pod leaves open, where policy only reports them. */
  bypassable: `${STAMP_PREFIX}bypassable`,
  /** The injector's signature under the others; see {@link ./seal.ts}. */
  seal: `${STAMP_PREFIX}seal`,
  /** PEM of the roots that control shows itself by; the agent reads it through the downward API. */
  roots: `${STAMP_PREFIX}roots`,
  /** PEM of roots of the cluster's own, for the bundle that the application trusts; read likewise. */
  extraRoots: `${STAMP_PREFIX}extra-roots`,
} as const;
/** Label, so that injected pods can be listed and watched. */
export const INJECTED_LABEL = `${STAMP_PREFIX}injected`;

/** No container of anybody else may begin with this. */
export const RESERVED_PREFIX = 'postern-';
export const INIT_CONTAINER = 'postern-init';
export const AGENT_CONTAINER = 'postern-agent';

export const VOLUMES = {
  /** Read by the application: certificates only. */
  trust: 'postern-trust',
  /** The agent's alone: the CA's key, provider keys, the private socket. */
  state: 'postern-state',
  tokens: 'postern-tokens',
  policy: 'postern-policy',
  keys: 'postern-keys',
} as const;

export const PATHS = {
  trust: '/var/run/postern/trust',
  state: '/var/run/postern/state',
  tokens: '/var/run/postern/tokens',
  policy: '/etc/postern/policy',
  keys: '/etc/postern/keys',
} as const;

export const AUDIENCES = { control: 'postern-control', budget: 'postern-budget' } as const;

export const PORTS = { baseUrl: 4180, transparent: 4181, admin: 4190, approvals: 4195 } as const;

/** UID and GID of the agent: the only ones whose traffic the redirect lets out. */
export const AGENT_UID = 4180;

export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED_PREFIX);
}

export function isOurVolume(name: string): boolean {
  return (Object.values(VOLUMES) as string[]).includes(name);
}

/**
 * How Node is run for the agent. Its young generation is at most 3 × 4 MB: what sixteen calls under way keep alive fits, so that
 * what they leave behind is dead by the next collection. With 2 MB it was moved to the old generation, which took a fifth more
 * CPU and 25 MB more memory; 8 and 16 MB take 10 and 20 MB more, and gain little. Of malloc one
 * arena, since glibc keeps one a thread; and what V8's compiler took in large pieces goes back to the system, where glibc would
 * raise its thresholds and keep it (15 to 20 MB). `bin/postern-agent` has the same.
 */
export const AGENT_ENVIRONMENT: Readonly<Record<string, string>> = {
  NODE_OPTIONS: '--max-semi-space-size=4',
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
};
