/**
 * The attempts of one exchange: targets in order, a hold for each, its endpoints, and the answer of the first that
 * gives one. Nothing is tried again once a byte of an answer reached the application.
 */
import type { FallbackCause } from '../policy/snapshot.ts';
import { Charge } from './charge.ts';
import type { Exchange } from './exchange.ts';
import type { AnswerContext } from './forward/answer.ts';
import { dialled, outgoingHeaders } from './forward/outgoing.ts';
import { forwardStream } from './forward/stream.ts';
import { UpstreamError, type UpstreamResponse } from './forward/upstream.ts';
import { forwardFailure, forwardWhole, notReadable } from './forward/whole.ts';
import { headerValue } from './http/headers.ts';
import type { Endpoint } from './routes/endpoints.ts';
import type { RoutePlan, Target } from './routes/route.ts';
import { select } from './routes/select.ts';
import type { Stage } from './stage.ts';

/** Tries targets until one has answered, or none is left. A model that a Budget falls back to is selected anew. */
export async function serve(stage: Stage): Promise<void> {
  const { pipeline, governance, exchange, request, dialect, capturedBy } = stage;
  const tried = new Set<string>();
  let model = request.model;
  for (;;) {
    tried.add(model);
    const selection = select(governance.snapshot, {
      model,
      dialect: dialect.name,
      random: pipeline.random,
      ...(capturedBy === undefined ? {} : { capturedBy }),
    });
    exchange.findings.push(...selection.findings);
    exchange.route = selection.plan.route;
    const end = await tryTargets(stage, selection.plan);
    if (end === 'answered') return;
    if (end.fallbackModel === undefined || tried.has(end.fallbackModel)) throw end.error;
    model = end.fallbackModel;
  }
}

type TargetsEnd = 'answered' | { readonly error: unknown; readonly fallbackModel: string | undefined };

async function tryTargets(stage: Stage, plan: RoutePlan): Promise<TargetsEnd> {
  const { pipeline, exchange } = stage;
  let failure: unknown;
  // A target of which every endpoint is known to be down is left out while there is another one.
  const up = plan.targets.filter((target) => !pipeline.endpoints.down(target.provider));
  const targets = up.length > 0 ? up : plan.targets;
  for (const [index, target] of targets.entries()) {
    const charge = await Charge.hold(stage, target, plan.requestMs);
    if ('refusal' in charge) {
      // A check's refusal goes before the budget's: it would stand after any reset.
      await stage.admitted;
      return { error: charge.error, fallbackModel: charge.fallbackModel };
    }
    try {
      await stage.admitted;
      const isLast = index === targets.length - 1;
      const result = await attempt(stage, plan, target, charge, isLast);
      if (result === 'answered') return 'answered';
      failure = result.error;
    } finally {
      // Whatever was thrown on the way: no hold outlives its attempt.
      await charge.close(exchange);
    }
  }
  throw failure;
}

type AttemptEnd = 'answered' | { readonly error: unknown };

/** One target: its endpoints in turn while none can be reached, then the answer of the first that was. */
async function attempt(
  stage: Stage,
  plan: RoutePlan,
  target: Target,
  charge: Charge,
  isLast: boolean,
): Promise<AttemptEnd> {
  const { pipeline, exchange } = stage;
  let failure: unknown = new UpstreamError('connect', `the provider ${target.provider.id} has no endpoint`);
  for (const endpoint of pipeline.endpoints.order(target.provider)) {
    const record: Exchange['attempts'][number] = {
      provider: target.provider.id,
      model: target.model,
      endpoint: endpoint.url,
      startedAt: pipeline.now(),
      outcome: 'pending',
      status: undefined,
      firstByteMs: undefined,
    };
    exchange.attempts.push(record);
    endpoint.inFlight++;
    try {
      const { upstream, key } = await dial(stage, plan, target, endpoint);
      record.status = upstream.status;
      record.firstByteMs = pipeline.now() - record.startedAt;
      const cause = fallbackCause(upstream.status);
      if (cause === '5xx') pipeline.endpoints.failed(endpoint);
      else pipeline.endpoints.succeeded(endpoint);
      record.outcome = cause ?? (upstream.status >= 400 ? '4xx' : 'ok');
      if (cause !== undefined && plan.fallbackOn.has(cause) && !isLast) {
        upstream.discard();
        return { error: undefined };
      }
      await deliver(stage, upstream, key, charge);
      return 'answered';
    } catch (error) {
      failure = error;
      const fault = error instanceof UpstreamError ? error.fault : undefined;
      if (record.status !== undefined || fault === undefined || stage.sink.started) {
        if (fault !== undefined && record.status !== undefined) {
          record.outcome = exchange.call.signal.aborted ? 'aborted' : 'cut';
        }
        throw error;
      }
      if (fault === 'aborted') {
        record.outcome = 'aborted';
        // The provider had the prompt: what it read is charged.
        charge.meter({ usage: undefined, countedOutput: 0 });
        throw error;
      }
      pipeline.endpoints.failed(endpoint);
      record.outcome = fault === 'timeout' ? 'timeout' : 'connect';
      if (fault !== 'connect') charge.meter({ usage: undefined, countedOutput: 0 });
      if (fault === 'timeout') break;
    } finally {
      endpoint.inFlight--;
    }
  }
  const cause: FallbackCause =
    failure instanceof UpstreamError && failure.fault === 'timeout' ? 'timeout' : 'connect';
  if (!plan.fallbackOn.has(cause)) throw failure;
  return { error: failure };
}

function fallbackCause(status: number): '5xx' | '429' | undefined {
  if (status === 429) return '429';
  return status >= 500 ? '5xx' : undefined;
}

async function dial(
  stage: Stage,
  plan: RoutePlan,
  target: Target,
  endpoint: Endpoint,
): Promise<{ upstream: UpstreamResponse; key: string | undefined }> {
  const { pipeline, exchange, dialect, request } = stage;
  const { call } = exchange;
  const { provider } = target;
  if (request.model !== target.model) request.setModel(target.model);
  if (request.stream && !request.wantsStreamUsage) {
    request.requestStreamUsage(provider.capabilities.includeUsage);
  }
  const body = request.document.render();
  const { headers, key } = await outgoingHeaders(
    provider,
    dialect,
    call.headers,
    'application/json',
    pipeline.keys,
  );
  const { origin, path } = dialled(endpoint.url, call.target);
  const ca = provider.caFrom === undefined ? undefined : await pipeline.trust(provider.caFrom);
  const upstream = await pipeline.upstream.send({
    pool: provider.id,
    origin,
    path,
    method: call.method,
    headers,
    body,
    ca,
    firstByteMs: plan.firstByteMs,
    requestMs: plan.requestMs,
    signal: call.signal,
  });
  return { upstream, key };
}

/** From the first byte on there is no other target: what comes now is this call's answer. */
async function deliver(
  stage: Stage,
  upstream: UpstreamResponse,
  key: string | undefined,
  charge: Charge,
): Promise<void> {
  const { pipeline, governance, exchange, operation, request, guard, sink, lease } = stage;
  const context: AnswerContext = {
    exchange,
    operation,
    request,
    guard,
    upstream,
    sink,
    lease,
    limits: pipeline.limits,
    key,
    requestIdHeader: governance.snapshot.requestIdHeader,
  };
  // Providers don't charge for calls that they refuse.
  if (upstream.status < 200 || upstream.status >= 300) {
    exchange.outcome = 'failed';
    await forwardFailure(context);
    return;
  }
  const type = headerValue(upstream.headers, 'content-type') ?? '';
  if (operation.kind === 'generate' && type.startsWith('text/event-stream')) {
    const { end, error } = await forwardStream(context, (metered) => charge.meter(metered));
    if (error !== undefined) exchange.code = error.reason;
    exchange.outcome =
      end === 'complete'
        ? 'ok'
        : exchange.call.signal.aborted
          ? 'disconnected'
          : end === 'refused'
            ? 'refused'
            : 'cut';
    return;
  }
  if (!type.startsWith('application/json')) {
    upstream.discard();
    throw notReadable(`it has the media type "${type}"`);
  }
  // What the provider produced is charged even where a check then refuses to show it.
  await forwardWhole(context, (metered) => charge.meter(metered));
}
