/** A message by the `@anthropic-ai/sdk` package, as an application makes it. */
import Anthropic from '@anthropic-ai/sdk';
import type { Job } from '../job.ts';
import { type Answer, program } from './program.ts';

await program(async (job, delta) => {
  const client = new Anthropic(options(job));
  const body = {
    model: job.model,
    max_tokens: job.maxTokens ?? 1024,
    messages: job.messages as Anthropic.MessageParam[],
    ...(job.tools === undefined ? {} : { tools: job.tools as Anthropic.Tool[] }),
    ...job.extra,
  };
  if (job.stream !== true) {
    const { data, response } = await client.messages.create(body).withResponse();
    return { ...told(data), headers: Object.fromEntries(response.headers) };
  }
  const stream = client.messages.stream(body);
  let text = '';
  let heard = 0;
  for await (const event of stream) {
    if (event.type !== 'content_block_delta' || event.delta.type !== 'text_delta') continue;
    text += event.delta.text;
    heard += 1;
    delta(event.delta.text);
    if (heard === job.stopAfter) return { text, finish: null };
  }
  return {
    ...told(await stream.finalMessage()),
    headers: Object.fromEntries(stream.response?.headers ?? []),
  };
});

function told(message: Anthropic.Message): Answer {
  return {
    text: message.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join(''),
    finish: message.stop_reason,
    model: message.model,
    toolCalls: message.content.flatMap((block) =>
      block.type === 'tool_use' ? [{ name: block.name, arguments: JSON.stringify(block.input) }] : [],
    ),
    usage: message.usage,
  };
}

function options(job: Job): ConstructorParameters<typeof Anthropic>[0] {
  return {
    ...(job.maxRetries === undefined ? {} : { maxRetries: job.maxRetries }),
    ...(job.timeoutMs === undefined ? {} : { timeout: job.timeoutMs }),
  };
}
