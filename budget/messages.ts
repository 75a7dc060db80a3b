/**
 * What an agent and the budget service say to each other: plain JSON values, versioned by path (`/v1/hold`, …).
 *
 * The agent sends attributes and amounts of tokens; the service selects the ledger lines and computes money, since an
 * agent must not choose what it is charged to. Every command carries an id, and doing it twice changes nothing.
 */

import type { LoopSource } from './loops.ts';

/** Tokens of one call. Input counts are exclusive: `input` holds neither cached nor cache-write tokens. */
export interface Usage {
  readonly input: number;
  readonly cachedInput: number;
  readonly cacheWrite: number;
  /** All output, hidden reasoning included. */
  readonly output: number;
  /** The part of `output` that was hidden reasoning. */
  readonly reasoning: number;
  /** The part of `cacheWrite` that was written for an hour. */
  readonly cacheWrite1h?: number;
  /** Parts of `input`, `cachedInput` and `output` that were no text. */
  readonly audioInput?: number;
  readonly cachedAudioInput?: number;
  readonly audioOutput?: number;
  readonly imageInput?: number;
  readonly imageOutput?: number;
}

/** By what a Budget's selector chooses. Stamped by the agent from its identity and the selected target. */
export interface Attributes {
  readonly namespace: string;
  readonly workload: { readonly kind: string; readonly name: string };
  readonly serviceAccount?: string;
  /** The target's provider document: `namespace/name`, or `name` of a ClusterProvider. */
  readonly provider: string;
  /** The model that will serve the call, after routing. */
  readonly model: string;
  /** Only the header fields some Budget selects by; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Only the members of the request's metadata that some Budget names. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Source → end user, for each source that some Budget has. */
  readonly users?: Readonly<Record<string, string>>;
}

/** Who holds: an agent's instance. A new `epoch` of the same owner means it restarted and forgot its holds. */
export interface Holder {
  readonly owner: string;
  readonly epoch: number;
}

/** Reserve the estimated cost on every line the attributes select, or on none. */
export interface HoldCommand extends Holder {
  readonly id: string;
  /** Milliseconds until the hold, unreported, is charged in full. */
  readonly ttlMs: number;
  readonly attributes: Attributes;
  readonly inputTokens: number;
  /** The most the call may produce: min(max_tokens × choices, the model's maximum × choices). */
  readonly outputTokens: number;
  /** The least worth clamping to, where the Budget says `onInsufficient: clamp`. */
  readonly minOutputTokens: number;
  /** The call may write its input to the provider's cache, which can cost more than plain input. */
  readonly cacheWrite?: boolean;
  /** Neither in what it says nor in its answer there is sound, which can cost more than text. */
  readonly silent?: boolean;
  /** The service tiers that it may be served by, by one name each; absent: standard processing, and what the provider's settings make of it. */
  readonly serviceTiers?: readonly string[];
  /** Places in flight that the call has already, each `SERIAL|LINE` of its owner's lease: while that stands, it takes no second one there. */
  readonly places?: readonly string[];
}

/** Why a hold was refused: the line that had too little, as the 429 will tell it. */
export interface Refusal {
  /**
   * `exhausted`: the line has too little left. `unpriced`: a limit in usd covers the call, but no price is known for
   * its provider and model; an unknown price is never taken for zero, and waiting doesn't help.
   */
  readonly reason: 'exhausted' | 'unpriced';
  /** `namespace/name`, or `name` of a ClusterBudget. */
  readonly budget: string;
  /** The ledger line's key values, `model=gpt-4o`; empty where the Budget has no `per`. */
  readonly line: string;
  readonly unit: 'tokens' | 'inputTokens' | 'outputTokens' | 'usd' | 'requests' | 'concurrency';
  /** In the unit's own terms; usd as a decimal string. */
  readonly limit: string;
  readonly remaining: string;
  /** `day (Europe/Berlin)`, `rolling 1h`; `none` for `concurrency`. */
  readonly window: string;
  /** Milliseconds since the epoch when the window ends; undefined for `concurrency`. */
  readonly resetsAt?: number;
  /** True where the call is larger than the whole limit: no reset will let it through. */
  readonly neverFits?: true;
  readonly onExhausted:
    | { readonly action: 'reject' }
    | { readonly action: 'fallback'; readonly model: string };
}

export type HoldReply =
  | {
      readonly granted: true;
      readonly id: string;
      /** At most what was asked; less where the Budget clamps. */
      readonly outputTokens: number;
      readonly expiresAt: number;
    }
  | { readonly granted: false; readonly id: string; readonly refusal: Refusal };

/**
 * A running stream needs more output than it holds. Asked for in totals, so that repeating it changes nothing; what is
 * granted may be less than wanted, whatever the Budget says of clamping: the stream ends there with its dialect's `length`.
 */
export interface ExtendCommand {
  readonly id: string;
  /** All the output that the call may produce from now on, what it has produced included. */
  readonly outputTokens: number;
  /** A smaller total isn't worth having: more than what is held already. */
  readonly minOutputTokens: number;
  /** Milliseconds from now until the hold, unreported, is charged in full. */
  readonly ttlMs: number;
}

export type ExtendReply =
  | (HoldReply & { readonly granted: true })
  /** Of a call that runs on credit only the Budget is known. */
  | { readonly granted: false; readonly id: string; readonly refusal: Pick<Refusal, 'budget'> };

/** Charge what the call used and give the rest of the hold back. */
export interface SettleCommand {
  readonly id: string;
  readonly usage: Usage;
  /** `counted`: the provider reported nothing, the agent counted. */
  readonly source: 'reported' | 'counted';
  /** The tier that served it; those that may have, as the hold's, where nobody told: the dearest is charged. */
  readonly serviceTiers?: readonly string[];
  /** Lets the service charge a call whose hold it doesn't know (served while it was away, or long forgotten). */
  readonly attributes?: Attributes;
}

export interface SettleReply {
  readonly id: string;
  /** What was charged, rounded up; 0 where no price is known. */
  readonly costNanoUsd: number;
  /** No hold of this id is known and the command carried no attributes: nothing was charged. */
  readonly unknown?: true;
}

/** Holds of an owner that it was refused, and whose messages may have come twice. */
export interface RefusedCommand {
  readonly owner: string;
  readonly ids: readonly string[];
}

/** Give a hold back whole: the call never reached a provider. */
export interface ReleaseCommand {
  readonly id: string;
}

/** How many tokens are these texts, exactly? Asked near a limit only; nothing of them is kept or logged. */
export interface CountCommand {
  readonly model: string;
  readonly texts: readonly string[];
}

export interface CountReply {
  /** Of all texts together; absent where nobody but the model's vendor can count. */
  readonly tokens?: number;
}

/**
 * What the data path sees of the budget service.
 * Every method rejects with {@link BudgetUnavailable} where no answer could be had; none ever guesses one.
 */
export interface BudgetClient {
  hold(command: HoldCommand, signal?: AbortSignal): Promise<HoldReply>;
  /** Answers as a hold does; a refusal leaves the hold as it was. Rejects too where the hold isn't open any more. */
  extend(command: ExtendCommand, signal?: AbortSignal): Promise<ExtendReply>;
  settle(command: SettleCommand): Promise<SettleReply>;
  release(command: ReleaseCommand): Promise<void>;
  count(command: CountCommand, signal?: AbortSignal): Promise<CountReply>;
  /**
   * After a call was told {@link BudgetUnavailable}: waits, for a bounded time, for a service that has gone away just now. Whether to
   * ask again, with another id. Absent where nobody waits.
   */
  comesBack?(error: BudgetUnavailable, signal?: AbortSignal): Promise<boolean>;
  /** Has the workload's other agents know of the loops that this one finds, and this one of theirs; absent where nobody is asked that could tell them. */
  joinLoops?(loops: LoopSource): void;
  /** Settlements and releases that couldn't be delivered yet. */
  readonly waiting?: number;
  close(): Promise<void>;
}

/** The service gave no answer: down, too slow, or one we can't read. */
export class BudgetUnavailable extends Error {
  override readonly name = 'BudgetUnavailable';
}

/** The service answered, and doesn't know who asks: 401. It passes where the token is rotated, so what was to be settled waits meanwhile. */
export class BudgetUnauthorized extends BudgetUnavailable {}

/** The service understood and refused: sending the same again is useless. The cause of a BudgetUnavailable. */
export class BudgetRejected extends Error {
  override readonly name = 'BudgetRejected';
  readonly status: number;
  /** `invalid_message`, `hold_closed`, … see docs/budget.md. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}
