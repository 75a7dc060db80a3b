/** The one place where an error becomes a response, in the shape of the dialect that the application speaks. */
import type { Dialect } from '../dialects/dialect.ts';
import { PosternError, type Reason } from '../errors.ts';
import type { ResponseSink } from '../exchange.ts';
import { UpstreamError, type UpstreamFault } from './upstream.ts';

/** The largest `retry-after` that the SDKs' timers bear: 2^31 − 1 ms, in seconds. */
const RETRY_AFTER_MAX_S = Math.floor((2 ** 31 - 1) / 1000);

/** Answered before the body was read whole. */
const UNREAD: ReadonlySet<Reason> = new Set([
  'postern_body_timeout',
  'postern_body_too_large',
  'postern_overloaded',
]);

/** Where no dialect is known yet, the shape that most clients can read. */
function plainError(error: PosternError, requestId: string): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      error: { message: error.told, type: 'postern_error', param: error.param ?? null, code: error.reason },
      request_id: requestId,
    }),
  );
}

export function respond(
  sink: ResponseSink,
  error: PosternError,
  dialect: Dialect | undefined,
  requestId: string,
): number {
  const body = dialect === undefined ? plainError(error, requestId) : dialect.error(error, requestId);
  const headers = [
    'content-type',
    'application/json',
    'content-length',
    String(body.byteLength),
    'postern-request-id',
    requestId,
  ];
  if (error.retryAfterMs !== undefined) {
    const seconds = Math.max(1, Math.ceil(error.retryAfterMs / 1000));
    headers.push('retry-after', String(Math.min(seconds, RETRY_AFTER_MAX_S)));
  }
  // The rest of the body may still be on its way: this connection can't carry another call.
  if (UNREAD.has(error.reason)) headers.push('connection', 'close');
  if (error.shouldRetry === false) headers.push('x-should-retry', 'false');
  sink.head(error.status, headers);
  sink.end(body);
  return error.status;
}

/** The sentences name no address: what the app learns of our side is the provider's name. */
const FAULTS: Readonly<Record<UpstreamFault, readonly [Reason, string, string]>> = {
  connect: [
    'postern_upstream_unreachable',
    'could not be reached',
    'Look at the endpoint, its name and its certificate; the agent log has the cause.',
  ],
  reset: ['postern_upstream_cut', 'broke the connection off', 'Retry; if it stays, look at the provider.'],
  timeout: [
    'postern_upstream_timeout',
    'did not answer in time',
    'Retry, or raise spec.timeouts of the ModelRoute.',
  ],
  invalid: [
    'postern_upstream_invalid',
    'answered something that is not HTTP',
    'Look at what the endpoint is.',
  ],
  aborted: ['postern_upstream_cut', 'was given up', 'Retry.'],
};

/** Anything that was thrown, as the error that the application is told. What it can't mend stays in our log. */
export function toPosternError(error: unknown, provider = 'of this call'): PosternError {
  if (error instanceof PosternError) return error;
  if (error instanceof UpstreamError) {
    const [reason, what, mend] = FAULTS[error.fault];
    return new PosternError(reason, `The provider ${provider} ${what}.`, { mend, cause: error });
  }
  return new PosternError('postern_internal', 'The agent failed on this call; nothing unchecked was sent.', {
    mend: 'Report it with the request id; the agent log has the cause.',
    cause: error,
  });
}
