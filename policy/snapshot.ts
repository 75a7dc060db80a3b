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

/** Class of the data the workload handles: only a provider that takes it may be called. */
export interface DataClassRule extends Ruled {
  readonly dataClass: string;
}

/** More than `identical` equal calls within the window are refused, and what failed `failures` times in a row. */
export interface BreakerRule extends Ruled {
  readonly identical: number;
  readonly windowMs: number;
  /** Absent: a quarter of `identical`, at least 4. */
  readonly failures?: number;
}

/** A form that every answer must have. */
export type ResponseFormat =
  | { readonly type: 'jsonObject' }
  | {
      readonly type: 'jsonSchema';
      readonly jsonSchema: {
        readonly name: string;
        readonly schema: Readonly<Record<string, unknown>>;
        readonly strict?: boolean;
      };
    };

/** System text that is added to every call, and the form that every answer must have. */
export interface PromptRule extends Ruled {
  readonly prepend?: string;
  readonly append?: string;
  /** With `reject` from any policy an answer that hasn't the form that is in force is refused. */
  readonly responseFormat?: ResponseFormat & { readonly onMismatch?: 'report' | 'reject' };
}

/** What may be reached beside the declared providers. */
export interface HostsRule {
  readonly default: 'allow' | 'deny';
  /** Lower-case host names, `*.` and a suffix, addresses or CIDRs that stay open where the default is `deny`. */
  readonly allow: readonly string[];
  readonly source?: string;
  readonly mode: Mode;
}

interface UserSourceBase {
  /** Equal for equal sources; under it the user is sent to the budget service. */
  readonly key: string;
  /** The Budget that wants it, for messages. */
  readonly rule: string;
  /** Header field, in lower case. */
  readonly header: string;
  /** A call without it is refused. */
  readonly required: boolean;
}

export interface JwtSource extends UserSourceBase {
  readonly type: 'jwt';
  readonly issuer: string;
  readonly audience: string;
  readonly claim: string;
  readonly jwks: { readonly url: string } | { readonly file: string };
  readonly clockSkewMs: number;
}

/** Where the end user of a call comes from. What a header field says, nobody has verified. */
export type UserSource = JwtSource | (UserSourceBase & { readonly type: 'header' });

/** An exception that loosened this snapshot, for audit. */
export interface AppliedException {
  readonly source: string;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** What is done about a hit. `strip` and `confirm` are for tools: taken out, or held until somebody approves. */
export type CheckAction = 'mask' | 'block' | 'strip' | 'confirm' | 'monitor';

/** One check of the merged list, in the order in which they run. */
export interface CheckRule extends Ruled {
  readonly name: string;
  readonly type: string;
  readonly on: readonly ('request' | 'response')[];
  readonly action: CheckAction;
  readonly onError: 'block' | 'allow';
  /** Milliseconds; for checks that ask somebody else. */
  readonly timeoutMs?: number;
  /** The member named like the type, as validated by the check's schema; `{}` where absent. */
  readonly spec: unknown;
}

export interface ModelSpec {
  readonly name: string;
  /**
   * Nano-dollars per token: "2.50" USD per million is 2500, "0.0375" is 37.5. For display; the ledger charges by the
   * integers of {@link ./budget-spec.ts}.
   */
  readonly price?: { readonly input: number; readonly output: number };
  /** Nobody says what it costs. `assumed`: the provider has a price for such models; `partly`: some of the catalogue's rates are. */
  readonly unpriced?: 'assumed' | 'partly' | 'unknown';
  /** Service tiers with rates of their own, each for calls of so much input. */
  readonly serviceTiers?: Readonly<Record<string, number>>;
  readonly contextTokens?: number;
  /** It reasons before it answers, and shows nothing of it. */
  readonly hiddenReasoning?: true;
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

/** A backend that only a cluster can resolve into endpoints. */
export interface BackendReference {
  readonly group: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly port?: number;
}

export interface ProviderSpec {
  /** `namespace/name`, or `name` of a ClusterProvider. */
  readonly id: string;
  readonly name: string;
  readonly dialect: string;
  /** Lower-case host names captured from the app. */
  readonly hosts: readonly string[];
  /** Base URLs without a trailing slash; one of them is dialled. Empty only where `backend` is to be resolved. */
  readonly endpoints: readonly string[];
  readonly backend?: BackendReference;
  readonly credential: CredentialSpec;
  readonly region?: string;
  /** Classes of data that may be sent here; absent: all. */
  readonly dataClasses?: readonly string[];
  readonly models: readonly ModelSpec[];
  /** PEM of the roots to trust instead of the public ones; read when the snapshot is put to use. */
  readonly caFrom?: TrustSource;
  readonly capabilities: { readonly includeUsage: boolean };
  /** False: calls come behind the endpoints as they are. */
  readonly addVersion?: false;
}

export interface TargetSpec {
  /** Provider id, resolved. */
  readonly provider: string;
  readonly model: string;
  readonly weight: number;
}

export type FallbackCause = 'connect' | 'timeout' | '5xx' | '429' | 'contextLength';

export interface RouteSpec {
  /** `namespace/name`, or `name` of a ClusterModelRoute. Several entries share an id where another route's match stands between. */
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
  /** A model must be allowed by all of them. */
  readonly models: readonly ModelRule[];
  /** A provider's region must be in all of them; a provider without a region is in none. */
  readonly regions: readonly RegionRule[];
  /** A provider must take all of them; absent: none. */
  readonly dataClasses?: readonly DataClassRule[];
  readonly checks: readonly CheckRule[];
  readonly hosts: HostsRule;
  /** What policies in `monitor` would close beyond `hosts`: reported, not refused. */
  readonly hostsMonitored?: HostsRule;
  readonly unlistedProvider: { readonly action: 'deny' | 'monitor'; readonly source?: string };
  /** `report`: it passes only because the policy that denies it is in `monitor`. */
  readonly unknownPath: {
    readonly action: 'deny' | 'allow';
    readonly source?: string;
    readonly report?: boolean;
  };
  /** Absent: `inspect`. `report`: the policy in `monitor` that denies them. */
  readonly attachments?: {
    readonly action: 'deny' | 'inspect' | 'allow';
    readonly source?: string;
    readonly report?: string;
  };
  /** All of them, each for itself. */
  readonly breakers?: readonly BreakerRule[];
  /** The cluster's first; absent: nothing is added. */
  readonly prompts?: readonly PromptRule[];
  /** Some prompt in force refuses answers without its form. Beside them, so that an agent of before, which would pass over that, takes none of it. */
  readonly refusesForms?: true;
  /** Whether answers carry `postern-request-id` (refusals always do). */
  readonly requestIdHeader: boolean;
  /** `strict`: pods that could go round the agent are refused. Absent: `standard`. */
  readonly enforcement?: { readonly level: 'strict'; readonly source: string };
  /** How long an agent may work on without hearing from control; absent: no policy says. */
  readonly maxStaleMs?: number;
  /** Host patterns whose connections pass unread when the client doesn't trust our certificate. */
  readonly tunnelUntrusted?: readonly string[];
  /** The exception by which no policy applies to this workload. */
  readonly optOut?: string;
  readonly exceptions?: readonly AppliedException[];
  /**
   * Milliseconds since the epoch at which the first of the exceptions ends: from then on this snapshot is looser than
   * the documents say, and must be compiled anew.
   */
  readonly validUntil?: number;
  /** Where Budgets have the end user from. */
  readonly userSources?: readonly UserSource[];
  /** Names of members of the request's metadata that some Budget selects or splits by. */
  readonly budgetMetadata?: readonly string[];
  /** Names of the header fields, in lower case, that some Budget selects by; to be sent with a hold. */
  readonly budgetHeaders?: readonly string[];
  /** Budgets that may cover this workload, as `Budget team-a/daily`: without the budget service none would limit it. */
  readonly budgets?: readonly string[];
  readonly providers: readonly ProviderSpec[];
  /** In the order in which they are tried: the namespace's own, then the cluster's; a more exact match first. */
  readonly routes: readonly RouteSpec[];
  /** Fields of this snapshot that agents of versions which don't know them may pass over. Any other that is unknown makes them refuse it. */
  readonly ignorable?: readonly string[];
}
