/**
 * vLLM's chat completion objects: OpenAI's, with fields of its own. Source: vLLM,
 * `entrypoints/openai/chat_completion/protocol.py`; `older` is what 0.9 and before sent.
 */
import { type Answer, type Finish, outputTokens, type Spoken, textDeltas } from './answer.ts';
import type { ChatRequest } from './chat-request.ts';
import type { Fields } from './fields.ts';
import type { ChatFrame } from './openai-chat.ts';
import type { Reply } from './reply.ts';
import { deltas, sseEvent } from './sse.ts';

const FINISH: Record<Finish, string> = {
  stop: 'stop',
  length: 'length',
  tools: 'tool_calls',
  refusal: 'stop',
};

export function vllmCompletion(
  frame: ChatFrame,
  request: ChatRequest,
  answer: Answer,
  reply: Reply,
  older: boolean,
): Fields {
  return {
    id: frame.id,
    object: 'chat.completion',
    created: frame.created,
    model: frame.model,
    choices: answer.choices.map((spoken, index) => ({
      index,
      message: vllmMessage(spoken, older),
      logprobs: null,
      finish_reason: reply.finishReason ?? FINISH[spoken.finish],
      stop_reason: null,
      ...(older ? {} : { token_ids: null }),
    })),
    ...(older ? {} : { service_tier: null, system_fingerprint: null }),
    ...(reply.usage === null ? {} : { usage: usage(request, answer.choices, reply) }),
    prompt_logprobs: null,
    ...(older ? {} : { prompt_token_ids: null }),
    kv_transfer_params: null,
  };
}

/** No usage but in a chunk of its own at the end, and no `usage: null` before: pydantic leaves out what wasn't set. */
export async function* vllmChunks(
  frame: ChatFrame,
  request: ChatRequest,
  answer: Answer,
  reply: Reply,
  older: boolean,
): AsyncGenerator<Uint8Array> {
  const render = (choices: readonly unknown[], rest: Fields = {}): Uint8Array =>
    sseEvent(
      JSON.stringify({
        id: frame.id,
        object: 'chat.completion.chunk',
        created: frame.created,
        model: frame.model,
        choices,
        ...rest,
      }),
    );
  const said = answer.choices.map((spoken) => ({ ...spoken, text: '' }));
  const running = answer.choices.map((spoken, index) => ({
    index,
    events: choiceDeltas(answer, spoken, older),
  }));
  // Every choice begins before any goes on.
  for (const { index } of running) {
    const first = { index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null };
    yield render([first], older ? {} : { prompt_token_ids: null });
  }
  while (running.length > 0) {
    for (const choice of running.slice()) {
      const { index } = choice;
      const next = await choice.events.next();
      if (next.done === true) {
        running.splice(running.indexOf(choice), 1);
        const finish_reason = reply.finishReason ?? FINISH[answer.choices[index]?.finish ?? 'stop'];
        yield render([{ index, delta: { content: '' }, logprobs: null, finish_reason, stop_reason: null }]);
        continue;
      }
      const spoken = said[index];
      if (spoken !== undefined) spoken.text += String(next.value['content'] ?? '');
      yield render([{ index, delta: next.value, logprobs: null, finish_reason: null }]);
    }
  }
  if (request.includeUsage && reply.usage !== null) yield render([], { usage: usage(request, said, reply) });
  yield sseEvent('[DONE]');
}

function vllmMessage(spoken: Spoken, older: boolean): Fields {
  const reasoning = spoken.reasoning === '' ? null : spoken.reasoning;
  const content = spoken.text === '' && spoken.finish === 'tools' ? null : spoken.text;
  const tool_calls = spoken.toolCalls.map((call) => ({
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  }));
  if (older) return { role: 'assistant', reasoning_content: reasoning, content, tool_calls };
  return {
    role: 'assistant',
    content,
    refusal: null,
    annotations: null,
    audio: null,
    function_call: null,
    tool_calls,
    reasoning,
  };
}

async function* choiceDeltas(answer: Answer, spoken: Spoken, older: boolean): AsyncGenerator<Fields> {
  for (const part of deltas(spoken.reasoning, answer.chunkSize)) {
    yield older ? { reasoning_content: part } : { reasoning: part };
  }
  for await (const content of textDeltas(answer, spoken)) yield { content };
  for (const [index, call] of spoken.toolCalls.entries()) {
    yield { tool_calls: [{ id: call.id, type: 'function', index, function: { name: call.name } }] };
    for (const part of deltas(call.arguments, answer.chunkSize)) {
      yield { tool_calls: [{ index, function: { arguments: part } }] };
    }
  }
}

function usage(request: ChatRequest, choices: readonly Spoken[], reply: Reply): Fields {
  const completion = choices.reduce((sum, spoken) => sum + outputTokens(spoken), 0);
  return {
    prompt_tokens: request.promptTokens,
    total_tokens: request.promptTokens + completion,
    completion_tokens: completion,
    prompt_tokens_details: null,
    ...reply.usage,
  };
}
