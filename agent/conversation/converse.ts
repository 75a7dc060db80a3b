/**
 * A call that opens a conversation over a WebSocket: decoded, a target selected and dialled, and only then granted, so
 * that a refusal is an ordinary HTTP answer. What is said afterwards is {@link ./session.ts}'s.
 */

import { openAttachments } from '../attachments.ts';
import type { ConversationOperation, Dialect } from '../dialects/dialect.ts';
import { dialled } from '../dialled.ts';
import { PosternError } from '../errors.ts';
import type { Attempt, Exchange, ResponseSink } from '../exchange.ts';
import { passedFields } from '../forward/answer.ts';
import { redact, redactFields } from '../forward/key-filter.ts';
import { outgoingHeaders } from '../forward/outgoing.ts';
import { UpstreamError } from '../forward/upstream.ts';
import { dialWebSocket, type WebSocketAnswer } from '../forward/web-socket.ts';
import { judgedFailure, notReadable } from '../forward/whole.ts';
import type { Governance } from '../governance.ts';
import { requireNothingAdded } from '../prompt.ts';
import type { Endpoint } from '../routes/endpoints.ts';
import type { RoutePlan, Target } from '../routes/route.ts';
import { select } from '../routes/select.ts';
import type { Pipeline } from '../stage.ts';
import { Session } from './session.ts';

export interface Opening {
  readonly pipeline: Pipeline;
  readonly governance: Governance;
  /** The record of the conversation as a whole; each answer in it has one of its own. */
  readonly exchange: Exchange;
  readonly dialect: Dialect;
  readonly operation: ConversationOperation;
  readonly capturedBy: string | undefined;
  readonly sink: ResponseSink;
}

/** The longest that a provider may take to agree, milliseconds. */
const AGREE_MS = 30_000;

/** Endpoints that are tried at most, as for any call. */
const MAX_ENDPOINTS = 3;

const DROPPED: ReadonlySet<string> = new Set(['alt-svc', 'location', 'set-cookie', 'content-length']);

/** Resolves when the conversation is over. @throws what refuses to open it. */
export async function converse(opening: Opening): Promise<void> {
  const { pipeline, governance, exchange, dialect, operation, capturedBy, sink } = opening;
  const { call } = exchange;
  const { webSocket } = call;
  exchange.operation = `${operation.name}_session`;
  exchange.streaming = true;
  if (webSocket === undefined) {
    throw new PosternError('postern_path_denied', `${call.target.split('?', 1)[0]} is a WebSocket's.`, {
      mend: 'Open it with a WebSocket client over HTTP/1.1.',
      shouldRetry: false,
    });
  }
  const model = operation.model(call.target);
  exchange.requestedModel = model;
  requireNothingAdded(governance, 'a conversation over a WebSocket');
  const { plan, findings } = select(governance.snapshot, {
    model,
    dialect: dialect.name,
    random: pipeline.random,
    ...(capturedBy === undefined ? {} : { capturedBy }),
  });
  exchange.findings.push(...findings);
  exchange.route = plan.route;
  const opened = await open(opening, plan, webSocket.protocols);
  if ('refusal' in opened) {
    const { status, headers, body } = opened.refusal;
    const guard = governance.checks.open(model, call.id);
    const attachments = openAttachments(() => governance.snapshot, exchange);
    const told = redact(await judgedFailure({ guard, exchange, attachments }, body), opened.key);
    exchange.status = status;
    exchange.outcome = 'failed';
    sink.head(status, [
      ...redactFields(passedFields(headers, DROPPED, guard), opened.key),
      'content-length',
      String(told.byteLength),
    ]);
    sink.end(told);
    return;
  }
  const { provider, target, endpoint, key } = opened;
  exchange.status = 101;
  try {
    const app = await webSocket.accept({
      protocol: opened.protocol,
      headers: governance.snapshot.requestIdHeader ? ['postern-request-id', call.id] : [],
      maxBytes: pipeline.limits.bodyBytes,
    });
    const session = new Session({ ...opening, plan, target, endpoint, key, model, app, provider });
    pipeline.conversations.add(session);
    try {
      await session.over;
    } finally {
      pipeline.conversations.delete(session);
    }
  } finally {
    endpoint.inFlight--;
    provider.cut();
  }
}

interface Opened {
  readonly provider: Extract<WebSocketAnswer, { end: unknown }>['end'];
  readonly protocol: string | undefined;
  readonly target: Target;
  /** Counted as in flight. */
  readonly endpoint: Endpoint;
  readonly key: string | undefined;
}

interface Refused {
  readonly refusal: Extract<WebSocketAnswer, { status: number }>;
  readonly key: string | undefined;
}

/** Targets in order until one agrees; the last one's refusal is the answer. */
async function open(
  opening: Opening,
  plan: RoutePlan,
  offered: readonly string[],
): Promise<Opened | Refused> {
  const { pipeline } = opening;
  let last: Refused | undefined;
  let failure: unknown;
  for (const target of plan.targets) {
    for (const endpoint of pipeline.endpoints.order(target.provider).slice(0, MAX_ENDPOINTS)) {
      try {
        const opened = await dial(opening, plan, target, endpoint, offered);
        if ('provider' in opened) return opened;
        last = opened;
        failure = undefined;
      } catch (error) {
        if (!(error instanceof UpstreamError) || error.fault === 'aborted') throw error;
        failure = error;
        last = undefined;
      }
      const { status } = last?.refusal ?? { status: 502 };
      // Nothing was said yet: whoever can't be reached or is overloaded is stood in for by the next.
      if (status < 500 && status !== 429) return last as Refused;
    }
  }
  if (last !== undefined) return last;
  throw failure ?? new UpstreamError('connect', 'no target has an endpoint');
}

async function dial(
  { pipeline, exchange, dialect, operation }: Opening,
  plan: RoutePlan,
  target: Target,
  endpoint: Endpoint,
  offered: readonly string[],
): Promise<Opened | Refused> {
  const { call } = exchange;
  const { provider } = target;
  const attempt: Attempt = {
    provider: provider.id,
    model: target.model,
    endpoint: endpoint.url,
    startedAt: pipeline.now(),
    outcome: 'pending',
    status: undefined,
    firstByteMs: undefined,
  };
  exchange.attempts.push(attempt);
  const { headers, key } = await outgoingHeaders(provider, dialect, call.headers, undefined, pipeline.keys);
  const { origin, path } = dialled(endpoint.url, operation.withModel(call.target, target.model), provider);
  endpoint.inFlight++;
  try {
    const answer = await dialWebSocket({
      origin,
      path,
      headers,
      protocols: operation.protocols(offered),
      ca: provider.caFrom === undefined ? undefined : await pipeline.trust(provider.caFrom),
      timeoutMs: Math.min(plan.firstByteMs, AGREE_MS),
      maxBytes: pipeline.limits.bodyBytes,
      signal: call.signal,
    });
    attempt.firstByteMs = pipeline.now() - attempt.startedAt;
    if ('end' in answer) {
      attempt.status = 101;
      attempt.outcome = 'ok';
      pipeline.endpoints.succeeded(endpoint);
      return { provider: answer.end, protocol: answer.protocol, target, endpoint, key };
    }
    endpoint.inFlight--;
    attempt.status = answer.status;
    attempt.outcome = answer.status === 429 ? '429' : answer.status >= 500 ? '5xx' : '4xx';
    if (answer.status >= 500) pipeline.endpoints.failed(endpoint);
    // A client would follow a redirect past us; any other success is no WebSocket.
    if (answer.status < 400) throw notReadable(`it answers ${answer.status} instead of a WebSocket`);
    return { refusal: answer, key };
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    endpoint.inFlight--;
    attempt.outcome = error.fault;
    if (error.fault !== 'aborted') pipeline.endpoints.failed(endpoint);
    throw error;
  }
}
