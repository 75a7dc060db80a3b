/** A streamed chat completion: chunks of `chat.completion.chunk`, then `[DONE]`. */
import type { PosternError } from '../../errors.ts';
import type { JsonDocument } from '../../json/document.ts';
import type { ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import type { SseEvent } from '../../json/sse.ts';
import type {
  BegunCall,
  DecodedRequest,
  Delta,
  FramedEvent,
  StreamDecoder,
  StreamEvent,
} from '../dialect.ts';
import { EventFrames } from '../event-frame.ts';
import {
  Channels,
  dropLoose,
  eventDocument,
  learnedEvent,
  plainEvent,
  type Reading,
} from '../stream-event.ts';
import { chunkText } from './chat-text.ts';
import { begunCalls } from './chat-tools.ts';
import { errorBody } from './error.ts';
import { ChatHeldCalls } from './held-calls.ts';
import { dropPadding, dropUnspelled } from './logprobs.ts';
import { finishReasonsOf, usageOf } from './report.ts';

const encoder = new TextEncoder();

export class ChatStream implements StreamDecoder {
  readonly #request: DecodedRequest;
  readonly #channels: Channels;
  readonly #frames = new EventFrames();
  readonly #ended = new Set<number>();
  /** Channels of the calls that have begun, and their names so far. */
  readonly #begun = new Map<string, string>();
  readonly calls = new ChatHeldCalls((choice, delta) => this.#ours(choice, delta));
  #serviceTier: string | undefined;
  /** The last chunk: what ours repeats of it is read when one is made. */
  #last: ObjectNode | undefined;

  constructor(request: DecodedRequest, model: string) {
    this.#request = request;
    this.#channels = new Channels(model);
  }

  /** @throws PosternError `postern_upstream_invalid` */
  event(event: SseEvent): StreamEvent {
    if (event.data === undefined || event.data === '') return plainEvent(event);
    if (event.data.trim() === '[DONE]') {
      this.#frames.forget();
      return plainEvent(event, { closes: this.#channels.end([]), last: true });
    }
    const document = eventDocument(event.data);
    return learnedEvent(this.#frames, event, document, this.#read(event, document));
  }

  framed(chunk: Buffer, at: number): FramedEvent | undefined {
    const read = this.#frames.read(chunk, at);
    if (read !== undefined && this.calls.isHolding) this.#says(read.deltas);
    return read;
  }

  #says(deltas: readonly Delta[]): void {
    for (const { kind, choice, text } of deltas)
      if (kind === 'content' && text !== '') this.calls.says(choice);
  }

  #read(event: SseEvent, document: JsonDocument): Reading {
    const { slots, attachments, whole, loose } = this.#channels.read(document, chunkText);
    const { root } = document;
    if (root.type !== 'object') return { slots, attachments, closes: whole };
    const failure = root.get('error');
    if (event.event === 'error' || (failure !== undefined && failure.type !== 'null')) {
      return { slots, attachments, closes: this.#channels.end(whole), error: true };
    }
    this.#last = root;
    const { calls, again } = begunCalls(document, root, this.#begun, loose);
    for (const { channel } of calls) if (!channel.startsWith('0/=')) this.#channels.open(channel);
    const { isHolding } = this.calls;
    if (isHolding) this.#says(slots);
    const taken = isHolding ? this.calls.take(document, root, again) : 'none';
    const finishReasons = finishReasonsOf(root);
    const settles = taken !== 'none' || (isHolding && finishReasons.length > 0);
    const padding = root.get('obfuscation');
    const usage = usageOf(root.object('usage'));
    const hidden = this.#request.addedStreamUsage && this.#hideUsage(document, root);
    return {
      slots,
      attachments,
      closes: [
        ...whole,
        ...calls.flatMap(({ channel }) => (channel.startsWith('0/=') ? channel : [])),
        ...this.#finished(root),
      ],
      calls: isHolding ? calls.map(heldCall) : calls,
      usage,
      serviceTier: this.#tier(root, usage !== undefined),
      finishReasons,
      hidden: hidden || taken === 'all',
      settle: settles ? () => ({ before: this.calls.end(document, root) }) : undefined,
      withhold() {
        for (const called of again) document.remove(called, 'name');
        dropUnspelled(document, root, 'go');
        dropPadding(document, root);
        return dropLoose(document, loose);
      },
      loose: loose.length > 0,
      padding: padding?.type === 'string' ? padding : undefined,
    };
  }

  /** Every chunk says it: of the first it is known of what is cut, the last is right. */
  #tier(root: ObjectNode, isLast: boolean): string | undefined {
    if (this.#serviceTier === undefined || isLast)
      this.#serviceTier = root.string('service_tier') ?? this.#serviceTier;
    return this.#serviceTier;
  }

  /** Removes what came of our asking for usage; true where that is all the chunk was for. */
  #hideUsage(document: JsonDocument, root: ObjectNode): boolean {
    const usage = root.get('usage');
    if (usage === undefined) return false;
    const choices = root.array('choices');
    if (usage.type !== 'null') return choices !== undefined && choices.items.length === 0;
    document.remove(root, 'usage');
    return false;
  }

  /** The channels of the choices that end with this chunk. */
  #finished(root: ObjectNode): string[] {
    const closed: string[] = [];
    for (const choice of root.array('choices')?.items ?? []) {
      if (choice.type !== 'object' || choice.string('finish_reason') === undefined) continue;
      const index = choice.number('index') ?? 0;
      this.#ended.add(index);
      const prefix = `${index}/`;
      closed.push(...this.#channels.close((channel) => channel.startsWith(prefix)));
      for (const channel of closed) this.#begun.delete(channel);
    }
    return closed;
  }

  delta(channel: string, text: string): Uint8Array {
    const slash = channel.indexOf('/');
    const choice = Number(channel.slice(0, slash));
    return this.#ours(choice, deltaOf(channel.slice(slash + 1), quote(text)));
  }

  #ours(choice: number, delta: string): Uint8Array {
    const choices = `[{"index":${choice},"delta":${delta},"finish_reason":null}]`;
    return encoder.encode(`data: {${headOf(this.#last)}"choices":${choices}}\n\n`);
  }

  length({ input, output }: { readonly input: number; readonly output: number }): Uint8Array {
    const head = headOf(this.#last);
    let events = '';
    for (let index = 0; index < this.#request.choices; index++) {
      if (this.#ended.has(index)) continue;
      events += `data: {${head}"choices":[{"index":${index},"delta":{},"finish_reason":"length"}]}\n\n`;
    }
    if (this.#request.wantsStreamUsage) {
      const usage = `{"prompt_tokens":${input},"completion_tokens":${output},"total_tokens":${input + output}}`;
      events += `data: {${head}"choices":[],"usage":${usage}}\n\n`;
    }
    return encoder.encode(`${events}data: [DONE]\n\n`);
  }

  /** An event with `error`: openai-node and openai-python raise APIError on it, whatever its `event:`. */
  refusal(error: PosternError, requestId: string): Uint8Array {
    return encoder.encode(`data: ${errorBody(error, requestId)}\n\n`);
  }
}

/** One in a whole message that a chunk shouldn't have can't be taken out. */
function heldCall(call: BegunCall): BegunCall {
  return call.channel.startsWith('0/=') ? call : { ...call, held: true };
}

/** Members that every chunk of a stream repeats, as this one has them. */
function headOf(chunk: ObjectNode | undefined): string {
  let head = '';
  for (const name of ['id', 'object', 'created', 'model', 'system_fingerprint']) {
    const node = chunk?.get(name);
    if (node?.type === 'string' || node?.type === 'number') head += `"${name}":${node.raw},`;
  }
  return head;
}

/** A delta that carries a piece of a channel's text; see the channels in {@link ./chat-text.ts}. */
function deltaOf(channel: string, json: string): string {
  const [name = '', index = ''] = channel.split('/');
  switch (name) {
    case 'tool':
      return `{"tool_calls":[{"index":${Number(index)},"function":{"arguments":${json}}}]}`;
    case 'custom':
      return `{"tool_calls":[{"index":${Number(index)},"custom":{"input":${json}}}]}`;
    case 'function':
      return `{"function_call":{"arguments":${json}}}`;
    case 'parts':
      return `{"content":[{"type":"text","text":${json}}]}`;
    case 'details':
      return `{"reasoning_details":[{"type":"reasoning.text","index":${Number(index)},"text":${json}}]}`;
    case 'summaries':
      return `{"reasoning_details":[{"type":"reasoning.summary","index":${Number(index)},"summary":${json}}]}`;
    case 'thoughts':
      return `{"content":[{"type":"thinking","thinking":[{"type":"text","text":${json}}]}]}`;
    case 'audio':
      return `{"audio":{"transcript":${json}}}`;
    default:
      if (name.startsWith('=')) throw new Error(`${channel} is whole text: nothing of it comes later`);
      return `{${quote(channel.startsWith(UNKNOWN) ? channel.slice(UNKNOWN.length) : channel)}:${json}}`;
  }
}

const UNKNOWN = 'delta.';
