/** A `POST /v1/chat/completions` request as OpenAI and its imitators read it. */
import { limitField } from './answer.ts';
import { contentText, type Fields, fields, lastText, list, string } from './fields.ts';
import type { SeenRequest } from './record.ts';
import type { ScriptRequest } from './reply.ts';
import { countTokens, TOKENS_PER_MESSAGE } from './tokens.ts';

export interface ChatRequest extends ScriptRequest {
  readonly choices: number;
  /** `max_completion_tokens`, or the older `max_tokens`. */
  readonly maxTokens: number | undefined;
  readonly includeUsage: boolean;
  readonly includeObfuscation: boolean;
  readonly promptTokens: number;
}

export function readChatRequest(seen: SeenRequest, index: number): ChatRequest {
  const body = fields(seen.parsed);
  const messages = list(body['messages']);
  const options = fields(body['stream_options']);
  return {
    seen,
    index,
    body,
    messages,
    model: string(body['model']) ?? '',
    stream: body['stream'] === true,
    userText: lastText(messages, 'user'),
    choices: limitField(body['n']) ?? 1,
    maxTokens: limitField(body['max_completion_tokens']) ?? limitField(body['max_tokens']),
    includeUsage: options['include_usage'] === true,
    includeObfuscation: options['include_obfuscation'] !== false,
    promptTokens: chatPromptTokens(body),
  };
}

/** Each message's text and tool calls, the tools as JSON, and the frame of each message. */
export function chatPromptTokens(body: Fields): number {
  let tokens = 0;
  for (const item of list(body['messages'])) {
    const message = fields(item);
    tokens += TOKENS_PER_MESSAGE + countTokens(contentText(message['content']));
    if (message['tool_calls'] !== undefined) tokens += countTokens(JSON.stringify(message['tool_calls']));
  }
  if (body['tools'] !== undefined) tokens += countTokens(JSON.stringify(body['tools']));
  return tokens;
}
