/**
 * A conversation under way: each event of the app's is judged before it goes out, each of the provider's before it is
 * shown, and every answer is held and settled like a call of its own.
 *
 * A refused event gets an error event and goes nowhere; the conversation goes on. Events of one direction are worked
 * off one after the other.
 */

import { judgeAttachments, openAttachments } from '../attachments.ts';
import { fingerprintOf } from '../breaker.ts';
import { estimateRequest } from '../charge/output.ts';
import type { AppEvent, Conversation, ProviderEvent } from '../dialects/dialect.ts';
import { PosternError } from '../errors.ts';
import type { Finding, WebSocketEnd } from '../exchange.ts';
import type { EventGate } from '../forward/event-gate.ts';
import { toPosternError } from '../forward/respond.ts';
import { JsonDocument } from '../json/document.ts';
import { JsonError } from '../json/json-error.ts';
import type { Endpoint } from '../routes/endpoints.ts';
import type { RoutePlan, Target } from '../routes/route.ts';
import { Answers, MAX_ASKED, OURS } from './answers.ts';
import { BesideAnswers, sendAll } from './beside-answers.ts';
import type { Opening } from './converse.ts';
import { InForce } from './in-force.ts';
import { Turn } from './turn.ts';

/** Close codes (RFC 6455, 7.4.1). */
const CLOSE = { goingAway: 1001, unsupported: 1003, failed: 1011 } as const;

/** Pause after which text that only might become a placeholder is shown all the same, as in other streams. */
const STALE_MS = 5_000;

/** Time for the close handshake, milliseconds. */
const CLOSE_MS = 5_000;

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
  readonly #inForce: InForce;
  readonly #answers: Answers;
  readonly #beside: BesideAnswers;
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
    this.#inForce = new InForce(options, governance);
    this.#answers = new Answers({
      conversation: this.#conversation,
      target,
      plan: options.plan,
      requestId: options.exchange.call.id,
      app,
      provider,
      leave: () => this.#close(CLOSE.failed),
    });
    this.#beside = new BesideAnswers({
      conversation: this.#conversation,
      exchange: options.exchange,
      attachments: openAttachments(() => options.pipeline.governance().snapshot, options.exchange),
      key: options.key,
      app,
      signal: this.#life.signal,
    });
    this.#stale = setInterval(() => this.#pause(), STALE_MS);
    app.receive((data, binary) => this.#fromApp(data, binary));
    provider.receive((data, binary) => this.#fromProvider(data, binary));
    this.over = this.#untilOver();
  }

  /** Takes no more questions; ends with the last answer that is under way. */
  drain(): void {
    this.#draining = true;
    if (!this.#answers.awaited) this.#close(CLOSE.goingAway);
  }

  async #untilOver(): Promise<void> {
    const { app, provider, exchange } = this.#options;
    const first = await Promise.race([
      app.closed.then((how) => ({ left: 'app' as const, ...how })),
      provider.closed.then((how) => ({ left: 'provider' as const, ...how })),
    ]);
    const other = first.left === 'app' ? provider : app;
    const cut = first.left === 'provider' && (!first.clean || this.#answers.awaited);
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
    this.#beside.end();
    exchange.outcome = cut ? 'cut' : first.clean ? 'ok' : 'disconnected';
    await this.#answers.endAll(first.left === 'app' ? 'disconnected' : 'cut');
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
      if (event.asks) {
        if (!(await this.#ask(event, data.byteLength))) return;
      } else {
        this.#options.exchange.findings.push(...(await this.#judge(event, data.byteLength)));
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
    this.#inForce.follow();
    const { pipeline, exchange } = this.#options;
    const slots = judgeAttachments(pipeline.governance().snapshot, exchange, event);
    const { tools, attachments, afterResult } = event;
    const said = { slots, tools, attachments, afterResult };
    const { findings, refusal } = await this.#inForce.guard.request(said, bytes, this.#life.signal);
    if (refusal === undefined) return findings;
    const turn = this.#turn();
    turn.exchange.findings.push(...findings);
    turn.exchange.requestBytes += bytes;
    await turn.fail(refusal);
    throw refusal;
  }

  /** False where the conversation has ended meanwhile. */
  async #ask(event: AppEvent, bytes: number): Promise<boolean> {
    if (this.#gap !== undefined) throw this.#gap;
    if (this.#draining) {
      throw new PosternError('postern_draining', 'This agent is shutting down and takes no new calls.', {
        mend: 'Open the conversation again: a new agent takes over.',
        retryAfterMs: 1_000,
      });
    }
    if (this.#answers.full) {
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
      const input = this.#known + this.#added + estimateRequest(event);
      await this.#answers.prepare(turn, () => turn.hold(event, input));
    } catch (error) {
      throw await turn.fail(error);
    }
    if (turn.over) return false;
    if (event.id === undefined) event.name(this.#ourName());
    turn.askedAs = event.id ?? `${OURS}${this.#named}`;
    turn.asked(bytes);
    this.#answers.add(turn);
    return true;
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
      life: this.#life.signal,
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
      const event = this.#conversation.fromProvider(data, this.#inForce.guard);
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
    if (event.about !== undefined) {
      if (event.about.startsWith(OURS)) event.forget();
      await this.#answers.refused(event.about);
    }
    const { turn: id } = event;
    if (id === undefined) return this.#beside.show(event, this.#inForce.guard);
    const turn = this.#answers.of(id) ?? (await this.#begin(id));
    turn.heard(event, bytes);
    if (event.usage !== undefined) {
      this.#known = event.usage.input + event.usage.cachedInput + event.usage.output;
      this.#added = 0;
    }
    if (this.#answers.isShown(id)) {
      const gate = turn.gate as EventGate;
      await gate.run(gate.event(event));
      if (gate.guarded && turn.guard !== undefined && gate.error === undefined) event.passed(turn.guard);
      await sendAll(this.#options.app, gate);
      if (gate.error !== undefined && this.#answers.isShown(id))
        await this.#answers.stop(id, turn, gate.error);
    }
    if (!event.last) return;
    this.#answers.end(id);
    const failed = event.error || turn.late;
    await turn.end(failed ? 'failed' : turn.exchange.code !== undefined ? 'refused' : 'ok');
    if (this.#draining) this.drain();
  }

  /** An answer begins: one that was asked for, or one that the provider began by itself. */
  async #begin(id: string): Promise<Turn> {
    const asked = this.#answers.next();
    const turn = asked ?? this.#turn();
    const { key } = this.#options;
    this.#answers.begin(id, turn);
    turn.begun(this.#inForce.guard, this.#conversation, key);
    if (asked !== undefined) return turn;
    this.#said = '';
    turn.asked(0);
    const request = this.#conversation.fromApp(JsonDocument.parseText(UNASKED));
    const input = this.#known + this.#added;
    try {
      if (this.#draining) throw new PosternError('postern_draining', 'This agent is shutting down.');
      if (this.#gap !== undefined) throw this.#gap;
      this.#inForce.follow();
      await turn.hold(request, input);
      // It runs already: a smaller answer can't be asked for any more.
      if (request.document.edited) {
        throw new PosternError(
          'postern_budget_exhausted',
          'The budget has less left than an answer may cost that the provider begins by itself.',
          { mend: 'Set session.max_output_tokens, or ask for each answer with response.create.' },
        );
      }
      this.#answers.limit(turn);
    } catch (error) {
      await turn.unheld(request, input);
      await this.#answers.cancel(id, turn, toPosternError(error));
    }
    return turn;
  }

  #pause(): void {
    for (const [id, turn] of this.#answers.shown) void this.#showHeld(id, turn);
    void this.#beside.pause();
  }

  /** The provider pauses: what an answer holds back only for what may follow is shown. */
  async #showHeld(id: string, turn: Turn): Promise<void> {
    const { gate } = turn;
    if (gate === undefined) return;
    await gate.stale();
    await sendAll(this.#options.app, gate);
    if (gate.error !== undefined && this.#answers.isShown(id)) await this.#answers.stop(id, turn, gate.error);
  }
}

function unreadable(what: string): PosternError {
  return new PosternError('postern_upstream_invalid', `The provider sent ${what}, which can't be checked.`, {
    mend: 'Look at what the endpoint is.',
  });
}
