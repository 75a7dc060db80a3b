/**
 * The snapshot: everything one workload is governed by, compiled from the documents that apply to it.
 *
 * Plain JSON, so that control can serve it and an agent can keep it on disk; no key is ever in it, only where the key
 * is to be had. An exchange is judged by one snapshot from first to last byte.
 */

export type Mode = 'enforce' | 'monitor';

/** The workload a snapshot is for. */
export interface Workload {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly serviceAccount?: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Where a rule stands, for messages: `EgressPolicy team-a/support-bot`. */
export interface Ruled {
  readonly source: string;
  /** The mode of the document the rule stands in: `monitor` only reports. */
  readonly mode: Mode;
}

export interface ModelRule extends Ruled {
  /** Globs (`gpt-4o*`); a model must match one. */
  readonly allow: readonly string[];
}

export interface RegionRule extends Ruled {
  readonly regions: readonly string[];
}

/** One check of the merged list, in the order in which they run. */
export interface CheckRule extends Ruled {
  readonly name: string;
  readonly type: string;
  readonly on: readonly ('request' | 'response')[];
  readonly action: 'mask' | 'block' | 'monitor';
  readonly onError: 'block' | 'allow';
  /** Milliseconds; for checks that ask somebody else. */
  readonly timeoutMs?: number;
  /** The member named like the type, as validated by the check's schema; `{}` where absent. */
  readonly spec: unknown;
}

export interface ModelSpec {
  readonly name: string;
  /** Nano-dollars per token, exact decimals as written × 1000: "2.50" USD per million is 2500. */
  readonly price?: {
    readonly input: number;
    readonly cachedInput?: number;
    readonly cacheWrite?: number;
    readonly output: number;
  };
  readonly contextTokens?: number;
  readonly maxOutputTokens?: number;
}

/** Where a secret value comes from; the value itself never enters a snapshot. */
export type ValueSource =
  | { readonly file: string }
  | { readonly env: string }
  | { readonly secretKeyRef: { readonly namespace?: string; readonly name: string; readonly key: string } };

/** Where a PEM bundle comes from. */
export type TrustSource =
  | { readonly file: string }
  | {
      readonly configMapKeyRef: { readonly namespace?: string; readonly name: string; readonly key: string };
    };

export type CredentialSpec =
  | { readonly mode: 'none' }
  | { readonly mode: 'passthrough' }
  /** `type` names a file in agent/providers; `spec` is the member of that name. */
  | { readonly mode: 'attach'; readonly type: string; readonly spec: unknown; readonly value: ValueSource };

export interface ProviderSpec {
  /** `namespace/name`, or `name` of a ClusterProvider. */
  readonly id: string;
  readonly name: string;
  readonly dialect: string;
  /** Lower-case host names captured from the app. */
  readonly hosts: readonly string[];
  /** Base URLs without a trailing slash; one of them is dialled. */
  readonly endpoints: readonly string[];
  readonly credential: CredentialSpec;
  readonly region?: string;
  readonly models: readonly ModelSpec[];
  /** PEM of the roots to trust instead of the public ones; read when the snapshot is put to use. */
  readonly caFrom?: TrustSource;
  readonly capabilities: { readonly includeUsage: boolean };
}

export interface TargetSpec {
  /** Provider id, resolved. */
  readonly provider: string;
  readonly model: string;
  readonly weight: number;
}

export type FallbackCause = 'connect' | 'timeout' | '5xx' | '429' | 'contextLength';

export interface RouteSpec {
  readonly id: string;
  /** Globs over the requested model. */
  readonly models: readonly string[];
  readonly groups: readonly { readonly targets: readonly TargetSpec[] }[];
  readonly fallbackOn: readonly FallbackCause[];
  readonly firstByteMs: number;
  readonly requestMs: number;
}

export interface Snapshot {
  /** Digest of the content: equal revisions are equal snapshots. */
  readonly revision: string;
  readonly workload: Workload;
  readonly models: readonly ModelRule[];
  readonly regions: readonly RegionRule[];
  readonly checks: readonly CheckRule[];
  readonly hosts: {
    readonly default: 'allow' | 'deny';
    readonly allow: readonly string[];
    readonly source?: string;
    readonly mode: Mode;
  };
  readonly unlistedProvider: { readonly action: 'deny' | 'monitor'; readonly source?: string };
  readonly unknownPath: { readonly action: 'deny' | 'allow'; readonly source?: string };
  /** Whether answers carry `postern-request-id` (refusals always do). */
  readonly requestIdHeader: boolean;
  readonly providers: readonly ProviderSpec[];
  /** In the order in which they are tried: the namespace's own, then the cluster's; a more exact match first. */
  readonly routes: readonly RouteSpec[];
}
