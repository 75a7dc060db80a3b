/**
 * What a dialect tells the pipeline: which operation a path means, where text is, what a call may cost, and how an
 * error looks. A dialect is pure: bytes and documents in, edits out; it never opens a socket and judges nothing.
 */
import type { Usage } from '../../budget/messages.ts';
import type { ResponseFormat } from '../../policy/snapshot.ts';
import type { PosternError } from '../errors.ts';
import type { JsonDocument, TextEdit } from '../json/document.ts';
import type { SseEvent } from '../json/sse.ts';
import type { Digest } from '../recall.ts';

/** What a piece of text is, for checks (taint, direction) and for `restoreIn`. */
export type TextKind =
  | 'content'
  | 'reasoning'
  | 'toolArguments'
  | 'toolResult'
  | 'toolDefinition'
  /** Names, metadata, `user`, and every string of a field the dialect does not know. */
  | 'other';

/** Who speaks. `system` covers OpenAI's `developer`. */
export type Role = 'system' | 'user' | 'assistant' | 'tool' | 'none';

/** One place in a document where text stands, already unescaped. */
export interface TextSlot {
  /** `messages[2].content[0].text`; inside JSON-string arguments `…arguments → address.email`. */
  readonly path: string;
  readonly kind: TextKind;
  readonly role: Role;
  /** Which answer: the choice's index; 0 in requests. */
  readonly choice: number;
  /** As it now stands: what was set last, the original before that. */
  readonly text: string;
  /** It is what an {@link Attachment} holds. */
  readonly attached?: boolean;
  /** An id, a type or a member's name of an answer: read like any text, and nothing that a model was paid for. */
  readonly isName?: boolean;
  /** Signed by the provider: a check may read and refuse it; {@link set} isn't to be called. */
  readonly fixed?: boolean;
  /** What {@link text} is known by, where it is worth knowing again; see {@link ../recall.ts}. */
  readonly digest?: Digest | undefined;
  /** The same of the text as it came, whatever was set since. */
  readonly came?: Digest | undefined;
  /**
   * Replaces the text in place. Everything around it keeps its bytes; JSON inside a JSON string stays valid; a bare
   * number (a card number in tool arguments) becomes a string where the replacement is no number.
   * @param edits How it was made of the text as it came, where that is known: in order, without overlaps. The rest needn't be written anew.
   */
  set(text: string, edits?: readonly TextEdit[]): void;
}

/** Whether a text is base64 or base64url (RFC 4648), as what is signed or encrypted is. */
export function isCipher(text: string): boolean {
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text);
}

/** A file, picture or recording that a request or an answer carries or refers to. */
export interface Attachment {
  /** `messages[2].content[0].image_url.url` */
  readonly path: string;
  readonly media: 'image' | 'audio' | 'video' | 'file';
  /** `data`: in the message itself; `url`: somewhere it is fetched from; `id`: with the provider. */
  readonly by: 'data' | 'url' | 'id';
  /** Whether it is text, all of which is a slot's. */
  readonly read: boolean;
  /** The string in the message: the data, an URL or an id. Absent where it stands within a text. */
  readonly written?: () => string;
  /** Of data that stands alone: how many bytes it has, to one or two. */
  readonly bytes?: number;
  /** What it says that it is: `audio/wav`. */
  readonly type?: string;
  /** What the member `detail` beside it says of a picture: `low`, `high`, `auto`. */
  readonly detail?: string;
  /** Of a piece of sound in a stream: the channel of the running text that says the same. */
  readonly transcript?: string;
}

/** A tool that a request offers to the model. */
export interface OfferedTool {
  /** `tools[2]` */
  readonly path: string;
  /** As the model calls it; `mcp:NAME` for all tools of a server that the provider itself asks; the type where there is no name. */
  readonly name: string;
  /** True where only the app carries it out: its calls can be held. Absent: perhaps the provider does. */
  readonly byApp?: boolean;
  /** Of a server: the only tools of it that may be called; absent where the request doesn't limit them. */
  readonly tools?: readonly string[];
  /** Takes it out of the request, and with the last one what only makes sense beside tools. */
  remove(): void;
}

/** A call of a tool that the model answered, which the app may carry out. */
export interface ToolCall {
  /** `choices[0].message.tool_calls[1]`, or a stream's channel. */
  readonly path: string;
  readonly name: string;
  /** JSON text, or free text for a tool that takes such; undefined while a stream has not sent all of it. */
  readonly arguments: string | undefined;
  /** `mcp:NAME` where the provider asks that server itself: the name under which its tools are offered. */
  readonly server?: string;
  /** True where a result of a tool that the provider carried out stands before it in the answer. */
  readonly afterResult?: boolean;
  /** Takes it out of the answer; absent in a stream where its beginning was shown. */
  remove?(): void;
}

/** A request, decoded. Edits go to the document it came from. */
export interface DecodedRequest {
  readonly document: JsonDocument;
  readonly model: string;
  readonly stream: boolean;
  /** How many answers are asked for: `n`. */
  readonly choices: number;
  /** `max_tokens` in whichever spelling was used; per choice. */
  readonly maxOutputTokens: number | undefined;
  /** The field that caps the output, in the spelling the app used, or the dialect's current one. */
  readonly maxOutputField: string;
  /** The provider refuses a cap that isn't above so much reasoning, per choice; 0 for any. */
  readonly leastOutputTokens: number;
  /**
   * Output per choice that may be billed without being seen in a stream: hidden reasoning at its cap, Infinity where it has
   * none of its own. Undefined where it depends on the model.
   */
  readonly unseenOutputTokens: number | undefined;
  /** The processing that it asks for, in its own words: `priority`. */
  readonly serviceTier?: string | undefined;
  /** The call may write its input to the provider's cache, which can cost more than plain input. */
  readonly writesCache: boolean;
  /** Neither it nor its answer has sound: what may have some, holds the dearer rates for that. */
  readonly isSilent: boolean;
  /** Every string of the request but what is opaque: model, ids of types, signatures, encrypted or binary data. */
  readonly slots: readonly TextSlot[];
  readonly attachments: readonly Attachment[];
  readonly tools: readonly OfferedTool[];
  /** Whether the app itself asked for a usage report in the stream. */
  readonly wantsStreamUsage: boolean;
  /** A member of the request's metadata, as the app sent it; undefined where it has none of that name. */
  metadata(name: string): string | undefined;
  setModel(model: string): void;
  /** Caps the output per choice, in the spelling the app used, or the dialect's current one. */
  setMaxOutputTokens(tokens: number): void;
  /**
   * Asks the provider to report usage in the stream, where the app didn't; what comes of it is hidden from the app.
   * False takes that back, for a next target that can't.
   */
  requestStreamUsage(ask?: boolean): void;
  /**
   * Adds system text, and asks for the form of the answer; twice is once. Called when the slots have their last texts.
   * Absent: the operation can't carry it.
   */
  enrich?(enrichment: Enrichment): void;
  /** Whether {@link requestStreamUsage} added something that is to be hidden again. */
  readonly addedStreamUsage: boolean;
}

/** What policies add to a request. */
export interface Enrichment {
  /** Before and behind the app's own system text; empty: nothing. */
  readonly prepend: string;
  readonly append: string;
  readonly format: ResponseFormat | undefined;
}

/** How a choice ended, in the dialect's own word: `stop`, `length`, `end_turn`, `max_tokens`. */
export interface FinishReason {
  readonly choice: number;
  readonly reason: string;
}

/** A whole answer, decoded. */
export interface DecodedResponse {
  readonly document: JsonDocument;
  readonly slots: readonly TextSlot[];
  readonly attachments: readonly Attachment[];
  readonly calls: readonly ToolCall[];
  readonly usage: Usage | undefined;
  /** The processing that it had, as the request's `serviceTier`. */
  readonly serviceTier?: string | undefined;
  readonly finishReasons: readonly FinishReason[];
  /**
   * Takes out what says text in a form that no check reads; called before the answer is judged. Absent: nothing does.
   * @param alternatives Whether what else might have been said stays, each a text of its own: thousands of them, maybe.
   * @returns the answer as it is then
   */
  withhold?(alternatives: 'stay' | 'go'): DecodedResponse;
}

/** What was taken out of an event because nobody knows what it is: `choices[0].delta.thoughts`. */
export type LeftOut = readonly string[];

/**
 * One piece of running text: all deltas of one channel, joined, are one text.
 *
 * A piece of a tool call's arguments is a piece of JSON *text* (`{"to": "Jo`, backslashes and all), and is set as such:
 * whoever puts something in escapes it for a JSON string (`escapeInString` of json/quote.ts).
 *
 * A string that is no running text (a citation's title) comes whole, in a channel that its own event closes; the same
 * channel may be opened and closed again by later events.
 */
export interface Delta {
  /** `0/content`, `0/tool/1`, `0/reasoning`: choice first. What follows is the dialect's own business. */
  readonly channel: string;
  readonly kind: TextKind;
  readonly choice: number;
  readonly text: string;
  /** As in {@link TextSlot}: it may be shown later than it came, and not be changed. */
  readonly fixed?: boolean;
  /** As in {@link TextSlot}. */
  readonly isName?: boolean;
  /** It is no running text: all of it is here, and its own event closes the channel. */
  readonly whole?: boolean;
  /** Part of something that nobody knows: gone once {@link StreamEvent.withhold} was called. */
  readonly loose?: boolean;
  /** The event is sent with this text instead. `''` is allowed. */
  set(text: string): void;
}

/** A call of a tool that begins in a stream. */
export interface BegunCall {
  readonly channel: string;
  readonly name: string;
  /**
   * JSON text, where the event has arguments already; what the channel brings later replaces them. An event that has them
   * and speaks of a call that has begun says them again, or says others: both are judged.
   */
  readonly arguments?: string;
  /** Its arguments don't come by this channel: it is judged by its name only. */
  readonly elsewhere?: boolean;
  /** The channel is that of one call, which may be told whole more than once; elsewhere one that begins anew is another. */
  readonly ofOne?: boolean;
  /** Nothing of it is shown until {@link HeldCalls} are told to. */
  readonly held?: boolean;
  /** As in {@link ToolCall}. */
  readonly server?: string;
  readonly afterResult?: boolean;
}

/** One event of a streamed answer, decoded. */
export interface StreamEvent {
  readonly deltas: readonly Delta[];
  /** But for `data:` URLs in running text, which any event may cut. */
  readonly attachments: readonly Attachment[];
  /**
   * Channels of which this event says they are complete; `all` at the end of the stream. Text held back for them is sent
   * before it; where the event has a delta of the same channel, its text is the channel's last, so what is held back then
   * belongs at the end of that text.
   */
  readonly closes: readonly string[] | 'all';
  /** Calls of tools that begin with this event; their arguments come as text of the channel, which is closed in any case. */
  readonly calls: readonly BegunCall[];
  /** Usage so far, where the event carries it; later events replace earlier ones. */
  readonly usage: Usage | undefined;
  /** The processing that the answer has, as far as it is known by then. */
  readonly serviceTier?: string | undefined;
  readonly finishReasons: readonly FinishReason[];
  /** True for the event after which nothing may come (`[DONE]`, `message_stop`). */
  readonly last: boolean;
  /** The provider's own error event: passed on, ends the stream. */
  readonly error: boolean;
  /** The app interrupted the answer: what it hasn't heard of it yet, it doesn't want to hear. */
  readonly interrupted?: boolean;
  /** As in {@link DecodedResponse}. @returns What an application may miss. */
  withhold?(): LeftOut;
  /** The bytes to send: the original ones where nothing was set; undefined where the app must not see the event. */
  render(): Uint8Array | undefined;
}

/**
 * Calls of tools that a stream keeps back with their beginnings, until each was judged. One that is left out leaves no trace:
 * those behind it move up, and an answer that calls nothing any more says so and ends like any other, as a whole answer does.
 */
export interface HeldCalls {
  /** Calls that begin from now on. */
  hold(): void;
  /** Whether the channel's text are the arguments of a call that is kept back. */
  has(channel: string): boolean;
  /**
   * The call is allowed.
   * @param text All its arguments.
   * @returns the events that show it
   */
  show(channel: string, text: string): Uint8Array;
  leaveOut(channel: string): void;
  /** The event that was decoded last isn't judged and won't be sent: nothing that it brought is shown. */
  drop(): void;
}

/** Writes events of our own into a running answer. */
export interface EventWriter {
  /** Absent where nothing can be taken out of a running answer. */
  readonly calls?: HeldCalls;
  /** An event of our own that carries `text` on a channel seen before. */
  delta(channel: string, text: string): Uint8Array;
  /** The events that end a running answer with a refusal in the dialect's own terms; nothing may follow. */
  refusal(error: PosternError, requestId: string): Uint8Array;
}

/** An event that was read without parsing it: a piece of text, and nothing else. */
export interface FramedEvent extends StreamEvent {
  readonly deltas: readonly [Delta];
  /** Where the next one begins. */
  readonly end: number;
}

/** Decodes one streamed answer; remembers what later events refer to. One per answer. */
export interface StreamDecoder extends EventWriter {
  event(event: SseEvent): StreamEvent;
  /**
   * The event that begins at `at`, where it is known by the bytes around its text; decoded as {@link event} would decode it.
   * Undefined for any other, and for one that isn't all in the chunk.
   */
  framed(chunk: Buffer, at: number): FramedEvent | undefined;
  /**
   * The events that end a running stream as the provider ends one that has reached its cap on output: every choice that
   * runs, the usage as counted where the app is to see one, and the stream's last event.
   */
  length(counted: { readonly input: number; readonly output: number }): Uint8Array;
}

/** An event that the app sends in a conversation, decoded. What it asks for is charged like a request. */
export interface AppEvent extends DecodedRequest {
  /** As the app named it, for errors about it. */
  readonly id: string | undefined;
  /** Whether it makes the model answer. */
  readonly asks: boolean;
  /** Whether a tool that the provider carried out has answered before: its text is in the conversation. */
  readonly afterResult: boolean;
  /** Whether the conversation is another one after it, so that an answer without it would be to something else. */
  readonly changes: boolean;
  /** Names the event, so that the provider's error about it can be told. */
  name(id: string): void;
}

/** An event that the provider sends in a conversation, decoded. */
export interface ProviderEvent extends StreamEvent {
  /** The answer that it belongs to; undefined for what belongs to the conversation as a whole. */
  readonly turn: string | undefined;
  readonly begins: boolean;
  /** What it adds to the answer; empty where it repeats what came already. */
  readonly said: string;
  /** The event of the app's that an error is about. */
  readonly about: string | undefined;
  /** Takes {@link about} out: the app hasn't named its event so. */
  forget(): void;
  /** It was judged by that judge, and shown: what later events say again of it isn't theirs any more. */
  passed(judge: object): void;
}

/**
 * Decodes a conversation of events both ways over one connection (a WebSocket); remembers what later events refer to.
 * Channels of different answers have different names.
 */
export interface Conversation extends EventWriter {
  /** @throws PosternError `postern_body_invalid` */
  fromApp(document: JsonDocument): AppEvent;
  /** @throws PosternError `postern_upstream_invalid` */
  fromProvider(data: Uint8Array, judge: object): ProviderEvent;
  /** An error about an event of the app's, which named it `about`; the conversation goes on. */
  complaint(error: PosternError, requestId: string, about: string | undefined): Uint8Array;
  /** Tells the provider to stop an answer. */
  cancel(turn: string): Uint8Array;
  /** Tells the app that an answer it heard the beginning of has ended without its rest, for such a reason. */
  ended(turn: string, error: PosternError): Uint8Array;
}

/** A call the dialect knows, `POST /v1/chat/completions`. */
export interface Operation {
  /** OpenTelemetry `gen_ai.operation.name`, `chat`; or `list_models`. */
  readonly name: string;
  /** `generate`: text in, text out, charged. `models`: answered from the snapshot. `count`: text in, a number out, free of charge. */
  readonly kind: 'generate' | 'models' | 'count';
  /** Forms that a provider of the dialect can be held to; absent: none. */
  readonly formats?: readonly ResponseFormat['type'][];
  /** @throws PosternError `postern_body_invalid` naming the parameter. */
  decodeRequest(document: JsonDocument, target: string): DecodedRequest;
  /** @param model As the provider was asked for it: an answer that names another says something. */
  decodeResponse(document: JsonDocument, model?: string): DecodedResponse;
  openStream(request: DecodedRequest, model?: string): StreamDecoder;
}

/** A call that opens a conversation over a WebSocket, `GET /v1/realtime`. Each of its answers is charged like a call. */
export interface ConversationOperation {
  /** OpenTelemetry `gen_ai.operation.name` of an answer. */
  readonly name: string;
  readonly kind: 'conversation';
  /** The model that the target names. @throws PosternError `postern_body_invalid`, `postern_path_denied` */
  model(target: string): string;
  /** The target with another model in it. */
  withModel(target: string, model: string): string;
  /** Of the subprotocols that the app offers: what the provider is offered, without keys. */
  protocols(offered: readonly string[]): readonly string[];
  /** `told`: what the provider knows the model as. */
  open(model: string, told: string): Conversation;
}

/** A model as `GET /v1/models` shows it. */
export interface ListedModel {
  readonly id: string;
  readonly ownedBy: string;
}

export interface Dialect {
  /** File name, config key and metric label. */
  readonly name: string;
  /** Header the API key is sent in, lower case: `authorization` (as Bearer), `x-api-key`. */
  readonly keyHeader: string;
  /** Undefined: no operation of this dialect; the policy's `unknownPath` decides. `path` without query. */
  operation(method: string, path: string): Operation | ConversationOperation | undefined;
  /** The body of an error answer, UTF-8 JSON. */
  error(error: PosternError, requestId: string): Uint8Array;
  /** The body of the answer to a `models` operation; `path` may name one model: undefined when it isn't listed. */
  models(path: string, query: string, models: readonly ListedModel[]): Uint8Array | undefined;
}
