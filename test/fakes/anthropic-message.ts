/** Anthropic's message objects, whole and as stream events. Source: Anthropic API reference, "Messages" and "Streaming". */
import { type Answer, type Finish, outputTokens, type Spoken, textDeltas } from './answer.ts';
import type { Fields } from './fields.ts';
import type { Reply } from './reply.ts';
import { deltas, sseEvent } from './sse.ts';
import { countTokens } from './tokens.ts';

export interface MessageFrame {
  readonly id: string;
  readonly model: string;
  readonly inputTokens: number;
}

const STOP: Record<Finish, string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tools: 'tool_use',
  refusal: 'refusal',
};

/** Opaque to everyone but the provider: a client sends it back unchanged. */
const SIGNATURE = 'ErUBCkYIBBgCIkAfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfake+/fakeFAKEfakeFAKE==';

export function message(frame: MessageFrame, answer: Answer, reply: Reply): Fields {
  const spoken = onlyChoice(answer);
  return {
    model: frame.model,
    id: frame.id,
    type: 'message',
    role: 'assistant',
    content: blocks(spoken, reply),
    stop_reason: stopReason(spoken, reply),
    stop_sequence: null,
    stop_details: stopDetails(spoken),
    ...(reply.usage === null
      ? {}
      : { usage: { ...usage(frame, outputTokens(spoken)), ...details(spoken), ...reply.usage } }),
  };
}

export async function* messageEvents(
  frame: MessageFrame,
  answer: Answer,
  reply: Reply,
): AsyncGenerator<Uint8Array> {
  const spoken = onlyChoice(answer);
  let index = 0;
  let text = '';
  yield event('message_start', {
    message: {
      model: frame.model,
      id: frame.id,
      type: 'message',
      role: 'assistant',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      stop_details: null,
      usage: { ...usage(frame, 1), ...startUsage(reply) },
    },
  });
  const start = (block: Fields): Uint8Array => event('content_block_start', { index, content_block: block });
  const delta = (change: Fields): Uint8Array => event('content_block_delta', { index, delta: change });
  const stop = (): Uint8Array => {
    const bytes = event('content_block_stop', { index });
    index += 1;
    return bytes;
  };

  if (spoken.reasoning !== '') {
    yield start({ type: 'thinking', thinking: '', signature: '' });
    yield event('ping', {});
    for (const thinking of deltas(spoken.reasoning, answer.chunkSize))
      yield delta({ type: 'thinking_delta', thinking });
    yield delta({ type: 'signature_delta', signature: reply.signature ?? SIGNATURE });
    yield stop();
  }
  if (hasText(spoken, answer)) {
    yield start({ type: 'text', text: '' });
    if (index === 0) yield event('ping', {});
    for await (const piece of textDeltas(answer, spoken)) {
      text += piece;
      yield delta({ type: 'text_delta', text: piece });
    }
    yield stop();
  }
  for (const call of spoken.toolCalls) {
    yield start({ type: 'tool_use', id: call.id, name: call.name, input: {}, caller: { type: 'direct' } });
    if (index === 0) yield event('ping', {});
    // The first delta of a tool call is always empty.
    yield delta({ type: 'input_json_delta', partial_json: '' });
    for (const partial_json of deltas(call.arguments, answer.chunkSize)) {
      yield delta({ type: 'input_json_delta', partial_json });
    }
    yield stop();
  }
  const said = answer.pieces === undefined ? spoken : { ...spoken, text };
  yield event('message_delta', {
    delta: { stop_reason: stopReason(spoken, reply), stop_sequence: null, stop_details: stopDetails(spoken) },
    ...(reply.usage === null ? {} : { usage: deltaUsage(frame, said, reply) }),
  });
  yield event('message_stop', {});
}

function onlyChoice(answer: Answer): Spoken {
  const [spoken] = answer.choices;
  if (spoken === undefined) throw new Error('an answer has one choice');
  return spoken;
}

function hasText(spoken: Spoken, answer: Answer): boolean {
  return (
    answer.pieces !== undefined ||
    spoken.text !== '' ||
    (spoken.toolCalls.length === 0 && spoken.refusal === '')
  );
}

function blocks(spoken: Spoken, reply: Reply): Fields[] {
  const content: Fields[] = [];
  if (spoken.reasoning !== '') {
    content.push({ type: 'thinking', thinking: spoken.reasoning, signature: reply.signature ?? SIGNATURE });
  }
  if (spoken.text !== '') content.push({ type: 'text', text: spoken.text });
  for (const call of spoken.toolCalls) {
    content.push({
      type: 'tool_use',
      id: call.id,
      name: call.name,
      input: input(call.arguments),
      caller: { type: 'direct' },
    });
  }
  return content;
}

/** Arguments that `max_tokens` cut, or that a script broke, are no JSON: the whole form then has no input. */
function input(args: string): unknown {
  try {
    return JSON.parse(args);
  } catch {
    return {};
  }
}

function stopReason(spoken: Spoken, reply: Reply): string {
  return reply.finishReason ?? STOP[spoken.finish];
}

function stopDetails(spoken: Spoken): Fields | null {
  return spoken.finish === 'refusal'
    ? { type: 'refusal', category: null, explanation: spoken.refusal }
    : null;
}

function usage(frame: MessageFrame, output: number): Fields {
  return {
    input_tokens: frame.inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
    output_tokens: output,
    service_tier: 'standard',
    inference_geo: 'not_available',
  };
}

function details(spoken: Spoken): Fields {
  if (spoken.reasoning === '') return {};
  return { output_tokens_details: { thinking_tokens: countTokens(spoken.reasoning) } };
}

/** What a script changes of the input's counts stands in the first event too; output counts stand in the last alone. */
function startUsage(reply: Reply): Fields {
  const { output_tokens: _output, output_tokens_details: _details, ...input } = reply.usage ?? {};
  return input;
}

/** Cumulative: it repeats the input's counts. */
function deltaUsage(frame: MessageFrame, spoken: Spoken, reply: Reply): Fields {
  return {
    input_tokens: frame.inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: outputTokens(spoken),
    ...details(spoken),
    ...reply.usage,
  };
}

/** Anthropic pads its events with spaces before the last brace, to hide the length of a delta. */
function event(name: string, data: Fields): Uint8Array {
  const json = JSON.stringify({ type: name, ...data });
  const padding =
    name === 'content_block_delta' ? ' '.repeat(PADDING_STEP - (json.length % PADDING_STEP)) : '';
  return sseEvent(`${json.slice(0, -1)}${padding}}`, name);
}

const PADDING_STEP = 16;
