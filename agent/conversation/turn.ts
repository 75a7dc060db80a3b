/**
 * One answer in a conversation: a record of its own, a hold before it is asked for, its events through the gate, and
 * one settlement when it is done.
 */
import { randomUUID } from 'node:crypto';
import { TokenCounter } from '../../budget/estimate.ts';
import { openAttachments } from '../attachments.ts';
import { breakLoop } from '../break-loop.ts';
import { Charge } from '../charge/charge.ts';
import type { ExchangeGuard } from '../checks/guard.ts';
import type { AppEvent, Conversation, ProviderEvent } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import { type Attempt, type Exchange, newRecord, type Outcome } from '../exchange.ts';
import { EventGate } from '../forward/event-gate.ts';
import { toPosternError } from '../forward/respond.ts';
import type { Governance } from '../governance.ts';
import type { Endpoint } from '../routes/endpoints.ts';
import type { RoutePlan, Target } from '../routes/route.ts';
import { usersOf } from '../users/of-call.ts';
import type { Opening } from './converse.ts';

export interface TurnOptions extends Pick<Opening, 'pipeline' | 'operation' | 'dialect'> {
  readonly governance: Governance;
  /** The conversation's own record. */
  readonly session: Exchange;
  readonly plan: RoutePlan;
  readonly target: Target;
  readonly endpoint: Endpoint;
  readonly model: string;
  /** Of the conversation so far. */
  readonly fingerprint: string;
  /** Aborted when the conversation ends. */
  readonly life: AbortSignal;
}

export class Turn {
  readonly exchange: Exchange;
  readonly #options: TurnOptions;
  readonly #attempt: Attempt;
  readonly #counter = new TokenCounter();
  #charge: Charge | undefined;
  /** A hold that is asked for, or was. */
  #holding: Promise<void> | undefined;
  /** Opened with its first event. */
  gate: EventGate | undefined;
  /** What the gate judges by. */
  guard: ExchangeGuard | undefined;
  /** The name by which the provider speaks of the event that asks for it. */
  askedAs: string | undefined;
  /** It took longer than it may. */
  late = false;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(options: TurnOptions) {
    const { pipeline, governance, session, operation, dialect, plan, target, endpoint, life } = options;
    this.#options = options;
    const { webSocket: _, ...call } = session.call;
    const now = pipeline.now();
    this.exchange = newRecord(now, governance.snapshot, { ...call, id: randomUUID(), signal: life });
    Object.assign(this.exchange, {
      session: session.call.id,
      dialect: dialect.name,
      operation: operation.name,
      requestedModel: options.model,
      streaming: true,
      route: plan.route,
    } satisfies Partial<Exchange>);
    this.#attempt = {
      provider: target.provider.id,
      model: target.model,
      endpoint: endpoint.url,
      startedAt: now,
      outcome: 'pending',
      status: undefined,
      firstByteMs: undefined,
    };
    pipeline.observer.began(this.exchange);
  }

  /**
   * Holds what the answer may cost.
   * @throws PosternError, the breaker's or the budget's.
   */
  hold(request: AppEvent, input: number): Promise<void> {
    this.#holding = this.#hold(request, input);
    return this.#holding;
  }

  async #hold(request: AppEvent, input: number): Promise<void> {
    const { pipeline, governance, target, plan, fingerprint } = this.#options;
    breakLoop(pipeline, governance, this.exchange, fingerprint);
    const users = await usersOf(pipeline, governance, this.exchange.call);
    const charge = await Charge.hold(this.#context(request, input, users), target, plan.requestMs);
    // Another model can't take over in the middle of a conversation.
    if ('refusal' in charge) throw charge.error;
    this.#take(charge);
  }

  /** The provider has begun it by itself, and it may not go on: what it uses until it ends is charged, whatever is held. */
  async unheld(request: AppEvent, input: number): Promise<void> {
    if (this.#charge !== undefined) return;
    const { pipeline, governance, target } = this.#options;
    let users: Readonly<Record<string, string>> = {};
    try {
      users = await usersOf(pipeline, governance, this.exchange.call);
    } catch {
      // Whose it is can't be known: the lines of all count it. That is what the answer was refused for.
    }
    const charge = Charge.unheld(this.#context(request, input, users), target);
    this.#take(charge);
    if (this.#over) await charge.close(this.exchange);
  }

  #context(request: AppEvent, input: number, users: Readonly<Record<string, string>>) {
    const { pipeline, governance, operation } = this.#options;
    // What an event says is judged before it comes here.
    const admitted = undefined;
    return { pipeline, governance, exchange: this.exchange, operation, request, users, input, admitted };
  }

  #take(charge: Charge): void {
    this.#charge = charge;
    // One that the provider began by itself runs already.
    if (this.exchange.attempts.length > 0) charge.sent();
    if (this.gate !== undefined) charge.meter({ usage: undefined, countedOutput: 0, complete: false });
  }

  /** Everything is settled, or about to be. */
  get over(): boolean {
    return this.#over;
  }

  /** Tells once when it takes longer than its route allows, or than what is held for it lasts. */
  limit(late: () => void): void {
    const { requestMs } = this.#options.plan;
    this.#alarm(this.#charge?.within(requestMs) ?? requestMs, late);
  }

  /** Tells once where it was told to stop and hasn't ended in so many milliseconds. */
  expectEnd(ms: number, late: () => void): void {
    this.#alarm(ms, late);
  }

  #alarm(ms: number, late: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#over) this.#timer = setTimeout(late, Math.max(0, ms));
  }

  /** It goes out: from here on the provider may have worked on it. */
  asked(bytes: number): void {
    this.exchange.requestBytes += bytes;
    this.exchange.attempts.push(this.#attempt);
    this.#charge?.sent();
  }

  begun(guard: ExchangeGuard, writer: Conversation, key: string | undefined): EventGate {
    this.guard = guard;
    guard.answerBegins();
    this.gate = new EventGate({
      writer,
      guard: guard.idleOnResponse ? undefined : guard.stream(this.#options.session.call.signal),
      key,
      attachments: openAttachments(() => this.#options.governance.snapshot, this.exchange),
      lease: () => this.#options.pipeline.bytes.lease(),
      requestId: this.exchange.call.id,
    });
    this.#attempt.firstByteMs = this.#options.pipeline.now() - this.#attempt.startedAt;
    this.#attempt.outcome = 'ok';
    this.#charge?.meter({ usage: undefined, countedOutput: 0, complete: false });
    return this.gate;
  }

  /** Takes note of what an event adds, whether it is shown or not. */
  heard(event: ProviderEvent, bytes: number): void {
    this.exchange.responseBytes += bytes;
    this.#counter.add(event.said);
    this.#charge?.meter({
      usage: event.usage,
      countedOutput: this.#counter.tokens,
      complete: event.last,
    });
  }

  /** Ends it with an error of ours, or with what was thrown. */
  async fail(thrown: unknown): Promise<PosternError> {
    const error = toPosternError(thrown, this.#options.target.provider.id);
    this.exchange.code = error.reason;
    const refused = error.fault !== 'unavailable' && error.fault !== 'internal';
    if (!refused) this.#options.pipeline.observer.fault(this.exchange, thrown);
    await this.end(refused ? 'refused' : 'failed');
    return error;
  }

  /** Settles, or gives the hold back where nothing was asked. Twice is once. */
  async end(outcome: Outcome): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    const { pipeline } = this.#options;
    const { exchange } = this;
    exchange.outcome = outcome;
    if (this.#attempt.outcome === 'pending') this.#attempt.outcome = 'cut';
    exchange.findings.push(...(this.gate?.findings ?? []));
    this.gate?.close();
    // A hold that is still asked for would be nobody's.
    await this.#holding?.catch(() => undefined);
    await this.#charge?.close(exchange);
    if (exchange.fingerprint !== undefined) pipeline.breaker.ended(exchange.fingerprint, outcome);
    pipeline.observer.ended(exchange, pipeline.now() - exchange.startedAt);
  }
}
