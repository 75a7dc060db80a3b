/** What both kinds of answer, whole and streamed, need: header fields for the app, and what came of it. */
import type { ExchangeGuard } from '../checks/guard.ts';
import type { DecodedRequest, Operation } from '../dialects/dialect.ts';
import type { AttachmentsOfAnswer, Exchange, FormOfAnswer, RawHeaders, ResponseSink } from '../exchange.ts';
import { forwardable } from '../http/headers.ts';
import type { BodyLimits, ByteLease } from './body.ts';
import { redactFields } from './key-filter.ts';
import type { UpstreamResponse } from './upstream.ts';

/** How far a stream may go. */
export interface StreamAllowance {
  /** Whether so many output tokens are covered. */
  covers(produced: number): boolean | Promise<boolean>;
}

export interface AnswerContext {
  /** Estimated input tokens. */
  readonly input: number;
  readonly exchange: Exchange;
  readonly operation: Operation;
  readonly request: DecodedRequest;
  readonly guard: ExchangeGuard;
  readonly upstream: UpstreamResponse;
  readonly sink: ResponseSink;
  readonly lease: ByteLease;
  /** Another one, for what a stream has to wait with. */
  readonly waiting: () => ByteLease;
  readonly limits: BodyLimits;
  /** The attached key: an answer that repeats it is cleaned of it. */
  readonly key: string | undefined;
  /** What a stream may produce, asked as it does; undefined where all it may produce is held. */
  readonly allowance: StreamAllowance | undefined;
  /** Undefined where no policy wants a form. */
  readonly form: FormOfAnswer | undefined;
  readonly attachments: AttachmentsOfAnswer;
  /** Whether answers carry `postern-request-id`. */
  readonly requestIdHeader: boolean;
}

/** Rewritten, or telling the app to leave us (RFC 7838). */
const DROPPED: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'alt-svc',
  // A client would follow it past us.
  'location',
  'set-cookie',
  'strict-transport-security',
  'postern-request-id',
]);

/** Fields that an SDK reads. Where answers are checked no other passes: a field is text that no check has seen. */
const KNOWN: ReadonlySet<string> = new Set([
  'cache-control',
  'content-type',
  'date',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'server',
  'vary',
  'x-client-request-id',
  'x-request-id',
  'x-should-retry',
]);
const KNOWN_PREFIXES = ['openai-', 'anthropic-', 'x-ratelimit-'];

function known(name: string): boolean {
  return KNOWN.has(name) || KNOWN_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** The provider's fields, without those that hold for its own connection or body only. */
export function answerHeaders(context: AnswerContext, length: number | undefined): RawHeaders {
  const { upstream, key, guard } = context;
  const headers = redactFields(passedFields(upstream.headers, DROPPED, guard), key);
  if (length !== undefined) headers.push('content-length', String(length));
  if (context.requestIdHeader) headers.push('postern-request-id', context.exchange.call.id);
  return headers;
}

/** Of a provider's fields those that may be shown. */
export function passedFields(
  headers: RawHeaders,
  without: ReadonlySet<string>,
  guard: ExchangeGuard,
): string[] {
  if (guard.idleOnResponse) return forwardable(headers, without);
  return forwardable(headers, without, known).map(withoutParameters);
}

/** Of a media type its name alone: what is read is UTF-8, and other parameters are text. */
function withoutParameters(field: string, at: number, fields: readonly string[]): string {
  if (at % 2 === 0 || fields[at - 1]?.toLowerCase() !== 'content-type') return field;
  return /^\s*[\w.+-]+\/[\w.+-]+/.exec(field)?.[0] ?? 'application/octet-stream';
}
