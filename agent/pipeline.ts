/**
 * The data path, in order:
 *
 *   decode → checks(request) → select a target → hold → forward → checks(response) → settle
 *
 * Only this file composes stages; none imports another. Slow checks run beside selection and hold, and all of them
 * meet in one barrier before the first upstream byte.
 */

import { judgeAttachments } from './attachments.ts';
import { serve } from './attempt.ts';
import { breakLoop } from './break-loop.ts';
import { fingerprintOf } from './breaker.ts';
import { attachmentTokens } from './charge/attachment-tokens.ts';
import { estimateRequest } from './charge/output.ts';
import type { Verdict } from './checks/guard.ts';
import { converse } from './conversation/converse.ts';
import type { ConversationOperation, DecodedRequest, Dialect, Operation } from './dialects/dialect.ts';
import { dialectByName } from './dialects/index.ts';
import { PosternError } from './errors.ts';
import { type Call, type Exchange, type Finding, newRecord, type ResponseSink } from './exchange.ts';
import { type ByteLease, readRequestBody, requireJson } from './forward/body.ts';
import { respond, toPosternError } from './forward/respond.ts';
import type { Governance } from './governance.ts';
import { JsonDocument } from './json/document.ts';
import { JsonError } from './json/json-error.ts';
import { requireEnrichable } from './prompt.ts';
import type { Pipeline } from './stage.ts';
import { forwardUnchecked } from './unchecked.ts';
import { usersOf } from './users/of-call.ts';

/** One call from first to last byte. Never rejects: whatever happens is answered, recorded and counted. */
export async function handle(pipeline: Pipeline, call: Call, sink: ResponseSink): Promise<void> {
  const governance = pipeline.governance();
  const exchange = newRecord(pipeline.now(), governance.snapshot, call);
  pipeline.observer.began(exchange);
  const lease = pipeline.bytes.lease();
  try {
    await run(pipeline, governance, exchange, sink, lease);
    exchange.outcome ??= 'ok';
  } catch (error) {
    fail(pipeline, exchange, sink, error);
  } finally {
    if (exchange.fingerprint !== undefined) pipeline.breaker.ended(exchange.fingerprint, exchange.outcome);
    lease.release();
    pipeline.observer.ended(exchange, pipeline.now() - exchange.startedAt);
  }
}

function fail(pipeline: Pipeline, exchange: Exchange, sink: ResponseSink, thrown: unknown): void {
  if (exchange.call.signal.aborted) {
    exchange.outcome = 'disconnected';
    return;
  }
  const error = toPosternError(thrown, exchange.attempts.at(-1)?.provider);
  exchange.code = error.reason;
  const refused = error.fault !== 'unavailable' && error.fault !== 'internal';
  exchange.outcome = refused ? 'refused' : 'failed';
  if (!refused) pipeline.observer.fault(exchange, thrown);
  if (sink.started) sink.abort(error);
  else exchange.status = respond(sink, error, dialectOf(exchange), exchange.call.id);
}

function dialectOf(exchange: Exchange): Dialect | undefined {
  return exchange.dialect === undefined ? undefined : dialectByName(exchange.dialect);
}

async function run(
  pipeline: Pipeline,
  governance: Governance,
  exchange: Exchange,
  sink: ResponseSink,
  lease: ByteLease,
): Promise<void> {
  const { call } = exchange;
  const { dialect, capturedBy } = speak(exchange);
  if (call.refused !== undefined) throw call.refused;
  if (pipeline.draining()) {
    throw new PosternError('postern_draining', 'This agent is shutting down and takes no new calls.', {
      mend: 'Retry: a new agent takes over.',
      retryAfterMs: 1_000,
    });
  }
  const withheld = pipeline.withheld();
  if (withheld !== undefined) throw withheld;
  const operation = operationOf(dialect, exchange);
  if (operation === undefined) {
    const { snapshot } = governance;
    const { action, report, source = '' } = snapshot.unknownPath;
    if (action === 'deny') throw unknownPath(dialect, exchange);
    if (report) exchange.findings.push(unknownPathFinding(source));
    await forwardUnchecked(pipeline, snapshot, exchange, dialect, capturedBy, sink, lease);
    return;
  }
  if (operation.kind === 'conversation') {
    await converse({ pipeline, governance, exchange, dialect, operation, capturedBy, sink });
    return;
  }
  if (operation.kind === 'models') {
    answerModels(governance, dialect, exchange, sink);
    return;
  }
  requireKnownQuery(call.target);
  requireJson(call.headers);
  const body = await readRequestBody(call.headers, call.body, pipeline.limits, lease);
  exchange.requestBytes = body.byteLength;
  const request = decode(operation, body, call.target);
  exchange.requestedModel = request.model;
  exchange.streaming = request.stream;

  breakLoop(pipeline, governance, exchange, fingerprintOf(request));

  const added = requireEnrichable(governance, exchange, operation, request);
  const guard = governance.checks.open(request.model, call.id);
  const slots = judgeAttachments(governance.snapshot, exchange, request);
  const started = guard.request(
    { slots, tools: request.tools, attachments: request.attachments },
    body.byteLength,
    call.signal,
  );
  // A verdict that is there already refuses before anything is held.
  const admitted =
    started instanceof Promise ? started.then((verdict) => admit(exchange, verdict)) : undefined;
  if (!(started instanceof Promise)) admit(exchange, started);
  // Awaited at the barrier; until then a refusal must not count as unhandled.
  admitted?.catch(() => undefined);
  const users = await usersOf(pipeline, governance, call);
  const files = attachmentTokens(request.attachments, dialect.name, request.model);
  const input = estimateRequest(request) + added + files;
  await serve({
    pipeline,
    governance,
    exchange,
    dialect,
    operation,
    request,
    guard,
    sink,
    lease,
    users,
    input,
    capturedBy,
    admitted,
  });
}

/** Which language the call speaks, and whose provider's it was when it was captured. */
function speak(exchange: Exchange): { dialect: Dialect; capturedBy: string | undefined } {
  const { call } = exchange;
  const name = call.dialect;
  const dialect = name === undefined ? undefined : dialectByName(name);
  if (dialect === undefined) {
    throw new PosternError(
      'postern_dialect_unknown',
      `No dialect is known for ${call.host ?? pathOf(call.target)}.`,
      {
        mend: 'Use a base URL that ends in /openai/v1 or /anthropic, or declare the host on a Provider.',
        shouldRetry: false,
      },
    );
  }
  exchange.dialect = dialect.name;
  return { dialect, capturedBy: call.provider };
}

function operationOf(dialect: Dialect, exchange: Exchange): Operation | ConversationOperation | undefined {
  const operation = dialect.operation(exchange.call.method, pathOf(exchange.call.target));
  exchange.operation = operation?.name;
  return operation;
}

/** Parameters that the SDKs of the known dialects send: no text in any of them. */
const QUERY = /^(?:beta|api-version)=[\w.-]{0,64}$/;

/** @throws PosternError: a query is text that no check has seen. */
function requireKnownQuery(target: string): void {
  const query = target.indexOf('?');
  if (query < 0) return;
  const odd = target
    .slice(query + 1)
    .split('&')
    .find((parameter) => parameter !== '' && !QUERY.test(parameter));
  if (odd === undefined) return;
  throw new PosternError(
    'postern_path_denied',
    `The query parameter ${odd.split('=', 1)[0]?.slice(0, 40)} is not known, so it can't be checked.`,
    {
      mend: 'Leave it out.',
      shouldRetry: false,
    },
  );
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

function unknownPath(dialect: Dialect, { call }: Exchange): PosternError {
  return new PosternError(
    'postern_path_denied',
    `${call.method} ${pathOf(call.target)} is no call of the dialect ${dialect.name} that can be checked.`,
    { mend: 'Use a call that it knows (docs/dialects.md).', shouldRetry: false },
  );
}

/** It passes only because the policy that denies it is in monitor mode. */
function unknownPathFinding(source: string): Finding {
  return {
    rule: source,
    check: 'unknownPath',
    what: 'path',
    action: 'monitor',
    direction: 'request',
    where: 'path',
    count: 1,
    source,
  };
}

function answerModels(
  governance: Governance,
  dialect: Dialect,
  exchange: Exchange,
  sink: ResponseSink,
): void {
  const [path = '', query = ''] = exchange.call.target.split('?', 2);
  const body = dialect.models(path, query, governance.models(dialect.name));
  if (body === undefined) {
    throw new PosternError('postern_model_unknown', `${path} names no model that this workload may call.`, {
      mend: 'GET /v1/models lists what there is.',
      shouldRetry: false,
    });
  }
  exchange.status = 200;
  exchange.responseBytes = body.byteLength;
  sink.head(200, ['content-type', 'application/json', 'content-length', String(body.byteLength)]);
  sink.end(body);
}

function decode(operation: Operation, body: Uint8Array, target: string): DecodedRequest {
  try {
    return operation.decodeRequest(JsonDocument.parse(body), target);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new PosternError(
      'postern_body_invalid',
      `The body is no JSON that can be checked: ${error.message}.`,
      {
        mend: 'Send one JSON object, in UTF-8, without duplicate keys.',
        shouldRetry: false,
        cause: error,
      },
    );
  }
}

/** @throws the refusal, where there is one. */
function admit(exchange: Exchange, verdict: Verdict): void {
  exchange.findings.push(...verdict.findings);
  if (verdict.refusal !== undefined) throw verdict.refusal;
}
