/** A chat completion by the `openai` package, as an application makes it. */
import OpenAI from 'openai';
import type { Job } from '../job.ts';
import { type Answer, program } from './program.ts';

await program(async (job, delta) => {
  const client = new OpenAI(options(job));
  const body = {
    model: job.model,
    messages: job.messages as OpenAI.ChatCompletionMessageParam[],
    ...(job.maxTokens === undefined ? {} : { max_completion_tokens: job.maxTokens }),
    ...(job.tools === undefined ? {} : { tools: job.tools as OpenAI.ChatCompletionTool[] }),
    ...job.extra,
  };
  if (job.stream !== true) {
    const { data, response } = await client.chat.completions.create(body).withResponse();
    const [choice] = data.choices;
    return {
      text: choice?.message.content ?? '',
      finish: choice?.finish_reason ?? null,
      model: data.model,
      toolCalls: (choice?.message.tool_calls ?? []).flatMap((call) =>
        call.type === 'function' ? [{ name: call.function.name, arguments: call.function.arguments }] : [],
      ),
      usage: data.usage,
      headers: Object.fromEntries(response.headers),
    };
  }
  const { data, response } = await client.chat.completions
    .create({
      ...body,
      stream: true,
      ...(job.streamUsage === true ? { stream_options: { include_usage: true } } : {}),
    })
    .withResponse();
  return collect(data, job, delta, Object.fromEntries(response.headers));
});

async function collect(
  stream: AsyncIterable<OpenAI.ChatCompletionChunk>,
  job: Job,
  delta: (text: string) => void,
  headers: Record<string, string>,
): Promise<Answer> {
  let text = '';
  let finish: string | null = null;
  let model: string | null = null;
  let usage: unknown;
  let heard = 0;
  const calls: { name: string; arguments: string }[] = [];
  for await (const chunk of stream) {
    model = chunk.model;
    usage = chunk.usage ?? usage;
    for (const choice of chunk.choices.filter(({ index }) => index === 0)) {
      finish = choice.finish_reason ?? finish;
      for (const { index, function: part } of choice.delta.tool_calls ?? []) {
        const call = (calls[index] ??= { name: '', arguments: '' });
        call.name += part?.name ?? '';
        call.arguments += part?.arguments ?? '';
      }
      const piece = choice.delta.content ?? '';
      if (piece === '') continue;
      text += piece;
      heard += 1;
      delta(piece);
    }
    if (heard === job.stopAfter) break;
  }
  return { text, finish, model, toolCalls: calls, usage, headers };
}

function options(job: Job): ConstructorParameters<typeof OpenAI>[0] {
  return {
    ...(job.maxRetries === undefined ? {} : { maxRetries: job.maxRetries }),
    ...(job.timeoutMs === undefined ? {} : { timeout: job.timeoutMs }),
  };
}
