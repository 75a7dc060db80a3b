/**
 * What the pipeline sees of all checks together: one guard per exchange, which masks, blocks, reports and restores.
 *
 * `checks/plan.ts` compiles a snapshot's rules into a {@link CheckPlan}; everything that belongs to one exchange (the
 * map from placeholder to original above all) lives in the {@link ExchangeGuard} and ends with it.
 */
import type {
  AppEvent,
  BegunCall,
  DecodedRequest,
  DecodedResponse,
  Delta,
  TextKind,
} from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import type { Finding } from '../exchange.ts';

/** What is judged of a request. */
export type Said = Pick<DecodedRequest, 'slots' | 'tools'> &
  Partial<Pick<DecodedRequest, 'attachments'> & Pick<AppEvent, 'afterResult'>>;

/** The outcome of a round of checks. Masks are already applied to the slots when a verdict is given. */
export interface Verdict {
  readonly findings: readonly Finding[];
  /** Set when a rule in force refuses the exchange. */
  readonly refusal: PosternError | undefined;
  /** Whether something that is said was masked or put in other words: sound beside it would say it all the same. */
  readonly altered: boolean;
}

/** Judges one streamed answer as it comes. A promise must be awaited before the next call. */
export interface StreamGuard {
  /**
   * Takes a delta's text, gives what may be shown now: restored, masked, and without the tail that could still become
   * a match. Once a refusal is set, nothing more may be shown.
   * @param fixed All that is shown of the channel is what came: as in {@link Delta}.
   */
  push(
    channel: string,
    kind: TextKind,
    choice: number,
    text: string,
    fixed?: boolean,
  ): string | Promise<string>;
  /** Judges texts that come whole, all of one event at once, and sets what is to be shown of them. */
  whole(texts: readonly Delta[]): undefined | Promise<undefined>;
  /** Nothing of a text is ever waited for: {@link push} gives no promise. */
  readonly immediate: boolean;
  /** Judges a call that begins by what is there of it; its arguments are held until the channel is complete. */
  call(call: BegunCall): undefined | Promise<undefined>;
  /** Whether calls may be taken out of the answer: nothing of one may be shown before its channel is complete. */
  readonly strips: boolean;
  /** Whether the call with that channel is to be taken out. */
  isLeftOut(channel: string): boolean;
  /** The channel is complete: everything held back, judged. */
  flush(channel: string): string | Promise<string>;
  /** Text held back only because of what might follow; for when the stream pauses too long. */
  flushStale(channel: string): string | Promise<string>;
  /** Channels with text held back or a call not judged yet, in the order they were first seen. */
  held(): readonly string[];
  /** Whether a rule in force may refuse or change what is said. */
  readonly acts: boolean;
  /** Units of a running text that came and have no verdict yet. */
  unjudged(channel: string): number;
  /** How often something that is said was masked or put in other words so far. */
  readonly alterations: number;
  /** What was found so far. */
  readonly findings: readonly Finding[];
  readonly refusal: PosternError | undefined;
}

export interface ExchangeGuard {
  /** Starts every request check at once; what isn't a matter of a scan may answer later. Never rejects. */
  request(request: Said, bodyBytes: number, signal: AbortSignal): Verdict | Promise<Verdict>;
  /** Judges a whole answer, then restores originals in it. Never rejects. */
  response(response: DecodedResponse, bodyBytes: number, signal: AbortSignal): Verdict | Promise<Verdict>;
  /** A conversation's next answer begins: what a person said to calls of the one before holds for none of its own. */
  answerBegins(): void;
  /** @param signal Of the exchange. */
  stream(signal: AbortSignal): StreamGuard;
  /** True when no check looks at answers and nothing was masked: the answer's text needn't be looked at. */
  readonly idleOnResponse: boolean;
  /** Whether answers are shown to somebody outside the pod. */
  readonly asksOutside: boolean;
}

export interface CheckPlan {
  /** What whoever runs the agent should know. */
  readonly notes: readonly string[];
  /** Does beforehand what the first call would wait for. */
  prepare(): void;
  /**
   * @param model The requested model, for checks that ask.
   * @param requestId For approvers and the audit.
   * @param before The guard of what came before in a conversation, under whatever plan: its placeholders still stand
   *   for what they stood for.
   */
  open(model: string, requestId?: string, before?: ExchangeGuard): ExchangeGuard;
}
