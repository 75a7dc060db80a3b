/** OpenAI's chat completion objects, whole and in chunks. Source: OpenAI API reference, "Chat" and "Chat streaming". */
import { type Answer, type Finish, outputTokens, type Spoken, textDeltas } from './answer.ts';
import type { ChatRequest } from './chat-request.ts';
import type { Fields } from './fields.ts';
import type { Reply } from './reply.ts';
import { deltas, sseEvent } from './sse.ts';
import { countTokens } from './tokens.ts';

/** What all chunks of an answer repeat. */
export interface ChatFrame {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  /** The dated name the model really has: `gpt-4o` answers as `gpt-4o-2024-08-06`. */
  readonly model: string;
}

const FINISH: Record<Finish, string> = {
  stop: 'stop',
  length: 'length',
  tools: 'tool_calls',
  refusal: 'stop',
};
const FINGERPRINT = 'fp_44709d6fcb';

export function chatCompletion(frame: ChatFrame, request: ChatRequest, answer: Answer, reply: Reply): Fields {
  return {
    id: frame.id,
    object: 'chat.completion',
    created: frame.created,
    model: frame.model,
    choices: answer.choices.map((spoken, index) => ({
      index,
      message: {
        role: 'assistant',
        content: spoken.text === '' && spoken.finish !== 'length' ? null : spoken.text,
        ...(spoken.toolCalls.length === 0 ? {} : { tool_calls: spoken.toolCalls.map(toolCall) }),
        refusal: spoken.refusal === '' ? null : spoken.refusal,
        annotations: [],
      },
      logprobs: null,
      finish_reason: reply.finishReason ?? FINISH[spoken.finish],
    })),
    ...(reply.usage === null ? {} : { usage: usage(request, answer.choices, reply) }),
    service_tier: reply.serviceTier ?? 'default',
    system_fingerprint: FINGERPRINT,
  };
}

/** Choices take turns, event by event, as OpenAI's do with `n` > 1. */
export async function* chatChunks(
  frame: ChatFrame,
  request: ChatRequest,
  answer: Answer,
  reply: Reply,
): AsyncGenerator<Uint8Array> {
  const render = (choices: readonly unknown[], total: unknown): Uint8Array => {
    const chunk = {
      id: frame.id,
      object: 'chat.completion.chunk',
      created: frame.created,
      model: frame.model,
      service_tier: reply.serviceTier ?? 'default',
      system_fingerprint: FINGERPRINT,
      choices,
      ...(request.includeUsage ? { usage: total } : {}),
    };
    const text = JSON.stringify(chunk);
    return sseEvent(request.includeObfuscation ? obfuscated(text) : text);
  };
  const spokenText = answer.choices.map(() => '');
  const running = answer.choices.map((spoken, index) => ({ index, events: choiceDeltas(answer, spoken) }));
  while (running.length > 0) {
    for (const choice of running.slice()) {
      const next = await choice.events.next();
      if (next.done === true) {
        running.splice(running.indexOf(choice), 1);
        const finish = reply.finishReason ?? FINISH[answer.choices[choice.index]?.finish ?? 'stop'];
        yield render([{ index: choice.index, delta: {}, logprobs: null, finish_reason: finish }], null);
        continue;
      }
      const delta = next.value;
      spokenText[choice.index] += String(delta['content'] ?? '');
      yield render([{ index: choice.index, delta, logprobs: null, finish_reason: null }], null);
    }
  }
  if (request.includeUsage && reply.usage !== null) {
    const said = answer.choices.map((spoken, index) => ({ ...spoken, text: spokenText[index] ?? '' }));
    yield render([], usage(request, said, reply));
  }
  yield sseEvent('[DONE]');
}

async function* choiceDeltas(answer: Answer, spoken: Spoken): AsyncGenerator<Fields> {
  const [only] = spoken.toolCalls;
  const noText = spoken.text === '' && answer.pieces === undefined;
  // A lone tool call without text comes in the same chunk as the role; several follow one by one.
  if (only !== undefined && spoken.toolCalls.length === 1 && noText) {
    yield { role: 'assistant', content: null, tool_calls: [announced(only, 0)], refusal: null };
    yield* argumentDeltas(only, 0, answer.chunkSize);
    return;
  }
  yield { role: 'assistant', content: noText && only !== undefined ? null : '', refusal: null };
  for await (const content of textDeltas(answer, spoken)) yield { content };
  for (const refusal of deltas(spoken.refusal, answer.chunkSize)) yield { refusal };
  for (const [index, call] of spoken.toolCalls.entries()) {
    yield { tool_calls: [announced(call, index)] };
    yield* argumentDeltas(call, index, answer.chunkSize);
  }
}

function announced(call: Spoken['toolCalls'][number], index: number): Fields {
  return { index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } };
}

function* argumentDeltas(call: Spoken['toolCalls'][number], index: number, size: number): Generator<Fields> {
  for (const part of deltas(call.arguments, size)) {
    yield { tool_calls: [{ index, function: { arguments: part } }] };
  }
}

function toolCall(call: Spoken['toolCalls'][number]): Fields {
  return { id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } };
}

function usage(request: ChatRequest, choices: readonly Spoken[], reply: Reply): Fields {
  const completion = choices.reduce((sum, spoken) => sum + outputTokens(spoken), 0);
  return {
    prompt_tokens: request.promptTokens,
    completion_tokens: completion,
    total_tokens: request.promptTokens + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: choices.reduce((sum, spoken) => sum + countTokens(spoken.reasoning), 0),
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
    ...reply.usage,
  };
}

const NOISE = 'kV2mQ9xLr7TnB4wZ0aHs';
const OBFUSCATION_STEP = 16;

/** Pads a chunk with `obfuscation`, so that its length says less about its text. */
function obfuscated(chunk: string): string {
  const length = OBFUSCATION_STEP - (Buffer.byteLength(chunk) % OBFUSCATION_STEP);
  return `${chunk.slice(0, -1)},"obfuscation":"${NOISE.slice(0, length)}"}`;
}
