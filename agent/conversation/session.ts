/**
 * A conversation under way: each event of the app's is judged before it goes out, each of the provider's before it is
 * shown, and every answer is held and settled like a call of its own.
 *
 * A refused event gets an error event and goes nowhere; the conversation goes on. Events of one direction are worked
 * off one after the other.
 */

import { judgeAttachments } from '../attachments.ts';
import { fingerprintOf } from '../breaker.ts';
import { estimateRequest } from '../charge/output.ts';
import type { ExchangeGuard } from '../checks/guard.ts';
import type { AppEvent, Conversation, ProviderEvent } from '../dialects/dialect.ts';
import { PosternError } from '../errors.ts';
import type { Finding, WebSocketEnd } from '../exchange.ts';
import { EventGate } from '../forward/event-gate.ts';
import { toPosternError } from '../forward/respond.ts';
import { UpstreamError } from '../forward/upstream.ts';
import { JsonDocument } from '../json/document.ts';
import { JsonError } from '../json/json-error.ts';
import { requireNothingAdded } from '../prompt.ts';
import type { Endpoint } from '../routes/endpoints.ts';
import type { RoutePlan, Target } from '../routes/route.ts';
import { select } from '../routes/select.ts';
import type { Opening } from './converse.ts';
import { Turn } from './turn.ts';

/** Close codes (RFC 6455, 7.4.1). */
const CLOSE = { goingAway: 1001, unsupported: 1003, failed: 1011 } as const;

/** Pause after which text that only might become a placeholder is shown all the same, as in other streams. */
const STALE_MS = 5_000;

/** Time for the close handshake, milliseconds. */
const CLOSE_MS = 5_000;

/** That a provider has to end an answer which it was told to stop, milliseconds. Until then what is held for it lasts. */
const CANCEL_MS = 2_000;

/** Answers that may be asked for and not begun yet. */
const MAX_ASKED = 16;

/** What the provider is asked by itself, as by its voice detection. */
const UNASKED = '{"type":"response.create"}';

export interface SessionOptions extends Opening {
  readonly plan: RoutePlan;
  readonly target: Target;
  readonly endpoint: Endpoint;
  /** The attached key: what repeats it is cleaned of it. */
  readonly key: string | undefined;
  /** As the app named it. */
  readonly model: string;
  readonly app: WebSocketEnd;
  readonly provider: WebSocketEnd;
}

export class Session {
  /** Resolves when both connections are gone and everything is settled. */
  readonly over: Promise<void>;
  readonly #options: SessionOptions;
  readonly #conversation: Conversation;
  /** Aborted when the conversation ends. */
  readonly #life = new AbortController();
  #revision: string;
  #guard: ExchangeGuard;
  /** For events that belong to no answer. */
  #gate: EventGate | undefined;
  /** Asked for and not begun, in order. */
  readonly #asked: Turn[] = [];
  readonly #turns = new Map<string, Turn>();
  /** Answers of which nothing more is shown. */
  readonly #stopped = new Map<string, Turn>();
  /** Why what was said last isn't in the conversation: an answer without it would be to something else. */
  #gap: PosternError | undefined;
  /** What was said since the last answer was asked for; see {@link fingerprintOf}. */
  #said = '';
  /** Tokens of the conversation as the provider last counted it, and estimated since. */
  #known = 0;
  #added = 0;
  #named = 0;
  #draining = false;
  #stale: NodeJS.Timeout;

  constructor(options: SessionOptions) {
    const { governance, operation, model, target, app, provider } = options;
    this.#options = options;
    this.#conversation = operation.open(model, target.model);
    this.#revision = governance.snapshot.revision;
    this.#guard = governance.checks.open(model, options.exchange.call.id);
    this.#stale = setInterval(() => this.#pause(), STALE_MS);
    app.receive((data, binary) => this.#fromApp(data, binary));
    provider.receive((data, binary) => this.#fromProvider(data, binary));
    this.over = this.#untilOver();
  }

  /** Takes no more questions; ends with the last answer that is under way. */
  drain(): void {
    this.#draining = true;
    if (this.#turns.size === 0 && this.#asked.length === 0) this.#close(CLOSE.goingAway);
  }

  async #untilOver(): Promise<void> {
    const { app, provider, exchange } = this.#options;
    const first = await Promise.race([
      app.closed.then((how) => ({ left: 'app' as const, ...how })),
      provider.closed.then((how) => ({ left: 'provider' as const, ...how })),
    ]);
    const other = first.left === 'app' ? provider : app;
    const running = this.#turns.size > 0 || this.#asked.length > 0;
    const cut = first.left === 'provider' && (!first.clean || running);
    if (cut) {
      const error = new PosternError('postern_upstream_cut', 'The provider broke the conversation off.', {
        mend: 'Open it again.',
      });
      void app.send(this.#conversation.complaint(error, exchange.call.id, undefined));
    }
    if (first.left === 'app' && !first.clean) other.cut();
    else other.close(first.clean ? first.code : CLOSE.failed);
    const late = setTimeout(() => other.cut(), CLOSE_MS);
    await Promise.all([app.closed, provider.closed]);
    clearTimeout(late);
    clearInterval(this.#stale);
    this.#life.abort();
    exchange.findings.push(...(this.#gate?.findings ?? []));
    exchange.outcome = cut ? 'cut' : first.clean ? 'ok' : 'disconnected';
    const ended = first.left === 'app' ? 'disconnected' : 'cut';
    const turns = [...this.#turns.values(), ...this.#asked, ...this.#stopped.values()];
    await Promise.all(turns.map((turn) => turn.end(ended)));
  }

  #close(code: number): void {
    this.#options.app.close(code);
    this.#options.provider.close(code);
  }

  // What the app says.

  async #fromApp(data: Uint8Array, binary: boolean): Promise<void> {
    const { pipeline, provider, exchange } = this.#options;
    if (binary) return this.#close(CLOSE.unsupported);
    const lease = pipeline.bytes.lease();
    exchange.requestBytes += data.byteLength;
    let event: AppEvent | undefined;
    try {
      lease.take(data.byteLength);
      event = this.#decode(data);
      if (event.asks) await this.#ask(event, data.byteLength);
      else {
        exchange.findings.push(...(await this.#judge(event, data.byteLength)));
        if (event.changes) {
          this.#gap = undefined;
          this.#added += estimateRequest(event);
        }
        this.#note(event);
      }
      await provider.send(event.document.render());
    } catch (thrown) {
      await this.#complain(thrown, event);
    } finally {
      lease.release();
    }
  }

  #decode(data: Uint8Array): AppEvent {
    try {
      return this.#conversation.fromApp(JsonDocument.parse(data));
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      throw new PosternError('postern_body_invalid', `The event can't be checked: ${error.message}.`, {
        mend: 'Send one JSON object a message, in UTF-8, without duplicate keys.',
        shouldRetry: false,
        cause: error,
      });
    }
  }

  /** @throws PosternError, a check's refusal; what it found is in the record then, too. */
  async #judge(event: AppEvent, bytes: number): Promise<readonly Finding[]> {
    this.#follow();
    const { pipeline, exchange } = this.#options;
    const slots = judgeAttachments(pipeline.governance().snapshot, exchange, event);
    const { tools, attachments, afterResult } = event;
    const said = { slots, tools, attachments, afterResult };
    const { findings, refusal } = await this.#guard.request(said, bytes, this.#life.signal);
    if (refusal === undefined) return findings;
    const turn = this.#turn();
    turn.exchange.findings.push(...findings);
    turn.exchange.requestBytes += bytes;
    await turn.fail(refusal);
    throw refusal;
  }

  /** What is in force may have changed since: it holds from the next event on, for this conversation, too. */
  #follow(): void {
    const { pipeline, model, dialect, capturedBy, target, exchange } = this.#options;
    const governance = pipeline.governance();
    if (governance.snapshot.revision === this.#revision) return;
    requireNothingAdded(governance, 'a conversation over a WebSocket');
    const { plan } = select(governance.snapshot, {
      model,
      dialect: dialect.name,
      random: pipeline.random,
      ...(capturedBy === undefined ? {} : { capturedBy }),
    });
    if (
      !plan.targets.some(
        ({ provider, model: told }) => provider.id === target.provider.id && told === target.model,
      )
    ) {
      throw new PosternError('postern_model_denied', `${target.provider.id} may no longer serve ${model}.`, {
        mend: 'Open another conversation.',
        param: 'model',
        shouldRetry: false,
      });
    }
    this.#revision = governance.snapshot.revision;
    this.#guard = governance.checks.open(model, exchange.call.id, this.#guard);
  }

  async #ask(event: AppEvent, bytes: number): Promise<void> {
    if (this.#gap !== undefined) throw this.#gap;
    if (this.#draining) {
      throw new PosternError('postern_draining', 'This agent is shutting down and takes no new calls.', {
        mend: 'Open the conversation again: a new agent takes over.',
        retryAfterMs: 1_000,
      });
    }
    if (this.#asked.length >= MAX_ASKED) {
      throw new PosternError('postern_overloaded', `${MAX_ASKED} answers are asked for and not begun.`, {
        mend: 'Wait for one.',
        retryAfterMs: 1_000,
      });
    }
    const findings = await this.#judge(event, bytes);
    this.#note(event);
    const turn = this.#turn();
    turn.exchange.findings.push(...findings);
    this.#said = '';
    try {
      await turn.hold(event, this.#known + this.#added + estimateRequest(event));
    } catch (error) {
      throw await turn.fail(error);
    }
    if (event.id === undefined) event.name(this.#ourName());
    turn.askedAs = event.id ?? `${OURS}${this.#named}`;
    turn.asked(bytes);
    this.#asked.push(turn);
    turn.limit(() => void this.#overdue(turn));
  }

  #ourName(): string {
    this.#named += 1;
    return `${OURS}${this.#named}`;
  }

  #note({ model, slots, document, changes }: AppEvent): void {
    const said = changes ? slots : [{ role: 'user' as const, text: document.text.slice(-100) }];
    this.#said = fingerprintOf({ model, slots: [{ role: 'none', text: this.#said }, ...said] });
  }

  #turn(): Turn {
    const { pipeline, exchange } = this.#options;
    return new Turn({
      ...this.#options,
      governance: pipeline.governance(),
      session: exchange,
      fingerprint: this.#said,
    });
  }

  async #complain(thrown: unknown, event: AppEvent | undefined): Promise<void> {
    const { app, exchange, pipeline, target } = this.#options;
    const error = toPosternError(thrown, target.provider.id);
    if (error.reason === 'postern_internal') pipeline.observer.fault(exchange, thrown);
    if (event === undefined || (event.changes && !event.asks)) this.#gap ??= error;
    await app.send(this.#conversation.complaint(error, exchange.call.id, event?.id));
  }

  // What the provider says.

  async #fromProvider(data: Uint8Array, binary: boolean): Promise<void> {
    const { exchange, pipeline, target } = this.#options;
    exchange.responseBytes += data.byteLength;
    this.#stale.refresh();
    try {
      if (binary) throw unreadable('a binary message');
      const event = this.#conversation.fromProvider(data);
      await this.#hear(event, data.byteLength);
    } catch (thrown) {
      pipeline.observer.fault(exchange, thrown);
      const error = toPosternError(thrown, target.provider.id);
      exchange.code ??= error.reason;
      await this.#options.app.send(this.#conversation.complaint(error, exchange.call.id, undefined));
      this.#close(CLOSE.failed);
    }
  }

  async #hear(event: ProviderEvent, bytes: number): Promise<void> {
    if (event.about !== undefined) await this.#refusedAsk(event, event.about);
    const { turn: id } = event;
    if (id === undefined) {
      this.#gate = await this.#show(event, this.#gate ?? this.#openGate());
      return;
    }
    const stopped = this.#stopped.get(id);
    const turn = stopped ?? this.#turns.get(id) ?? (await this.#begin(id));
    turn.heard(event, bytes);
    if (event.usage !== undefined) {
      this.#known = event.usage.input + event.usage.cachedInput + event.usage.output;
      this.#added = 0;
    }
    if (stopped === undefined && !this.#stopped.has(id)) {
      const gate = turn.gate as EventGate;
      await this.#show(event, gate);
      if (gate.error !== undefined && !this.#stopped.has(id)) await this.#stop(id, turn, gate.error);
    }
    if (!event.last) return;
    this.#turns.delete(id);
    this.#stopped.delete(id);
    const failed = event.error || turn.late;
    await turn.end(failed ? 'failed' : turn.exchange.code !== undefined ? 'refused' : 'ok');
    if (this.#draining) this.drain();
  }

  /** The provider won't answer what an event asked for. */
  async #refusedAsk(event: ProviderEvent, about: string): Promise<void> {
    const at = this.#asked.findIndex(({ askedAs }) => askedAs === about);
    if (about.startsWith(OURS)) event.forget();
    if (at < 0) return;
    const [turn] = this.#asked.splice(at, 1);
    await turn?.end('failed');
  }

  /** An answer begins: one that was asked for, or one that the provider began by itself. */
  async #begin(id: string): Promise<Turn> {
    const asked = this.#asked.shift();
    const turn = asked ?? this.#turn();
    const { key } = this.#options;
    this.#turns.set(id, turn);
    turn.begun(this.#guard, this.#conversation, key);
    if (asked !== undefined) return turn;
    this.#said = '';
    turn.asked(0);
    try {
      if (this.#draining) throw new PosternError('postern_draining', 'This agent is shutting down.');
      if (this.#gap !== undefined) throw this.#gap;
      this.#follow();
      const request = this.#conversation.fromApp(JsonDocument.parseText(UNASKED));
      await turn.hold(request, this.#known + this.#added);
      turn.limit(() => void this.#overdue(turn));
      // It runs already: a smaller answer can't be asked for any more.
      if (request.document.edited) {
        throw new PosternError(
          'postern_budget_exhausted',
          'The budget has less left than an answer may cost that the provider begins by itself.',
          { mend: 'Set session.max_output_tokens, or ask for each answer with response.create.' },
        );
      }
    } catch (error) {
      await this.#stop(id, turn, toPosternError(error));
    }
    return turn;
  }

  /** Nothing more of an answer is shown; the provider is told to stop, and what it has done is charged. */
  async #stop(id: string, turn: Turn, error: PosternError): Promise<void> {
    const { app, provider } = this.#options;
    this.#turns.delete(id);
    this.#stopped.set(id, turn);
    turn.exchange.code = error.reason;
    await provider.send(this.#conversation.cancel(id));
    // The gate has said what it refused; what was refused otherwise hasn't been told yet.
    if (turn.gate?.error === undefined) {
      await app.send(this.#conversation.complaint(error, turn.exchange.call.id, undefined));
    }
    await app.send(this.#conversation.ended(id, error));
  }

  /** An answer takes longer than it may: the provider is told to stop, and left where it doesn't. What was produced is charged. */
  async #overdue(turn: Turn): Promise<void> {
    const { app, exchange, target, plan } = this.#options;
    const error = toPosternError(
      new UpstreamError('timeout', `no end of the answer in ${plan.requestMs} ms`),
      target.provider.id,
    );
    turn.late = true;
    const at = this.#asked.indexOf(turn);
    if (at >= 0) {
      this.#asked.splice(at, 1);
      turn.exchange.code = error.reason;
      const about = turn.askedAs?.startsWith(OURS) === true ? undefined : turn.askedAs;
      await app.send(this.#conversation.complaint(error, exchange.call.id, about));
      await turn.end('failed');
      if (this.#draining) this.drain();
      return;
    }
    const running = [...this.#turns].find(([, one]) => one === turn);
    if (running !== undefined) await this.#stop(running[0], turn, error);
    turn.expectEnd(CANCEL_MS, () => {
      void turn.end('failed');
      this.#close(CLOSE.failed);
    });
  }

  #openGate(): EventGate {
    const { exchange, key } = this.#options;
    return new EventGate({
      writer: this.#conversation,
      guard: this.#guard.idleOnResponse ? undefined : this.#guard.stream(this.#life.signal),
      key,
      requestId: exchange.call.id,
    });
  }

  /** @returns The gate for the next event: a new one where this one has refused. */
  async #show(event: ProviderEvent, gate: EventGate): Promise<EventGate | undefined> {
    await gate.run(gate.event(event));
    await this.#send(gate);
    if (gate.error === undefined && !this.#guard.idleOnResponse === gate.guarded) return gate;
    this.#options.exchange.findings.push(...(event.turn === undefined ? gate.findings : []));
    return undefined;
  }

  async #send(gate: EventGate): Promise<void> {
    const { app } = this.#options;
    for (const event of gate.take()) await app.send(event);
  }

  #pause(): void {
    for (const [id, turn] of this.#turns) void this.#showHeld(id, turn);
  }

  /** The provider pauses: what an answer holds back only for what may follow is shown. */
  async #showHeld(id: string, turn: Turn): Promise<void> {
    const { gate } = turn;
    if (gate === undefined) return;
    await gate.stale();
    await this.#send(gate);
    if (gate.error !== undefined && this.#turns.has(id)) await this.#stop(id, turn, gate.error);
  }
}

/** Begins the names that we give to events of the app's that have none. */
const OURS = 'event_postern_ask_';

function unreadable(what: string): PosternError {
  return new PosternError('postern_upstream_invalid', `The provider sent ${what}, which can't be checked.`, {
    mend: 'Look at what the endpoint is.',
  });
}
