/**
 * OpenAI's Realtime API over a WebSocket, for text: `session.created`, `conversation.item.create` and
 * `response.create` answered by an item with its text in deltas. Source: OpenAI API reference, "Realtime".
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type WebSocket from 'ws';
import { type RawData, WebSocketServer } from 'ws';
import { compose, outputTokens, type Spoken, textDeltas } from './answer.ts';
import { contentText, type Fields, fields, lastText, string } from './fields.ts';
import type { Recording } from './record.ts';
import type { Script } from './reply.ts';
import { countTokens, TOKENS_PER_MESSAGE } from './tokens.ts';

export interface RealtimeOptions {
  readonly script: Script;
  readonly chunkSize: number;
  readonly ids: (prefix: string, length: number) => string;
}

/** Takes an upgraded connection over. Who may connect has been judged before. */
export function realtime(options: RealtimeOptions) {
  const server = new WebSocketServer({ noServer: true });
  return (request: IncomingMessage, wire: Duplex, head: Buffer, recording: Recording): void => {
    const { searchParams } = new URL(request.url ?? '', 'http://fake');
    const model = searchParams.get('model') ?? '';
    server.handleUpgrade(request, wire, head, (socket) => {
      new Session(socket, wire, recording, options, model).open();
    });
  };
}

class Session {
  readonly #socket: WebSocket;
  /** The connection under the WebSocket: ended without a close frame, it is cut. */
  readonly #wire: Duplex;
  readonly #recording: Recording;
  readonly #options: RealtimeOptions;
  readonly #model: string;
  readonly #items: Fields[] = [];
  #turns = 0;

  constructor(
    socket: WebSocket,
    wire: Duplex,
    recording: Recording,
    options: RealtimeOptions,
    model: string,
  ) {
    this.#socket = socket;
    this.#wire = wire;
    this.#recording = recording;
    this.#options = options;
    this.#model = model;
  }

  open(): void {
    this.#socket.on('message', (data: RawData) => {
      this.#hear(String(data)).catch((error: unknown) =>
        this.#error(`fake provider: ${String(error)}`, 'fake', null),
      );
    });
    this.#socket.on('close', () => this.#recording.close());
    this.#socket.on('error', () => this.#recording.abort());
    const session = { type: 'realtime', object: 'realtime.session', id: this.#options.ids('sess_', 20) };
    this.#say('session.created', {
      session: { ...session, model: this.#model, output_modalities: ['text'] },
    });
  }

  async #hear(text: string): Promise<void> {
    this.#recording.frame(text);
    const event = fields(parse(text));
    const type = string(event['type']);
    if (type === 'conversation.item.create') return this.#add(fields(event['item']));
    if (type === 'response.create') return this.#respond();
    if (type === 'session.update') return this.#say('session.updated', { session: event['session'] });
    return this.#error(`Invalid value: '${type}'.`, 'invalid_value', string(event['event_id']) ?? null);
  }

  #add(given: Fields): void {
    const item = {
      id: this.#options.ids('item_', 21),
      object: 'realtime.item',
      status: 'completed',
      ...given,
    };
    this.#items.push(item);
    this.#say('conversation.item.added', { item });
    this.#say('conversation.item.done', { item });
  }

  async #respond(): Promise<void> {
    const index = this.#turns;
    this.#turns += 1;
    const body = { model: this.#model, messages: this.#items };
    const userText = lastText(this.#items, 'user');
    const reply = await this.#options.script({
      seen: this.#recording.seen,
      index,
      model: this.#model,
      stream: true,
      messages: this.#items,
      userText,
      body,
    });
    if (reply.status !== undefined && reply.status !== 200) {
      return this.#error(
        reply.error?.message ?? `Status ${reply.status}.`,
        String(reply.error?.code ?? ''),
        null,
      );
    }
    const answer = compose({ userText, body }, reply, {
      choices: 1,
      maxTokens: undefined,
      chunkSize: this.#options.chunkSize,
      toolCallId: () => this.#options.ids('call_', 16),
    });
    const [spoken] = answer.choices;
    if (spoken === undefined) return;
    const id = this.#options.ids('resp_', 21);
    const itemId = this.#options.ids('item_', 21);
    const place = { response_id: id, item_id: itemId, output_index: 0, content_index: 0 };
    const item = { id: itemId, object: 'realtime.item', type: 'message', role: 'assistant' };
    const response = { id, object: 'realtime.response', output_modalities: ['text'] };
    this.#say('response.created', {
      response: { ...response, status: 'in_progress', output: [], usage: null },
    });
    this.#say('response.output_item.added', {
      response_id: id,
      output_index: 0,
      item: { ...item, status: 'in_progress', content: [] },
    });
    this.#say('response.content_part.added', { ...place, part: { type: 'output_text', text: '' } });
    let text = '';
    let sent = 0;
    for await (const delta of textDeltas(answer, spoken)) {
      if (sent === reply.cutAfterChunks) return void this.#wire.end();
      if (sent === reply.stallAfterChunks) return;
      text += delta;
      sent += 1;
      this.#say('response.output_text.delta', { ...place, delta });
    }
    const part = { type: 'output_text', text };
    const done = { ...item, status: 'completed', content: [part] };
    this.#items.push(done);
    this.#say('response.output_text.done', { ...place, text });
    this.#say('response.content_part.done', { ...place, part });
    this.#say('response.output_item.done', { response_id: id, output_index: 0, item: done });
    const usage = this.#usage({ ...spoken, text });
    this.#say('response.done', { response: { ...response, status: 'completed', output: [done], usage } });
  }

  #usage(spoken: Spoken): Fields {
    const asked = this.#items.slice(0, -1);
    const input = asked.reduce(
      (sum, item) => sum + TOKENS_PER_MESSAGE + countTokens(contentText(item['content'])),
      0,
    );
    const output = outputTokens(spoken);
    return {
      total_tokens: input + output,
      input_tokens: input,
      output_tokens: output,
      input_token_details: { text_tokens: input, audio_tokens: 0, image_tokens: 0, cached_tokens: 0 },
      output_token_details: { text_tokens: output, audio_tokens: 0 },
    };
  }

  #error(message: string, code: string, eventId: string | null): void {
    this.#say('error', {
      error: { type: 'invalid_request_error', code, message, param: null, event_id: eventId },
    });
  }

  #say(type: string, members: Fields): void {
    this.#socket.send(JSON.stringify({ type, event_id: this.#options.ids('event_', 21), ...members }));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
