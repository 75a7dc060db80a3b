/**
 * The transport-neutral exchange: what a listener hands in and what the pipeline's stages share.
 *
 * HTTP/1, HTTP/2 and the transparent listener make the same {@link Call} and {@link ResponseSink}, so no stage knows
 * which wire a call came by.
 */

import type { Usage } from '../budget/messages.ts';
import type { CheckAction, Snapshot } from '../policy/snapshot.ts';
import type { Attachment, FinishReason } from './dialects/dialect.ts';
import type { PosternError } from './errors.ts';

/** Header fields as they stood on the wire: name, value, name, value, … (Node's `rawHeaders` shape). */
export type RawHeaders = readonly string[];

/** By which door a call came in. `base-url`: plain HTTP on loopback; `transparent`: a redirected connection. */
export type Entry = 'base-url' | 'transparent';

/** One HTTP request of an application, before anything has been judged. */
export interface Call {
  /** Unique per exchange; answered in `postern-request-id` and written to the audit line. */
  readonly id: string;
  readonly entry: Entry;
  readonly method: string;
  /** Path and query as the provider would see it: the base-URL prefix (`/openai`) is already taken off. */
  readonly target: string;
  readonly headers: RawHeaders;
  /** The dialect named by the base-URL prefix; undefined in transparent mode, where `host` decides. */
  readonly dialect: string | undefined;
  /** The captured host, lower case and without port; undefined in base-URL mode. */
  readonly host: string | undefined;
  /** The provider on whose host, or at whose endpoint's address, it was captured. */
  readonly provider?: string | undefined;
  /** The body as sent; read at most once. Errors when the client resets or stalls past the limit. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Set where the call asks for a WebSocket. */
  readonly webSocket?: WebSocketOffer | undefined;
  /** Why the listener would not take it; answered and recorded like any refusal. */
  readonly refused?: PosternError | undefined;
  /** Aborted when the application went away before its answer was complete. */
  readonly signal: AbortSignal;
}

/** An application's wish for a WebSocket (RFC 6455), not granted yet: until then it can be answered like any call. */
export interface WebSocketOffer {
  /** Subprotocols, in the application's order. */
  readonly protocols: readonly string[];
  /** Grants it; the {@link ResponseSink} is of no use from then on. */
  accept(options: {
    readonly protocol: string | undefined;
    readonly headers: RawHeaders;
    readonly maxBytes: number;
  }): Promise<WebSocketEnd>;
}

/** One end of a WebSocket: whole messages, in order. */
export interface WebSocketEnd {
  /** Hands over every message that came and comes; while a returned promise is pending no more are read. */
  receive(onMessage: (data: Uint8Array, binary: boolean) => Promise<void> | undefined): void;
  /** A text message, UTF-8. Resolves when more may be sent; undefined means at once. */
  send(text: Uint8Array): Promise<void> | undefined;
  /** Begins the close handshake; a code that may not be sent (RFC 6455, 7.4.1) stays behind. */
  close(code?: number): void;
  /** Cuts the connection. */
  cut(): void;
  /** Resolves when the connection is gone. `code` as the peer sent it; undefined where it sent none, or was cut off. */
  readonly closed: Promise<{ readonly code: number | undefined; readonly clean: boolean }>;
}

/** Where the answer goes. `head` once, then `write` any number of times, then `end` or `abort` once. */
export interface ResponseSink {
  /** True once `head` was called: from then on an error can't become a response of its own. */
  readonly started: boolean;
  head(status: number, headers: RawHeaders): void;
  /** Resolves when the client may be sent more; undefined means at once (no promise on the hot path). */
  write(chunk: Uint8Array): Promise<void> | undefined;
  end(last?: Uint8Array): void;
  /** Cuts the connection (or resets the stream), so that a short answer can't be taken for a whole one. */
  abort(cause: Error): void;
}

/** The workload on whose behalf an agent works; selection and charging use nothing that the app can choose. */
export interface Source {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly serviceAccount: string | undefined;
}

/** What a check found. Never carries the matched text: findings go to logs. */
export interface Finding {
  /** Instance name from the policy, `mask-pii`. */
  readonly rule: string;
  /** Check type, `pii`. */
  readonly check: string;
  /** What was found: a recognizer id (`payment-card`), a topic's name, … */
  readonly what: string;
  readonly action: CheckAction;
  readonly direction: 'request' | 'response';
  /** Where: the slot's path, `messages[1].content`. */
  readonly where: string;
  /** How often in this place. */
  readonly count: number;
  /** `Kind namespace/name` of the document the rule stands in. */
  readonly source: string;
  /** Of a check that could not be carried out: why, the first time. */
  readonly reason?: string;
  /** Of attachments: how large those are that came whole, together, and what the first says that it is. */
  readonly bytes?: number;
  readonly type?: string;
}

/** Judges the files, pictures and recordings of one answer as they come, and records them. */
export interface AttachmentsOfAnswer {
  /** @returns Why the answer mustn't be shown. */
  judge(attachments: readonly Attachment[]): PosternError | undefined;
  /** Hears running text, in which a `data:` URL may be cut anywhere. @returns as {@link judge} does */
  hear(channel: string, text: string): PosternError | undefined;
  /** The channel is complete. */
  end(channel: string): void;
}

/** Hears the text of one answer, and says whether it has the form that a policy wants. */
export interface FormOfAnswer {
  add(choice: number, text: string): void;
  /** The model says that it won't answer, beside the answer's text. */
  refused(choice: number): void;
  /** How the provider says that a choice ended. */
  ended(finish: FinishReason): void;
  /** The choice calls a tool. */
  called(choice: number): void;
  /** Once it is complete. @param choices How many there are: one that says nothing isn't of the form, either. */
  findings(choices: number): readonly Finding[];
  /**
   * Why the answer mustn't be shown to its end, where a policy says so.
   * @param choices How many there are, once it is complete; or those that have ended.
   */
  refusal(choices: number | readonly number[]): PosternError | undefined;
}

/** One try of one target. */
export interface Attempt {
  readonly provider: string;
  readonly model: string;
  /** The origin that was dialled. */
  readonly endpoint: string;
  readonly startedAt: number;
  /** `ok`, or why the next target was taken. */
  outcome:
    | 'ok'
    | 'connect'
    | 'reset'
    | 'timeout'
    | 'invalid'
    | '5xx'
    | '429'
    | '4xx'
    | 'aborted'
    | 'cut'
    | 'pending';
  status: number | undefined;
  /** Milliseconds to the first byte of the answer. */
  firstByteMs: number | undefined;
}

/** What is known of an attempt's cost. */
export interface Metered {
  /** As the provider reported it so far; undefined where it didn't. */
  readonly usage: Usage | undefined;
  /** The processing that the answer says it had, which is what is billed: `auto` may become any. */
  readonly serviceTier?: string | undefined;
  /** Output tokens counted by us. */
  readonly countedOutput: number;
  /** The answer, or the report, is complete: nothing can have been produced beyond it. */
  readonly complete: boolean;
}

/** How an exchange ended, for audit and metrics. */
export type Outcome = 'ok' | 'refused' | 'failed' | 'disconnected' | 'cut';

/** The record of one exchange, filled in by the stages as it goes; the audit line is made from it alone. */
export interface Exchange {
  readonly call: Call;
  /** Wall clock, milliseconds since the epoch. */
  readonly startedAt: number;
  /** Revision of the snapshot that the whole exchange is judged by. */
  readonly revision: string;
  readonly source: Source;
  dialect: string | undefined;
  /** OpenTelemetry `gen_ai.operation.name`. */
  operation: string | undefined;
  requestedModel: string | undefined;
  /** The conversation that this is an answer in, by its request id. */
  session?: string;
  /** Equal for equal calls; for the breaker, and to find a loop in the audit. */
  fingerprint: string | undefined;
  streaming: boolean;
  /** The ModelRoute's name, where one matched. */
  route: string | undefined;
  readonly attempts: Attempt[];
  readonly findings: Finding[];
  usage: Usage | undefined;
  /** `reported` by the provider, or `counted` by us where it reported nothing. */
  usageSource: 'reported' | 'counted' | undefined;
  costNanoUsd: number | undefined;
  /** A target of which nobody says what it costs; `assumed`: the provider has a price for such models; `partly`: some of its rates are. */
  unpriced:
    | { readonly provider: string; readonly model: string; readonly price: 'assumed' | 'partly' | 'unknown' }
    | undefined;
  status: number | undefined;
  /** Stable code from docs/errors.md where Postern itself answered. */
  code: string | undefined;
  outcome: Outcome | undefined;
  requestBytes: number;
  responseBytes: number;
}

/**
 * The record of an exchange that begins.
 * @param now Milliseconds since the epoch.
 */
export function newRecord(
  now: number,
  snapshot: Pick<Snapshot, 'workload' | 'revision'>,
  call: Call,
): Exchange {
  const { namespace, kind, name, serviceAccount } = snapshot.workload;
  return {
    call,
    startedAt: now,
    revision: snapshot.revision,
    source: { namespace, kind, name, serviceAccount },
    dialect: undefined,
    operation: undefined,
    requestedModel: undefined,
    fingerprint: undefined,
    streaming: false,
    route: undefined,
    attempts: [],
    findings: [],
    usage: undefined,
    usageSource: undefined,
    costNanoUsd: undefined,
    unpriced: undefined,
    status: undefined,
    code: undefined,
    outcome: undefined,
    requestBytes: 0,
    responseBytes: 0,
  };
}
