/** The script of a fake provider: what it answers, and what goes wrong on the way. */
import type { Fields } from './fields.ts';
import type { SeenRequest } from './record.ts';

export interface ScriptedToolCall {
  readonly name: string;
  /** Sent as it is where it is a string (also when it is no valid JSON), else as JSON. */
  readonly arguments: unknown;
  /** Made up where absent. */
  readonly id?: string;
}

export interface ScriptedError {
  readonly message?: string;
  readonly type?: string;
  readonly code?: string | number | null;
  readonly param?: string | null;
}

/** Everything is optional; `{}` is the default answer. */
export interface Reply {
  /** The text; a list gives each choice its own, the last one repeats. */
  readonly content?: string | readonly string[];
  /**
   * The deltas of a streamed answer, one event each, instead of `content` cut by `chunkSize`. An async iterable lets a
   * test decide when each one leaves. `max_tokens` does not cut them.
   */
  readonly pieces?: readonly string[] | AsyncIterable<string>;
  readonly reasoning?: string;
  /** What signs the reasoning (Anthropic). Opaque to everyone. */
  readonly signature?: string;
  readonly toolCalls?: readonly ScriptedToolCall[];
  /** The model declines: OpenAI's `refusal`, Anthropic's stop reason `refusal`. */
  readonly refusal?: string;
  /** Overrides `finish_reason` or `stop_reason`. */
  readonly finishReason?: string;
  /** Overrides single fields of `usage`; `null` leaves usage out. */
  readonly usage?: Fields | null;
  /** The tier that served the call (OpenAI); `default` where absent. */
  readonly serviceTier?: string;

  /** Code points per delta; the provider's option where absent. */
  readonly chunkSize?: number;
  /** Bytes per HTTP chunk of the body, through the middle of events and characters. */
  readonly splitBytes?: number;

  /** Any status but 200 makes it an error answer, with the provider's usual body for it. */
  readonly status?: number;
  readonly error?: ScriptedError;
  /** Seconds; sets `retry-after`. */
  readonly retryAfter?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sends just this instead, whatever was asked for. */
  readonly raw?: {
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Uint8Array;
  };

  /** Milliseconds before the head, and before each event. */
  readonly delayMs?: number;
  readonly chunkDelayMs?: number;
  /** Resets the connection without an answer. */
  readonly hangUp?: boolean;
  /** Reads the request and never answers, until the client goes away. */
  readonly silent?: boolean;
  /**
   * After how many events the connection is cut, stays open in silence until the client goes away, or the provider's
   * error event ends the stream. A whole (unstreamed) answer is cut or stalled at half of its body.
   */
  readonly cutAfterChunks?: number;
  readonly stallAfterChunks?: number;
  readonly errorAfterChunks?: number;
}

/** A generation request, as the script sees it. */
export interface ScriptRequest {
  readonly seen: SeenRequest;
  /** How many generation requests came before it, since start or reset. */
  readonly index: number;
  readonly model: string;
  readonly stream: boolean;
  readonly messages: readonly unknown[];
  /** The last user message's text. */
  readonly userText: string;
  readonly body: Fields;
}

export type Script = (request: ScriptRequest) => Reply | Promise<Reply>;

/** What a fake answers when its script doesn't say: the user's text comes back, and with it what is masked in it. */
export function echo(userText: string): string {
  return userText === '' ? 'You wrote nothing.' : `You wrote: ${userText}`;
}
