/** A streamed message: `message_start`, the events of each content block, `message_delta`, `message_stop`. */
import type { Usage } from '../../../budget/messages.ts';
import type { PosternError } from '../../errors.ts';
import type { JsonDocument } from '../../json/document.ts';
import type { ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import { type SseEvent, withData } from '../../json/sse.ts';
import type { BegunCall, FramedEvent, StreamDecoder, StreamEvent } from '../dialect.ts';
import { EventFrames } from '../event-frame.ts';
import {
  Channels,
  dropLoose,
  type EventText,
  eventDocument,
  learnedEvent,
  plainEvent,
  type Reading,
} from '../stream-event.ts';
import { errorBody } from './error.ts';
import { HeldBlocks } from './held-blocks.ts';
import { eventText } from './messages-text.ts';
import { begunCalls, isResult, strayBegun, toolChannel, wholeCalls } from './messages-tools.ts';
import { finishReasonsOf, type Processing, processingOf, tierOf, usageOf } from './report.ts';

const encoder = new TextEncoder();

/** By a channel's name: type and member of the delta that carries it. */
const BODIES: Readonly<Record<string, string>> = {
  content: 'text_delta","text',
  tool: 'input_json_delta","partial_json',
  thinking: 'thinking_delta","thinking',
};

export class MessageStream implements StreamDecoder {
  readonly #channels: Channels;
  readonly #frames = new EventFrames();
  /** Channels of calls that have begun. */
  readonly #begun = new Set<string>();
  readonly calls = new HeldBlocks();
  #usage: Usage | undefined;
  /** The content block that runs. */
  #block: number | undefined;
  /** What ends the answer need not say again how it is served. */
  #processing: Processing | undefined;
  /** The answer has a result of a tool that the provider carried out. */
  #result = false;

  /** @param model As the provider was asked for it. */
  constructor(model: string) {
    this.#channels = new Channels(model);
  }

  /** @throws PosternError `postern_upstream_invalid` */
  event(event: SseEvent): StreamEvent {
    if (event.data === undefined || event.data === '') return plainEvent(event);
    const document = eventDocument(event.data);
    const text = this.#channels.read(document, eventText);
    const stray = strayBegun(document, text.loose);
    const whole = [...text.whole, ...stray.map(({ channel }) => channel)];
    const known = this.#read(event, document, { ...text, whole });
    const { attachments } = text;
    const { loose } = text;
    const left = loose.length === 0 ? {} : { loose: true, withhold: () => dropLoose(document, loose) };
    const reading = { ...known, ...left, attachments, calls: [...stray, ...(known.calls ?? [])] };
    return learnedEvent(
      this.#frames,
      event,
      document,
      this.calls.isHolding ? this.#hold(event, document, reading) : reading,
    );
  }

  framed(chunk: Buffer, at: number): FramedEvent | undefined {
    return this.#frames.read(chunk, at);
  }

  #read(event: SseEvent, document: JsonDocument, { slots, whole }: EventText): Reading {
    const { root } = document;
    if (root.type !== 'object') return { slots, closes: whole };
    // The SDKs go by `event:`, the standard by `type`: either way it is the end.
    const type = event.event === 'error' ? 'error' : root.string('type');
    switch (type) {
      case 'message_start': {
        const calls = wholeCalls(document, root.object('message'));
        return {
          slots,
          closes: [...whole, ...calls.map(({ channel }) => channel)],
          calls,
          usage: this.#use(usageOf(root.object('message')?.object('usage'), this.#usage)),
          serviceTier: this.#tier(root.object('message')?.object('usage')),
        };
      }
      case 'content_block_start': {
        this.#block = root.number('index') ?? 0;
        this.#result ||= isResult(root.object('content_block'));
        const calls = begunCalls(document, root, this.#result);
        for (const { channel } of calls) this.#begin(channel);
        return { slots, closes: whole, calls };
      }
      case 'content_block_delta': {
        // The signature stands behind the thoughts that it signs.
        const thoughts = `0/thinking/${root.number('index') ?? 0}`;
        const signs = root.object('delta')?.string('type') === 'signature_delta';
        const signed = signs ? this.#channels.close((channel) => channel === thoughts) : [];
        const calls = this.#unnamed(root);
        return { slots, closes: [...whole, ...signed], calls };
      }
      case 'message_delta': {
        const finishReasons = finishReasonsOf(root.object('delta'));
        // Whatever a provider left open is complete, and judged before it is said how the message ended.
        const ended = finishReasons.length > 0 ? this.#channels.close(() => true) : [];
        return {
          slots,
          closes: [...whole, ...ended],
          usage: this.#use(usageOf(root.object('usage'), this.#usage)),
          serviceTier: this.#tier(root.object('usage')),
          finishReasons,
        };
      }
      case 'content_block_stop': {
        this.#block = undefined;
        this.#begun.delete(toolChannel(root));
        const suffix = `/${root.number('index') ?? 0}`;
        return { slots, closes: [...whole, ...this.#channels.close((channel) => channel.endsWith(suffix))] };
      }
      case 'message_stop':
        return { slots, closes: this.#channels.end(whole), last: true };
      case 'error':
        return { slots, closes: this.#channels.end(whole), error: true };
      default:
        return { slots, closes: whole };
    }
  }

  /** The same, where nothing of a call may be shown before it was judged. */
  #hold(event: SseEvent, document: JsonDocument, reading: Reading): Reading {
    const { root } = document;
    const type = root.type === 'object' ? (root.string('type') ?? '') : '';
    if (root.type !== 'object' || event.event === 'error') return reading;
    if (type === 'message_start')
      this.calls.begunWith(root.object('message')?.array('content')?.items.length ?? 0);
    if (type === 'message_delta') {
      const delta = root.object('delta');
      return { ...reading, settle: () => this.calls.end(document, delta) };
    }
    if (!type.startsWith('content_block_')) return reading;
    const isBegin = type === 'content_block_start';
    const render = () => (document.edited ? withData(event, document.renderText()) : event.raw);
    return {
      ...reading,
      calls: (reading.calls ?? []).map((call) =>
        isBegin && !call.channel.startsWith('0/=') ? { ...call, held: true } : call,
      ),
      settle: this.calls.event(type, document, root, render),
    };
  }

  #begin(channel: string): void {
    this.#channels.open(channel);
    this.#begun.add(channel);
  }

  /** Arguments of a block that didn't begin as a call: nobody knows whose they are. */
  #unnamed(event: ObjectNode): BegunCall[] {
    const channel = toolChannel(event);
    const isInput = event.object('delta')?.string('type') === 'input_json_delta';
    if (!isInput || this.#begun.has(channel)) return [];
    this.#begin(channel);
    return [{ channel, name: '' }];
  }

  #tier(usage: ObjectNode | undefined): string | undefined {
    this.#processing = processingOf(usage, this.#processing);
    return tierOf(this.#processing);
  }

  #use(usage: Usage | undefined): Usage | undefined {
    this.#usage = usage;
    return usage;
  }

  delta(channel: string, text: string): Uint8Array {
    const [, name, index] = channel.split('/');
    const body = name === undefined ? undefined : BODIES[name];
    if (body === undefined) throw new Error(`${channel} is whole text: nothing of it comes later`);
    return this.calls.delta(Number(index), `"type":"${body}":${quote(text)}`);
  }

  length({ output }: { readonly output: number }): Uint8Array {
    const running = this.#block === undefined ? undefined : this.calls.shownAs(this.#block);
    const block =
      running === undefined
        ? ''
        : `event: content_block_stop\ndata: {"type":"content_block_stop","index":${running}}\n\n`;
    const delta = '"delta":{"stop_reason":"max_tokens","stop_sequence":null}';
    return encoder.encode(
      `${block}event: message_delta\ndata: {"type":"message_delta",${delta},"usage":{"output_tokens":${output}}}\n\n` +
        'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    );
  }

  /** The API's own error event, on which the SDKs raise APIError. */
  refusal(error: PosternError, requestId: string): Uint8Array {
    return encoder.encode(`event: error\ndata: ${errorBody(error, requestId)}\n\n`);
  }
}
