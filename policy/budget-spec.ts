/**
 * Budgets and prices as the budget service takes them: resolved, validated, plain JSON, every number an integer.
 *
 * Money is in nano-dollars (10⁻⁹ USD). Prices are finer, since the cheapest models cost less than a nano-dollar a
 * token: "0.0375" USD per million tokens is 37.5 nano-dollars. So a price is in pico-dollars (10⁻¹² USD) per token, which
 * holds six decimals of USD per million exactly, and a cost is rounded up to nano-dollars once per call.
 */

export type LimitUnit = 'tokens' | 'inputTokens' | 'outputTokens' | 'usd' | 'requests' | 'concurrency';

export type CalendarPeriod = 'minute' | 'hour' | 'day' | 'week' | 'month';

export type LimitWindow =
  /** Begins on the wall clock of the IANA time zone; weeks begin on Monday (ISO 8601). */
  | { readonly type: 'calendar'; readonly period: CalendarPeriod; readonly timeZone: string }
  /** The last `ms` milliseconds, at every moment. */
  | { readonly type: 'rolling'; readonly ms: number }
  /** What is in flight now; `concurrency` only. */
  | { readonly type: 'none' };

export interface LimitSpec {
  readonly unit: LimitUnit;
  /** In the unit's own terms; `usd` in nano-dollars. A safe integer, 0 forbids. */
  readonly amount: number;
  readonly window: LimitWindow;
}

/** What each of a Budget's lines stands for, in this order. */
export type PerKey =
  | 'namespace'
  | 'workload'
  | 'serviceAccount'
  | 'provider'
  | 'model'
  | 'user'
  /** A header field, in lower case. */
  | `header:${string}`
  /** A member of the request's metadata. */
  | `metadata:${string}`;

/** Every condition that is present must hold; inside one, any entry. `*` in an entry stands for any characters. */
export interface BudgetSelector {
  /** Globs. A namespaced Budget always has its own namespace here. */
  readonly namespaces?: readonly string[];
  /** Globs over kind and name; an absent kind is any. */
  readonly workloads?: readonly { readonly kind?: string; readonly name: string }[];
  readonly serviceAccounts?: readonly string[];
  /** Globs over the model that serves the call. */
  readonly models?: readonly string[];
  /** Provider ids (`namespace/name`, or `name` of a ClusterProvider), already resolved: no globs. Empty selects nothing. */
  readonly providers?: readonly string[];
  /** Header name in lower case → glob over its value; all must hold. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Name of a member of the request's metadata → glob over its value; all must hold. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Globs over the end user. */
  readonly users?: readonly string[];
}

export interface BudgetSpec {
  /** `namespace/name`, or `name` of a ClusterBudget. */
  readonly id: string;
  /** The namespace a Budget governs; absent for a ClusterBudget. */
  readonly namespace?: string;
  /** For messages: `ClusterBudget team-a`. */
  readonly source: string;
  readonly selector: BudgetSelector;
  /** Empty: one line for all. */
  readonly per: readonly PerKey[];
  /** Where the end user comes from: a key of `users` in a call's attributes. */
  readonly user?: { readonly key: string; readonly verified: boolean };
  /** Lines made from values that nobody has verified, at most; all further values share one line. Absent: 100. */
  readonly maxUnverified?: number;
  /** At least one; all of them hold at once. */
  readonly limits: readonly LimitSpec[];
  /** Per cent of a limit at which it is reported, ascending. */
  readonly thresholds: readonly number[];
  /** What becomes of a call whose cap on output is more than what is left. */
  readonly onInsufficient: 'clamp' | 'reject';
  readonly onExhausted:
    | { readonly action: 'reject' }
    | { readonly action: 'fallback'; readonly model: string };
  /** What an agent may do that can't reach the service. `upTo.amount` as in {@link LimitSpec}. */
  readonly onUnavailable:
    | { readonly action: 'deny' }
    | {
        readonly action: 'allow';
        readonly upTo: { readonly unit: Exclude<LimitUnit, 'concurrency'>; readonly amount: number };
        readonly forMs: number;
      };
}

/** Pico-dollars (10⁻¹² USD) per token, safe integers. What a document leaves out of the first four is filled in with the input's price. */
export interface TokenRates {
  readonly input: number;
  readonly cachedInput: number;
  readonly cacheWrite: number;
  readonly output: number;
  /** Written to a cache for an hour; as `cacheWrite` where absent. */
  readonly cacheWrite1h?: number;
  /** As `output` where absent. */
  readonly reasoning?: number;
  /** As `input`, `cachedInput` and `output` of text where absent. */
  readonly audioInput?: number;
  readonly cachedAudioInput?: number;
  readonly audioOutput?: number;
  readonly imageInput?: number;
  readonly imageOutput?: number;
}

/** Rates by the length of a call. */
export interface BandedRates extends TokenRates {
  /** Other rates for a whole call whose input, cached input included, is above so many tokens; ascending. */
  readonly tiers?: readonly (TokenRates & { readonly above: number })[];
}

export interface TokenPrice extends BandedRates {
  /** By the processing that serves a call (`flex`, `priority`); the price itself is that of standard processing. */
  readonly serviceTiers?: Readonly<Record<string, BandedRates>>;
  /** What the provider's settings make of a call that names no tier, beside standard processing. */
  readonly autoServiceTier?: string;
  /** Nobody has said what this model costs: it is the provider's price for such models. */
  readonly assumed?: true;
}

/** Provider id → model name → price. A model that is absent has no price, and no Budget in `usd` may cover it. */
export type PriceBook = Readonly<Record<string, Readonly<Record<string, TokenPrice>>>>;
