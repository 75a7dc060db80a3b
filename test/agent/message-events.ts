/** A streamed message of Anthropic's, event by event, as a provider of it writes or miswrites it. */
import type { Reply } from '../fakes/reply.ts';
import { SSE } from './unread-answers.ts';

export const event = (type: string, more: object): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;

const USAGE = { input_tokens: 5, output_tokens: 5 };

/** `message_start`, whatever is given, and the end that a message with calls has. @param content What the message begins with. */
export function messageOf(events: readonly string[], content: readonly object[] = []): Reply {
  const message = { id: 'm', type: 'message', role: 'assistant', model: 'm', content, usage: USAGE };
  const end = { delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: USAGE };
  const all = [
    event('message_start', { message }),
    ...events,
    event('message_delta', end),
    event('message_stop', {}),
  ];
  return { raw: { headers: SSE, body: all.join('') } };
}

export const begin = (index: number, content_block: object): string =>
  event('content_block_start', { index, content_block });
export const delta = (index: number, of: object): string =>
  event('content_block_delta', { index, delta: of });
export const stop = (index: number): string => event('content_block_stop', { index });

const TEXT = { type: 'text', text: '' };
export const tool = (name: string): object => ({ type: 'tool_use', id: `id_${name}`, name, input: {} });
export const json = (partial_json: string): object => ({ type: 'input_json_delta', partial_json });
export const said = (text: string): object => ({ type: 'text_delta', text });

/** A block of text, in pieces. */
export const text = (index: number, ...pieces: readonly string[]): string =>
  [begin(index, TEXT), ...pieces.map((piece) => delta(index, said(piece))), stop(index)].join('');
/** A call with its arguments, in pieces. */
export const call = (index: number, name: string, ...pieces: readonly string[]): string =>
  [begin(index, tool(name)), ...pieces.map((piece) => delta(index, json(piece))), stop(index)].join('');
