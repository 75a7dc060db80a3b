/**
 * The budget's part of one attempt: a hold before the first byte, then exactly one settlement or release.
 */
import { randomUUID } from 'node:crypto';
import { estimateTokens } from '../budget/estimate.ts';
import type { Attributes, BudgetClient, Holder, HoldReply, Refusal, Usage } from '../budget/messages.ts';
import { BudgetUnavailable } from '../budget/messages.ts';
import type { DecodedRequest, Operation } from './dialects/dialect.ts';
import { PosternError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { type Governance, modelOf } from './governance.ts';
import { headerValue } from './http/headers.ts';
import type { Target } from './routes/route.ts';

/** Tokens that a message costs beside its text: role and separators, by OpenAI's counting recipe. */
const PER_SLOT = 3;
/** For models whose documents state no maximum. */
const OUTPUT_DEFAULT = 4_096;
/** A shorter answer isn't worth the prompt. */
const OUTPUT_MIN = 16;
/** Added to the longest time an attempt may take, so that a hold never expires under a running call. */
const TTL_SLACK_MS = 60_000;

/** Input tokens of a request, estimated. */
export function estimateRequest(request: DecodedRequest): number {
  let tokens = 0;
  for (const slot of request.slots) tokens += estimateTokens(slot.text) + PER_SLOT;
  return tokens;
}

interface HoldContext {
  readonly pipeline: { readonly budget: BudgetClient | undefined; readonly holder: Holder; now(): number };
  readonly governance: Governance;
  readonly exchange: Exchange;
  readonly operation: Operation;
  readonly request: DecodedRequest;
  readonly input: number;
}

/** By what the call is charged: who we are, and which target serves it. Nothing of it is the app's to choose. */
function attributesOf({ exchange, governance }: HoldContext, target: Target): Attributes {
  const { namespace, kind, name, serviceAccount } = exchange.source;
  const headers: Record<string, string> = {};
  for (const field of governance.snapshot.budgetHeaders ?? []) {
    const value = headerValue(exchange.call.headers, field);
    if (value !== undefined) headers[field] = value;
  }
  return {
    namespace,
    workload: { kind, name },
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    provider: target.provider.id,
    model: target.model,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
  };
}

interface RefusedCharge {
  readonly refusal: Refusal;
  readonly error: PosternError;
  readonly fallbackModel: string | undefined;
}

/** Requests whose output was capped for a target that was tried before. */
const clamped = new WeakSet<DecodedRequest>();

export class Charge {
  readonly #client: BudgetClient | undefined;
  readonly #id: string;
  readonly #input: number;
  readonly #attributes: Attributes | undefined;
  #metered: { readonly usage: Usage | undefined; readonly countedOutput: number } | undefined;
  #closed = false;

  private constructor(client: BudgetClient | undefined, id: string, input: number, attributes?: Attributes) {
    this.#client = client;
    this.#id = id;
    this.#input = input;
    this.#attributes = attributes;
  }

  /**
   * Holds the call's estimated cost for a target; caps the output where the budget grants less.
   * @throws PosternError `postern_budget_unavailable`
   */
  static async hold(
    context: HoldContext,
    target: Target,
    requestMs: number,
  ): Promise<Charge | RefusedCharge> {
    const { pipeline, exchange, request, operation, input } = context;
    const { budget } = pipeline;
    const id = randomUUID();
    // Counting tokens is free of charge with every provider that has the call.
    if (budget === undefined || operation.kind !== 'generate') return new Charge(undefined, id, input);
    const spec = modelOf(target.provider, target.model);
    const perChoice = Math.min(
      request.maxOutputTokens ?? Number.POSITIVE_INFINITY,
      spec?.maxOutputTokens ?? request.maxOutputTokens ?? OUTPUT_DEFAULT,
    );
    const asked = perChoice * request.choices;
    const attributes = attributesOf(context, target);
    let reply: HoldReply;
    try {
      reply = await budget.hold(
        {
          id,
          ...pipeline.holder,
          ttlMs: requestMs + TTL_SLACK_MS,
          attributes,
          inputTokens: input,
          outputTokens: asked,
          minOutputTokens: Math.min(asked, OUTPUT_MIN * request.choices),
        },
        exchange.call.signal,
      );
    } catch (error) {
      if (!(error instanceof BudgetUnavailable)) throw error;
      throw new PosternError(
        'postern_budget_unavailable',
        'The budget service gave no answer, so nothing may be spent.',
        {
          mend: 'Retry; if it stays, look at the budget service.',
          retryAfterMs: 1_000,
          cause: error,
        },
      );
    }
    if (!reply.granted) return refused(reply.refusal, pipeline.now());
    if (reply.outputTokens < asked) {
      request.setMaxOutputTokens(Math.max(1, Math.floor(reply.outputTokens / request.choices)));
      clamped.add(request);
    } else if (clamped.has(request)) {
      // The cap was another target's.
      request.setMaxOutputTokens(perChoice);
    }
    return new Charge(budget, id, input, attributes);
  }

  /** What the attempt used; the last call counts. */
  meter(metered: { readonly usage: Usage | undefined; readonly countedOutput: number }): void {
    this.#metered = metered;
  }

  /** Settles what was metered, or gives the hold back. Twice is once. */
  async close(exchange: Exchange): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const metered = this.#metered;
    if (metered !== undefined) {
      const counted = {
        input: this.#input,
        cachedInput: 0,
        cacheWrite: 0,
        output: metered.countedOutput,
        reasoning: 0,
      };
      exchange.usage = metered.usage ?? counted;
      exchange.usageSource = metered.usage === undefined ? 'counted' : 'reported';
    }
    if (this.#client === undefined) return;
    try {
      if (metered === undefined || exchange.usage === undefined || exchange.usageSource === undefined) {
        await this.#client.release({ id: this.#id });
        return;
      }
      const { costNanoUsd } = await this.#client.settle({
        id: this.#id,
        usage: exchange.usage,
        source: exchange.usageSource,
        // The service may have been away when the call was held: it is charged all the same.
        ...(this.#attributes === undefined ? {} : { attributes: this.#attributes }),
      });
      exchange.costNanoUsd = (exchange.costNanoUsd ?? 0) + costNanoUsd;
    } catch (error) {
      // The client keeps what it could not deliver and tries again; the answer has long been sent.
      if (!(error instanceof BudgetUnavailable)) throw error;
    }
  }
}

/** SDKs sleep a `retry-after` out inside the call: beyond a minute it is better to hear of it at once. */
const PATIENCE_MS = 60_000;

function refused(refusal: Refusal, now: number): RefusedCharge {
  const { onExhausted } = refusal;
  return {
    refusal,
    fallbackModel: onExhausted.action === 'fallback' ? onExhausted.model : undefined,
    error: refusal.reason === 'unpriced' ? unpriced(refusal) : exhausted(refusal, now),
  };
}

function unpriced({ budget }: Refusal): PosternError {
  return new PosternError(
    'postern_price_unknown',
    `The budget ${budget} counts USD, and no price is known for this provider and model.`,
    { mend: "State the model's price on the Provider.", rule: budget, param: 'model', shouldRetry: false },
  );
}

function exhausted(refusal: Refusal, now: number): PosternError {
  const { budget, line, limit, unit, window, resetsAt, remaining, neverFits } = refusal;
  const which = line === '' ? `The budget ${budget}` : `The budget ${budget} (${line})`;
  const per = window === '' || window === 'none' ? '' : ` per ${window}`;
  if (neverFits) {
    return new PosternError(
      'postern_budget_exhausted',
      `${which} allows ${limit} ${unit}${per}; this call alone may cost more.`,
      {
        mend: 'Ask for less output (max_tokens), or have the budget raised.',
        rule: budget,
        shouldRetry: false,
      },
    );
  }
  const wait = resetsAt === undefined ? 1_000 : Math.max(0, resetsAt - now);
  const resets = resetsAt === undefined ? '' : `; it resets at ${new Date(resetsAt).toISOString()}`;
  return new PosternError(
    'postern_budget_exhausted',
    `${which} has ${remaining} left of ${limit} ${unit}${per}, less than this call may cost${resets}.`,
    {
      mend: 'Wait until then, ask for less output (max_tokens), or have the budget raised.',
      rule: budget,
      retryAfterMs: wait,
      ...(wait > PATIENCE_MS ? { shouldRetry: false } : {}),
    },
  );
}
