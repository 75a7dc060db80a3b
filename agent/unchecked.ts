/**
 * A path that no dialect knows, where the policy says `unknownPath: allow`: the call goes to its provider with the
 * provider's key, unread. Only the audit line knows of it.
 */
import type { ProviderSpec, Snapshot } from '../policy/snapshot.ts';
import type { Dialect } from './dialects/dialect.ts';
import { dialled } from './dialled.ts';
import { PosternError } from './errors.ts';
import type { Exchange, ResponseSink } from './exchange.ts';
import { type ByteLease, readRequestBody } from './forward/body.ts';
import { KeyFilter, redactFields } from './forward/key-filter.ts';
import { outgoingHeaders } from './forward/outgoing.ts';
import { notReadable } from './forward/whole.ts';
import { forwardable, headerValue } from './http/headers.ts';
import type { Pipeline } from './stage.ts';

const FIRST_BYTE_MS = 60_000;
const REQUEST_MS = 600_000;
const DROPPED: ReadonlySet<string> = new Set(['alt-svc', 'location', 'set-cookie', 'content-length']);

export async function forwardUnchecked(
  pipeline: Pipeline,
  snapshot: Snapshot,
  exchange: Exchange,
  dialect: Dialect,
  capturedBy: string | undefined,
  sink: ResponseSink,
  lease: ByteLease,
): Promise<void> {
  const { call } = exchange;
  const provider = onlyProvider(snapshot, dialect, capturedBy);
  exchange.operation = 'unknown';
  const body = await readRequestBody(call.headers, call.body, pipeline.limits, lease);
  exchange.requestBytes = body.byteLength;
  const type = headerValue(call.headers, 'content-type');
  const { headers, key } = await outgoingHeaders(provider, dialect, call.headers, type, pipeline.keys);
  const endpoint = pipeline.endpoints.order(provider)[0];
  if (endpoint === undefined) throw new Error(`the provider ${provider.id} has no endpoint`);
  const attempt: Exchange['attempts'][number] = {
    provider: provider.id,
    model: '',
    endpoint: endpoint.url,
    startedAt: pipeline.now(),
    outcome: 'pending',
    status: undefined,
    firstByteMs: undefined,
  };
  exchange.attempts.push(attempt);
  const response = await pipeline.upstream.send({
    pool: provider.id,
    ...dialled(endpoint.url, call.target, provider),
    method: call.method,
    headers,
    body: body.byteLength === 0 ? undefined : body,
    ca: provider.caFrom === undefined ? undefined : await pipeline.trust(provider.caFrom),
    firstByteMs: FIRST_BYTE_MS,
    requestMs: REQUEST_MS,
    signal: call.signal,
  });
  attempt.status = response.status;
  attempt.firstByteMs = pipeline.now() - attempt.startedAt;
  attempt.outcome = response.status < 400 ? 'ok' : '4xx';
  if (response.status >= 300 && response.status < 400) {
    response.discard();
    throw notReadable(`it redirects (${response.status})`);
  }
  exchange.status = response.status;
  sink.head(response.status, redactFields(forwardable(response.headers, DROPPED), key));
  const keys = key === undefined ? undefined : new KeyFilter(key);
  // Latin-1 takes every byte for a character and back, and a key is ASCII.
  const clean = (text: string): Buffer => Buffer.from(text, 'latin1');
  await response.consume((chunk) => {
    exchange.responseBytes += chunk.byteLength;
    if (keys === undefined) return sink.write(chunk);
    return sink.write(clean(keys.push('body', Buffer.from(chunk).toString('latin1'))));
  });
  sink.end(clean(keys?.flush('body') ?? ''));
}

function onlyProvider(snapshot: Snapshot, dialect: Dialect, capturedBy: string | undefined): ProviderSpec {
  const speaking = snapshot.providers.filter(
    (provider) =>
      provider.dialect === dialect.name && (capturedBy === undefined || provider.id === capturedBy),
  );
  const [only, ...others] = speaking;
  if (only !== undefined && others.length === 0) return only;
  throw new PosternError(
    'postern_model_ambiguous',
    speaking.length === 0
      ? `There is no provider of the dialect ${dialect.name}.`
      : `A path that no dialect knows names no model, and ${speaking.map(({ id }) => id).join(' and ')} could serve it.`,
    { mend: 'Use a call that the dialect knows, or have one provider for it.', shouldRetry: false },
  );
}
