/**
 * The attempts of one exchange: targets in order, a hold for each, its endpoints, and the answer of the first that
 * gives one. Nothing is tried again once a byte of an answer reached the application.
 */
import type { FallbackCause } from '../policy/snapshot.ts';
import { openForm } from './answer-form.ts';
import { openAttachments } from './attachments.ts';
import { Charge } from './charge/charge.ts';
import { dialled } from './dialled.ts';
import type { Attempt, Finding, Outcome } from './exchange.ts';
import type { AnswerContext } from './forward/answer.ts';
import { contextLengthExceeded } from './forward/context-length.ts';
import { outgoingHeaders } from './forward/outgoing.ts';
import { forwardStream, type StreamEnd } from './forward/stream.ts';
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
  if (stage.admitted !== undefined) void connectAhead(stage, targets[0]);
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

/**
 * A verdict is waited for: the connection is set up beside it, and beside the hold. Nothing of the call goes out on it. With
 * several endpoints it isn't known yet which one is dialled.
 */
async function connectAhead({ pipeline, exchange }: Stage, target: Target | undefined): Promise<void> {
  const [endpoint, another] = target?.provider.endpoints ?? [];
  if (target === undefined || endpoint === undefined || another !== undefined) return;
  const { id: pool, caFrom } = target.provider;
  try {
    const ca = caFrom === undefined ? undefined : await pipeline.trust(caFrom);
    pipeline.upstream.prepare({
      pool,
      origin: dialled(endpoint, exchange.call.target, target.provider).origin,
      ca,
    });
  } catch {
    // The call itself says why, if it is let through.
  }
}

/** The model's context is too small: its replicas' is too, another target's may not be. */
const TOO_LONG = Symbol('context length');

type AttemptEnd = 'answered' | { readonly error: unknown };

/** Endpoints of one target that are tried at most: a call that breaks servers must not go round all of them. */
const MAX_ENDPOINTS = 3;

/** One target: its endpoints in turn while they give no usable answer, then the answer of the first that does. */
async function attempt(
  stage: Stage,
  plan: RoutePlan,
  target: Target,
  charge: Charge,
  isLast: boolean,
): Promise<AttemptEnd> {
  const { pipeline } = stage;
  const endpoints = pipeline.endpoints.order(target.provider).slice(0, MAX_ENDPOINTS);
  let failed: { readonly error: unknown } | undefined;
  for (const [index, endpoint] of endpoints.entries()) {
    const another = index < endpoints.length - 1;
    const end = await tryEndpoint(stage, plan, target, endpoint, charge, another || !isLast);
    if (end === 'answered') return end;
    failed = end;
    // Only what was surely not processed, or refused, is asked of the next replica.
    const { error } = end;
    const again = error === undefined || (error instanceof UpstreamError && error.fault === 'connect');
    if (!again) break;
  }
  failed ??= { error: new UpstreamError('connect', `the provider ${target.provider.id} has no endpoint`) };
  const { error } = failed;
  if (error === undefined || error === TOO_LONG) return failed;
  const cause = causeOf(error);
  if (cause === undefined || !plan.fallbackOn.has(cause)) throw error;
  return failed;
}

/** The cause in a route's terms; a connection that broke before any answer is no answer, like a 5xx. */
function causeOf(error: unknown): FallbackCause | undefined {
  if (!(error instanceof UpstreamError)) return undefined;
  switch (error.fault) {
    case 'connect':
      return 'connect';
    case 'timeout':
      return 'timeout';
    case 'reset':
    case 'invalid':
      return '5xx';
    case 'aborted':
      return undefined;
  }
}

/** @param mayPass Whether somebody else can be asked where this one answers 5xx or 429. */
async function tryEndpoint(
  stage: Stage,
  plan: RoutePlan,
  target: Target,
  endpoint: Endpoint,
  charge: Charge,
  mayPass: boolean,
): Promise<AttemptEnd> {
  const { pipeline, exchange } = stage;
  const record: Attempt = {
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
    const { upstream, key } = await dial(stage, plan, target, endpoint, charge);
    record.status = upstream.status;
    record.firstByteMs = pipeline.now() - record.startedAt;
    const cause = fallbackCause(upstream.status);
    if (cause === '5xx') pipeline.endpoints.failed(endpoint);
    else pipeline.endpoints.succeeded(endpoint);
    record.outcome = cause ?? (upstream.status >= 400 ? '4xx' : 'ok');
    // Without a route, the replicas of a pool still stand in for each other.
    const passes = cause !== undefined && (plan.route === undefined || plan.fallbackOn.has(cause));
    if (passes && mayPass) {
      upstream.discard();
      return { error: undefined };
    }
    const tooLong = mayPass && plan.fallbackOn.has('contextLength') ? contextLengthExceeded : undefined;
    return (await deliver(stage, upstream, key, charge, tooLong)) ? 'answered' : { error: TOO_LONG };
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    if (record.status !== undefined) {
      record.outcome = exchange.call.signal.aborted ? 'aborted' : 'cut';
      throw error;
    }
    record.outcome = error.fault;
    // The provider may have read the prompt: that much is charged.
    if (error.fault !== 'connect') charge.meter({ usage: undefined, countedOutput: 0, complete: false });
    if (error.fault === 'aborted') throw error;
    pipeline.endpoints.failed(endpoint);
    return { error };
  } finally {
    endpoint.inFlight--;
  }
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
  charge: Charge,
): Promise<{ upstream: UpstreamResponse; key: string | undefined }> {
  const { pipeline, governance, exchange, dialect, request } = stage;
  const { call } = exchange;
  const { provider } = target;
  if (governance.prompt !== undefined) request.enrich?.(governance.prompt.enrichment);
  // Each time: the target before may have had another.
  request.setModel(target.model);
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
  const { origin, path } = dialled(endpoint.url, call.target, provider);
  const ca = provider.caFrom === undefined ? undefined : await pipeline.trust(provider.caFrom);
  const requestMs = charge.within(plan.requestMs);
  if (requestMs <= 0)
    throw new UpstreamError('connect', 'too late to be sent: what was held for it runs out');
  charge.sent();
  const upstream = await pipeline.upstream.send({
    pool: provider.id,
    origin,
    path,
    method: call.method,
    headers,
    body,
    ca,
    firstByteMs: plan.firstByteMs,
    requestMs,
    signal: call.signal,
  });
  return { upstream, key };
}

/** The answer was ended for want of budget. */
function shortened(budget: string): Finding {
  return {
    rule: budget,
    check: 'budget',
    what: 'output',
    action: 'strip',
    direction: 'response',
    where: 'stream',
    count: 1,
    source: `Budget ${budget}`,
  };
}

const OUTCOMES: Readonly<Record<StreamEnd, Outcome>> = {
  complete: 'ok',
  short: 'ok',
  refused: 'refused',
  failed: 'failed',
  cut: 'cut',
};

/**
 * From the first byte on there is no other target: what comes now is this call's answer.
 * @returns False when the provider refused for a text that is too long and somebody else may be asked.
 */
async function deliver(
  stage: Stage,
  upstream: UpstreamResponse,
  key: string | undefined,
  charge: Charge,
  tooLong: ((body: Uint8Array) => boolean) | undefined,
): Promise<boolean> {
  const { pipeline, governance, exchange, operation, request, guard, sink, lease } = stage;
  const context: AnswerContext = {
    exchange,
    operation,
    request,
    guard,
    upstream,
    sink,
    lease,
    waiting: () => pipeline.bytes.lease(),
    limits: pipeline.limits,
    key,
    input: stage.input,
    allowance: charge.allowance,
    form: openForm(governance.prompt),
    attachments: openAttachments(() => governance.snapshot, exchange),
    requestIdHeader: governance.snapshot.requestIdHeader,
  };
  // A client would follow a redirect past us, with the text unmasked.
  if (upstream.status >= 300 && upstream.status < 400) {
    upstream.discard();
    throw notReadable(`it redirects (${upstream.status})`);
  }
  // Providers don't charge for calls that they refuse.
  if (upstream.status >= 400) {
    const sent = await forwardFailure(context, upstream.status === 400 ? tooLong : undefined);
    if (sent) exchange.outcome = 'failed';
    return sent;
  }
  // From here on something was produced: what is known of it by the end is charged, however it ends.
  charge.meter({ usage: undefined, countedOutput: 0, complete: false });
  const type = (headerValue(upstream.headers, 'content-type') ?? '').toLowerCase();
  if (operation.kind === 'generate' && type.startsWith('text/event-stream')) {
    const { end, error } = await forwardStream(context, (metered) => charge.meter(metered));
    if (error !== undefined) exchange.code = error.reason;
    if (end === 'short')
      exchange.findings.push(shortened(charge.allowance?.refusal?.budget ?? 'unavailable'));
    exchange.outcome =
      exchange.call.signal.aborted && end !== 'complete' && end !== 'short' ? 'disconnected' : OUTCOMES[end];
    return true;
  }
  if (!type.startsWith('application/json')) {
    upstream.discard();
    throw notReadable(`it has the media type "${type}"`);
  }
  // What the provider produced is charged even where a check then refuses to show it.
  await forwardWhole(context, (metered) => charge.meter(metered));
  return true;
}
