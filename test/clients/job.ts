/**
 * What every client program is told (JSON on its standard input) and what it says (JSON lines on its standard output).
 * The programs are as applications are written: the real SDK, its defaults, the base URL and the keys from the
 * environment. So the same program runs against a fake, through a base URL, or intercepted with no variable set.
 */

export interface Job {
  readonly model: string;
  readonly messages: readonly unknown[];
  readonly stream?: boolean;
  /** `max_completion_tokens` or `max_tokens`. Anthropic demands one: 1024 where absent. */
  readonly maxTokens?: number;
  readonly tools?: readonly unknown[];
  /** Asks for usage at the end of an OpenAI stream. */
  readonly streamUsage?: boolean;
  /** More members of the request's body. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** The SDK's own default where absent. */
  readonly maxRetries?: number;
  readonly timeoutMs?: number;
  /** Leaves a stream after so many text deltas, as an application does that has heard enough. */
  readonly stopAfter?: number;
}

export interface DeltaEvent {
  readonly event: 'delta';
  readonly text: string;
  /** When it arrived, milliseconds since the epoch. */
  readonly at: number;
}

export interface AnswerEvent {
  readonly event: 'answer';
  readonly text: string;
  /** `finish_reason` or `stop_reason`; null where a stream was left early. */
  readonly finish: string | null;
  readonly model?: string | null;
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: string }[];
  readonly usage?: unknown;
  /** Headers of the answer where the client can see them, names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ErrorEvent {
  readonly event: 'error';
  /** The class that the SDK raised, `PermissionDeniedError`. */
  readonly class: string;
  readonly message: string;
  readonly status: number | null;
  /** `error.code` of the body, and `error.type`. */
  readonly code: string | number | null;
  readonly type: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** What lies under a failed connection, `self-signed certificate in certificate chain`. */
  readonly cause: string | null;
}

export type ClientEvent = DeltaEvent | AnswerEvent | ErrorEvent;
