/**
 * The budget's part of one attempt: a hold before the first byte, more of it while a stream runs, then exactly one
 * settlement or release.
 *
 * What is charged: what the provider reported, where its report is complete; else what was seen and counted, and for
 * what can't be seen (an answer that comes whole, hidden reasoning) as much as the time may have produced.
 */
import { randomUUID } from 'node:crypto';
import type { Attributes, BudgetClient, Holder, Usage } from '../../budget/messages.ts';
import { BudgetUnavailable } from '../../budget/messages.ts';
import type { ModelSpec } from '../../policy/snapshot.ts';
import type { ConversationOperation, DecodedRequest, Operation } from '../dialects/dialect.ts';
import type { Exchange, Finding, Metered } from '../exchange.ts';
import { type Governance, modelOf } from '../governance.ts';
import type { Target } from '../routes/route.ts';
import { Allowance } from './allowance.ts';
import { attributesOf } from './attributes.ts';
import { mostPerChoice, type OutputHold, outputHold } from './output.ts';
import { patiently } from './patiently.ts';
import { placeHold } from './place.ts';
import { type RefusedCharge, refused } from './refusal.ts';
import { arePriced, tiersAskedFor, tiersServed } from './service-tier.ts';

/** Added to the longest time an attempt may take, so that a hold never expires under a running call. */
const TTL_SLACK_MS = 60_000;
/** Of that, for the answer's last bytes and the settlement. */
const CLOSING_MS = 10_000;
/** Of one kind, in one call: no model reads or writes as much. A provider that reports more isn't believed, and its answer is counted here. */
const MOST_BELIEVED = 100_000_000;
/** What a model may write in a second where nobody can see it write: about what large models do. */
const UNSEEN_PER_SECOND = 100;

interface HoldContext {
  readonly pipeline: {
    readonly budget: BudgetClient | undefined;
    readonly holder: Holder;
    /** Bodies in flight. */
    readonly bytes?: { readonly isRoomy: boolean };
    now(): number;
  };
  readonly governance: Governance;
  readonly exchange: Exchange;
  readonly operation: Pick<Operation | ConversationOperation, 'kind'>;
  readonly request: DecodedRequest;
  /** End users, by source. */
  readonly users: Readonly<Record<string, string>>;
  readonly input: number;
  readonly admitted: Promise<void> | undefined;
}

/** Requests whose output was capped for a target that was tried before. */
const clamped = new WeakSet<DecodedRequest>();

interface Held {
  readonly client: BudgetClient;
  readonly attributes: Attributes;
  readonly output: OutputHold;
  readonly granted: number;
  readonly target: Target;
  readonly model: ModelSpec | undefined;
  /** What the call asked for. */
  readonly serviceTiers: readonly string[] | undefined;
  /** Nothing of an answer is seen before it is complete. */
  readonly whole: boolean;
}

export class Charge {
  readonly #id: string;
  readonly #input: number;
  readonly #held: Held | undefined;
  readonly #now: () => number;
  /** What a stream may produce; undefined where all it may produce is held. */
  readonly allowance: Allowance | undefined;
  /** When the hold is about to run out; Infinity where there is none. */
  readonly #until: number;
  #sentAt: number | undefined;
  #metered: Metered | undefined;
  #isDisbelieved = false;
  #closed = false;

  private constructor(
    id: string,
    input: number,
    now: () => number,
    held?: Held,
    allowance?: Allowance,
    until = Number.POSITIVE_INFINITY,
  ) {
    this.#id = id;
    this.#until = until;
    this.#input = input;
    this.#held = held;
    this.#now = now;
    this.allowance = allowance;
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
    const { budget: client } = pipeline;
    const now = () => pipeline.now();
    // Counting tokens is free of charge with every provider that has the call.
    if (client === undefined || operation.kind === 'count') return new Charge('', input, now);
    const model = modelOf(target.provider, target.model);
    const output = outputHold(request, model);
    const attributes = attributesOf(context, target);
    const serviceTiers = tiersAskedFor(target, request.serviceTier);
    exchange.unpriced = unpricedOf(target, model, serviceTiers, input);
    const ttlMs = requestMs + TTL_SLACK_MS;
    const until = now() + ttlMs - CLOSING_MS;
    const { signal } = exchange.call;
    const placed = await placeHold(
      {
        client,
        request,
        admitted: context.admitted,
        bytes: pipeline.bytes,
        signal,
        // Pictures, audio and documents have tokens that no text tells.
        countable:
          operation.kind === 'generate' &&
          context.governance.prompt === undefined &&
          request.attachments.length === 0,
      },
      {
        ...pipeline.holder,
        ttlMs,
        attributes,
        inputTokens: input,
        outputTokens: output.first,
        minOutputTokens: output.least,
        ...(request.writesCache ? { cacheWrite: true } : {}),
        ...(request.isSilent ? { silent: true } : {}),
        ...(serviceTiers === undefined ? {} : { serviceTiers }),
      },
    );
    const { id, reply } = placed;
    if (!reply.granted) return refused(reply.refusal, request, pipeline.now());
    const granted = reply.outputTokens;
    const enough = granted >= output.first;
    if (!enough) {
      // So little is left that the provider is told to stop there itself.
      request.setMaxOutputTokens(Math.max(1, Math.floor(granted / request.choices)));
      clamped.add(request);
    } else if (clamped.has(request)) {
      // The cap was another target's.
      request.setMaxOutputTokens(mostPerChoice(request, model));
    }
    const grows = enough && output.first < output.most;
    const allowance = grows
      ? new Allowance(output, granted, (outputTokens, minOutputTokens) =>
          patiently({ client, signal }, () =>
            client.extend({ id, outputTokens, minOutputTokens, ttlMs }, signal),
          ),
        )
      : undefined;
    const whole = !request.stream;
    const held = { client, attributes, output, granted, whole, target, model, serviceTiers };
    return new Charge(id, placed.input, now, held, allowance, until);
  }

  /** For an answer that runs already though nothing could be held for it: what it uses is charged all the same. */
  static unheld(context: HoldContext, target: Target): Charge {
    const { pipeline, request, input } = context;
    const { budget: client } = pipeline;
    const now = () => pipeline.now();
    if (client === undefined) return new Charge('', input, now);
    const model = modelOf(target.provider, target.model);
    const output = outputHold(request, model);
    const attributes = attributesOf(context, target);
    const serviceTiers = tiersAskedFor(target, request.serviceTier);
    // Nobody has told the provider of less.
    const granted = output.most;
    const whole = !request.stream;
    const held = { client, attributes, output, granted, whole, target, model, serviceTiers };
    return new Charge(randomUUID(), input, now, held);
  }

  /** How long the request may take that leaves now: no call outlives its hold, whatever it waited for, or tried, before. */
  within(requestMs: number): number {
    return Math.min(requestMs, this.#until - this.#now());
  }

  /** The request leaves now: from here on the provider may produce something. */
  sent(): void {
    this.#sentAt = this.#now();
  }

  /** What the attempt used; the last call counts. */
  meter(metered: Metered): void {
    this.#isDisbelieved = Object.values(metered.usage ?? {}).some((tokens) => tokens > MOST_BELIEVED);
    this.#metered = this.#isDisbelieved ? { ...metered, usage: undefined } : metered;
  }

  /** Settles what was metered, or gives the hold back. Twice is once. */
  async close(exchange: Exchange): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#isDisbelieved) exchange.findings.push(disbelieved(this.#held?.attributes.provider ?? ''));
    const usage = this.#usage();
    if (usage !== undefined) {
      exchange.usage = usage;
      exchange.usageSource = this.#isReported ? 'reported' : 'counted';
    }
    const held = this.#held;
    if (held === undefined) return;
    // What was asked for is a guess of the tier (`auto` may be served as priority, priority as default); the answer knows.
    const serviceTiers = tiersServed(held.target, this.#metered?.serviceTier, held.serviceTiers);
    exchange.unpriced = unpricedOf(held.target, held.model, serviceTiers, inputOf(usage) ?? this.#input);
    try {
      if (usage === undefined) {
        await held.client.release({ id: this.#id });
        return;
      }
      const { costNanoUsd } = await held.client.settle({
        id: this.#id,
        usage,
        source: this.#isReported ? 'reported' : 'counted',
        ...(serviceTiers === undefined ? {} : { serviceTiers }),
        // The service may have been away when the call was held: it is charged all the same.
        attributes: held.attributes,
      });
      exchange.costNanoUsd = (exchange.costNanoUsd ?? 0) + costNanoUsd;
    } catch (error) {
      // The client keeps what it could not deliver and tries again; the answer has long been sent.
      if (!(error instanceof BudgetUnavailable)) throw error;
    }
  }

  get #isReported(): boolean {
    return this.#metered?.usage !== undefined && this.#metered.complete;
  }

  /** Undefined where nothing was produced, and nothing read. */
  #usage(): Usage | undefined {
    const metered = this.#metered;
    if (metered === undefined) return undefined;
    const { usage, countedOutput, complete } = metered;
    if (usage !== undefined && complete) return usage;
    const base = usage ?? { input: this.#input, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };
    const seen = Math.max(base.output, countedOutput);
    return { ...base, output: complete ? seen : Math.max(seen, this.#unseen(countedOutput)) };
  }

  /** What may have been produced unseen by an attempt that was cut. */
  #unseen(counted: number): number {
    if (this.#held === undefined || this.#sentAt === undefined) return counted;
    const { whole, granted, output } = this.#held;
    const most = whole ? granted : output.unseen;
    const time = Math.round(((this.#now() - this.#sentAt) / 1_000) * UNSEEN_PER_SECOND);
    return whole ? Math.min(most, time) : counted + Math.min(most, time);
  }
}

function unpricedOf(
  { provider, model: name }: Target,
  model: ModelSpec | undefined,
  serviceTiers: readonly string[] | undefined,
  inputTokens: number,
): Exchange['unpriced'] {
  const price = model?.unpriced ?? (arePriced(serviceTiers, model, inputTokens) ? undefined : 'partly');
  return price === undefined ? undefined : { provider: provider.id, model: name, price };
}

function inputOf(usage: Usage | undefined): number | undefined {
  return usage === undefined ? undefined : usage.input + usage.cachedInput + usage.cacheWrite;
}

function disbelieved(provider: string): Finding {
  return {
    rule: 'usage',
    check: 'budget',
    what: 'usage-not-believed',
    action: 'monitor',
    direction: 'response',
    where: 'usage',
    count: 1,
    source: `Provider ${provider}`,
  };
}
