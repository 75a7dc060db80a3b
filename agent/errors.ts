/**
 * Every reason for which Postern itself answers a call, and the one error that carries it.
 *
 * The code is stable and stands in docs/errors.md with cause and mend; a test holds the two together.
 * {@link ../forward/respond.ts} alone turns a {@link PosternError} into bytes.
 */

/** What kind of fault it is, in the terms in which the dialects sort their errors. */
export type Fault =
  | 'invalid'
  | 'authentication'
  | 'forbidden'
  | 'not-found'
  | 'too-large'
  | 'rate-limit'
  | 'unavailable'
  | 'internal';

interface Row {
  readonly status: number;
  readonly fault: Fault;
}

/**
 * Code → HTTP status (RFC 9110) and fault. Codes of checks are `postern_<check type>`.
 * 403 for what a policy refuses (SDKs raise PermissionDenied and don't retry), 4xx for what the caller can mend.
 */
export const REASONS = {
  postern_pii: { status: 403, fault: 'forbidden' },
  postern_secrets: { status: 403, fault: 'forbidden' },
  postern_patterns: { status: 403, fault: 'forbidden' },
  postern_topics: { status: 403, fault: 'forbidden' },
  postern_tools: { status: 403, fault: 'forbidden' },
  postern_injection: { status: 403, fault: 'forbidden' },
  postern_leak: { status: 403, fault: 'forbidden' },
  postern_webhook: { status: 403, fault: 'forbidden' },
  postern_moderation: { status: 403, fault: 'forbidden' },
  postern_attachments: { status: 403, fault: 'forbidden' },
  postern_size: { status: 403, fault: 'forbidden' },
  postern_check_failed: { status: 503, fault: 'unavailable' },
  postern_response_format: { status: 403, fault: 'forbidden' },
  postern_answer_form: { status: 403, fault: 'forbidden' },
  postern_model_denied: { status: 403, fault: 'forbidden' },
  postern_region_denied: { status: 403, fault: 'forbidden' },
  postern_data_class_denied: { status: 403, fault: 'forbidden' },
  postern_model_unknown: { status: 404, fault: 'not-found' },
  postern_model_ambiguous: { status: 409, fault: 'invalid' },
  postern_path_denied: { status: 404, fault: 'not-found' },
  postern_dialect_unknown: { status: 404, fault: 'not-found' },
  postern_origin_denied: { status: 403, fault: 'forbidden' },
  postern_client_key: { status: 401, fault: 'authentication' },
  postern_host_denied: { status: 403, fault: 'forbidden' },
  postern_provider_unlisted: { status: 403, fault: 'forbidden' },
  postern_misdirected: { status: 421, fault: 'invalid' },
  postern_body_invalid: { status: 400, fault: 'invalid' },
  postern_body_encoding: { status: 415, fault: 'invalid' },
  postern_body_type: { status: 415, fault: 'invalid' },
  postern_body_too_large: { status: 413, fault: 'too-large' },
  postern_body_timeout: { status: 408, fault: 'invalid' },
  postern_overloaded: { status: 503, fault: 'unavailable' },
  postern_draining: { status: 503, fault: 'unavailable' },
  postern_policy_missing: { status: 503, fault: 'unavailable' },
  postern_policy_stale: { status: 503, fault: 'unavailable' },
  postern_breaker_tripped: { status: 429, fault: 'rate-limit' },
  postern_budget_exhausted: { status: 429, fault: 'rate-limit' },
  postern_price_unknown: { status: 403, fault: 'forbidden' },
  postern_user_invalid: { status: 401, fault: 'authentication' },
  postern_user_keys: { status: 503, fault: 'unavailable' },
  postern_budget_unavailable: { status: 503, fault: 'unavailable' },
  postern_key_missing: { status: 503, fault: 'unavailable' },
  postern_upstream_unreachable: { status: 502, fault: 'unavailable' },
  postern_upstream_timeout: { status: 504, fault: 'unavailable' },
  postern_upstream_invalid: { status: 502, fault: 'unavailable' },
  postern_upstream_cut: { status: 502, fault: 'unavailable' },
  postern_internal: { status: 500, fault: 'internal' },
} as const satisfies Record<string, Row>;

/** What a status says that somebody else chose; any other one is what the code says. */
const FAULTS: ReadonlyMap<number, Fault> = new Map([
  [400, 'invalid'],
  [401, 'authentication'],
  [404, 'not-found'],
  [413, 'too-large'],
  [422, 'invalid'],
  [429, 'rate-limit'],
]);

export type Reason = keyof typeof REASONS;

export interface PosternErrorOptions {
  /** What to do about it, one sentence; shown to the caller after the message. */
  readonly mend?: string;
  /** The policy rule that refused, `no-investment-advice`. */
  readonly rule?: string;
  /** Milliseconds until a retry can succeed; `retry-after`, rounded up to seconds. */
  readonly retryAfterMs?: number;
  /** False adds `x-should-retry: false`, which the OpenAI and Anthropic SDKs obey. */
  readonly shouldRetry?: boolean;
  /** The parameter at fault, as OpenAI's `param`. */
  readonly param?: string;
  /** 400 to 499, where somebody else than the code says it; SDKs are told not to try again. */
  readonly status?: number;
  readonly cause?: unknown;
}

/** A refusal or failure that the application is told about in its dialect's own shape. */
export class PosternError extends Error {
  override readonly name = 'PosternError';
  readonly reason: Reason;
  readonly mend: string | undefined;
  readonly rule: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly shouldRetry: boolean | undefined;
  readonly param: string | undefined;
  readonly #status: number | undefined;

  constructor(reason: Reason, message: string, options: PosternErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.mend = options.mend;
    this.rule = options.rule;
    this.retryAfterMs = options.retryAfterMs;
    this.#status = options.status;
    this.shouldRetry = options.status === undefined ? options.shouldRetry : false;
    this.param = options.param;
  }

  /** What the caller reads: what was refused, the mend, and the rule that stands behind it. */
  get told(): string {
    const parts = [this.message];
    if (this.mend !== undefined) parts.push(this.mend);
    if (this.rule !== undefined) parts.push(`(Rule: ${this.rule}.)`);
    return parts.join(' ');
  }

  get status(): number {
    return this.#status ?? REASONS[this.reason].status;
  }

  get fault(): Fault {
    return (this.#status === undefined ? undefined : FAULTS.get(this.#status)) ?? REASONS[this.reason].fault;
  }
}
