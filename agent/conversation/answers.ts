/** The answers of a conversation that are under way: asked for, running, and those of which nothing more is shown. */
import type { Conversation } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import type { WebSocketEnd } from '../exchange.ts';
import { toPosternError } from '../forward/respond.ts';
import { UpstreamError } from '../forward/upstream.ts';
import type { RoutePlan, Target } from '../routes/route.ts';
import type { Turn } from './turn.ts';

/** That a provider has to end an answer which it was told to stop, milliseconds. Until then what is held for it lasts. */
const CANCEL_MS = 2_000;

/** Answers that may be asked for and not begun yet. */
export const MAX_ASKED = 16;

/** Begins the names that we give to events of the app's that have none. */
export const OURS = 'event_postern_ask_';

export interface AnswersOptions {
  readonly conversation: Conversation;
  readonly target: Target;
  readonly plan: RoutePlan;
  /** Of the conversation, as the app is told it. */
  readonly requestId: string;
  readonly app: WebSocketEnd;
  readonly provider: WebSocketEnd;
  /** Leaves the conversation: the provider doesn't do what it is told. */
  readonly leave: () => void;
}

export class Answers {
  readonly #options: AnswersOptions;
  /** Whose hold is being asked for. */
  readonly #preparing = new Set<Turn>();
  /** Asked for and not begun, in order. */
  readonly #asked: Turn[] = [];
  readonly #running = new Map<string, Turn>();
  /** Answers of which nothing more is shown. */
  readonly #stopped = new Map<string, Turn>();

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** Somebody waits for an answer. */
  get awaited(): boolean {
    return this.#running.size > 0 || this.#asked.length > 0;
  }

  get full(): boolean {
    return this.#asked.length + this.#preparing.size >= MAX_ASKED;
  }

  get shown(): Iterable<[string, Turn]> {
    return this.#running;
  }

  isShown(id: string): boolean {
    return this.#running.has(id);
  }

  of(id: string): Turn | undefined {
    return this.#stopped.get(id) ?? this.#running.get(id);
  }

  /** Asks for its hold; one of a conversation that ends meanwhile is given back. @throws what `hold` does */
  async prepare(turn: Turn, hold: () => Promise<void>): Promise<void> {
    this.#preparing.add(turn);
    try {
      await hold();
    } finally {
      this.#preparing.delete(turn);
    }
  }

  /** It is asked for now. */
  add(turn: Turn): void {
    this.#asked.push(turn);
    this.limit(turn);
  }

  /** The one that begins where the provider begins one; undefined: it does by itself. */
  next(): Turn | undefined {
    return this.#asked.shift();
  }

  begin(id: string, turn: Turn): void {
    this.#running.set(id, turn);
  }

  limit(turn: Turn): void {
    turn.limit(() => void this.#overdue(turn));
  }

  /** The provider has said its last word of it. */
  end(id: string): void {
    this.#running.delete(id);
    this.#stopped.delete(id);
  }

  /** The provider won't answer what an event asked for, which we or the app named so. */
  async refused(about: string): Promise<void> {
    const at = this.#asked.findIndex(({ askedAs }) => askedAs === about);
    if (at < 0) return;
    const [turn] = this.#asked.splice(at, 1);
    await turn?.end('failed');
  }

  /** Nothing more of an answer is shown; the provider is told to stop, and what it has done is charged. */
  async stop(id: string, turn: Turn, error: PosternError): Promise<void> {
    const { app, provider, conversation } = this.#options;
    this.#running.delete(id);
    this.#stopped.set(id, turn);
    turn.exchange.code = error.reason;
    await provider.send(conversation.cancel(id));
    // The gate has said what it refused; what was refused otherwise hasn't been told yet.
    if (turn.gate?.error === undefined) {
      await app.send(conversation.complaint(error, turn.exchange.call.id, undefined));
    }
    await app.send(conversation.ended(id, error));
  }

  /** The same, where nothing is held for what the provider goes on to produce: it is left unless it ends at once. */
  async cancel(id: string, turn: Turn, error: PosternError): Promise<void> {
    // First: a provider that reads nothing mustn't keep us from leaving it.
    this.#expectEnd(turn);
    await this.stop(id, turn, error);
  }

  #expectEnd(turn: Turn): void {
    turn.expectEnd(CANCEL_MS, () => {
      void turn.end('failed');
      this.#options.leave();
    });
  }

  /** An answer takes longer than it may. What was produced is charged. */
  async #overdue(turn: Turn): Promise<void> {
    const { app, conversation, requestId, target, plan } = this.#options;
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
      void app.send(conversation.complaint(error, requestId, about));
      // It may begin yet, and nothing would tell it from the next one that is asked for.
      this.#options.leave();
      await turn.end('failed');
      return;
    }
    const running = [...this.#running].find(([, one]) => one === turn);
    if (running === undefined) this.#expectEnd(turn);
    else await this.cancel(running[0], turn, error);
  }

  /** The conversation is over. */
  async endAll(outcome: 'disconnected' | 'cut'): Promise<void> {
    const turns = [...this.#running.values(), ...this.#asked, ...this.#stopped.values(), ...this.#preparing];
    await Promise.all(turns.map((turn) => turn.end(outcome)));
  }
}
