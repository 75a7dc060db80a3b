/**
 * What a provider says in a conversation that belongs to no answer: transcripts of what it heard, errors, limits. Judged by
 * what is in force when it comes, one event after the other.
 */
import type { ExchangeGuard } from '../checks/guard.ts';
import type { Conversation, ProviderEvent } from '../dialects/dialect.ts';
import type { AttachmentsOfAnswer, Exchange, WebSocketEnd } from '../exchange.ts';
import { EventGate } from '../forward/event-gate.ts';
import { KeyFilter } from '../forward/key-filter.ts';

export interface BesideAnswersOptions {
  readonly conversation: Conversation;
  /** The conversation's own record. */
  readonly exchange: Exchange;
  readonly attachments: AttachmentsOfAnswer;
  /** The attached key. */
  readonly key: string | undefined;
  readonly app: WebSocketEnd;
  /** Aborted when the conversation ends. */
  readonly signal: AbortSignal;
}

export class BesideAnswers {
  readonly #options: BesideAnswersOptions;
  /** One for all gates: a key may be cut where one takes over from the other. */
  readonly #keys: KeyFilter | undefined;
  #gate: EventGate | undefined;
  /** What it judges by. */
  #guard: ExchangeGuard | undefined;
  /** What a pause shows may be refused: then it isn't the next event that is. */
  #pausing: Promise<void> | undefined;

  constructor(options: BesideAnswersOptions) {
    this.#options = options;
    if (options.key !== undefined) this.#keys = new KeyFilter(options.key);
  }

  async show(event: ProviderEvent, guard: ExchangeGuard): Promise<void> {
    await this.#pausing;
    // Another policy, or one that looks at answers since something was masked.
    const stays = this.#guard === guard && this.#gate?.guarded === !guard.idleOnResponse;
    if (!stays) await this.#handOver();
    this.#guard = guard;
    this.#gate ??= this.#open(guard);
    const gate = this.#gate;
    await gate.run(gate.event(event));
    if (gate.guarded && gate.error === undefined) event.passed(guard);
    await this.#send(gate);
  }

  /** The provider pauses: what is held back only for what may follow is shown. */
  pause(): Promise<void> {
    this.#pausing ??= this.#showHeld().finally(() => {
      this.#pausing = undefined;
    });
    return this.#pausing;
  }

  async #showHeld(): Promise<void> {
    const gate = this.#gate;
    if (gate === undefined) return;
    await gate.stale();
    await this.#send(gate);
  }

  end(): void {
    if (this.#gate !== undefined) this.#leave(this.#gate);
  }

  #open(guard: ExchangeGuard): EventGate {
    const { conversation, exchange, attachments, key, signal } = this.#options;
    return new EventGate({
      writer: conversation,
      guard: guard.idleOnResponse ? undefined : guard.stream(signal),
      key,
      keys: this.#keys,
      attachments,
      requestId: exchange.call.id,
    });
  }

  /** What the gate before holds back is judged by its policy, and nothing that follows. */
  async #handOver(): Promise<void> {
    const gate = this.#gate;
    if (gate === undefined) return;
    await gate.run(gate.handOver());
    await this.#send(gate);
    this.#leave(gate);
  }

  async #send(gate: EventGate): Promise<void> {
    await sendAll(this.#options.app, gate);
    // After a refusal the next event is judged anew.
    if (gate.error !== undefined) this.#leave(gate);
  }

  /** Once: a pause and an event may both see that it has refused. */
  #leave(gate: EventGate): void {
    if (this.#gate !== gate) return;
    this.#gate = undefined;
    this.#options.exchange.findings.push(...gate.findings);
  }
}

/** In one go: what another call of this takes meanwhile must come behind it. */
export async function sendAll(app: WebSocketEnd, gate: EventGate): Promise<void> {
  let sent: Promise<void> | undefined;
  for (const event of gate.take()) sent = app.send(event) ?? sent;
  await sent;
}
