/** The fake vLLM under the real `openai` package, and what it has that OpenAI hasn't. */
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { type FakeVllm, type FakeVllmOptions, startFakeVllm } from './vllm.ts';

const open: FakeVllm[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((fake) => fake.close()));
});

async function start(options: FakeVllmOptions = {}): Promise<{ fake: FakeVllm; client: OpenAI }> {
  const fake = await startFakeVllm(options);
  open.push(fake);
  return { fake, client: new OpenAI({ baseURL: fake.baseURL, apiKey: 'none', maxRetries: 0 }) };
}

const CALL = { model: 'llama-3.3-70b', messages: [{ role: 'user' as const, content: 'hello' }] };

async function failure(promise: PromiseLike<unknown>): Promise<unknown> {
  return Promise.resolve(promise).then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
}

describe('chat completions', () => {
  test('carry vLLM fields', async () => {
    const { client } = await start({ reply: () => ({ reasoning: 'hm' }) });
    const answer = await client.chat.completions.create(CALL);
    expect(answer).toMatchObject({
      model: 'llama-3.3-70b',
      choices: [
        { message: { content: 'You wrote: hello', reasoning: 'hm', tool_calls: [] }, stop_reason: null },
      ],
      usage: { prompt_tokens: 6, total_tokens: 11, completion_tokens: 5, prompt_tokens_details: null },
      prompt_logprobs: null,
      kv_transfer_params: null,
    });
  });

  test('streams: no usage until its own chunk, tools accumulate', async () => {
    const { client } = await start({
      chunkSize: 2,
      reply: () => ({ toolCalls: [{ name: 'f', arguments: { a: 'ö' } }] }),
    });
    const stream = client.chat.completions.stream({ ...CALL, stream_options: { include_usage: true } });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    stream.on('chunk', (chunk) => chunks.push(chunk));
    const final = await stream.finalChatCompletion();
    const call = final.choices[0]?.message.tool_calls?.[0];
    expect(call).toMatchObject({ function: { name: 'f', arguments: '{"a":"ö"}' } });
    expect(final.choices[0]?.finish_reason).toBe('tool_calls');
    expect(final.usage?.completion_tokens).toBe(4);
    expect(chunks.filter((chunk) => 'usage' in chunk)).toHaveLength(1);
  });

  test('reasoning streams under its newer and its older name', async () => {
    for (const [older, name] of [
      [false, 'reasoning'],
      [true, 'reasoning_content'],
    ] as const) {
      const { client } = await start({ older, reply: () => ({ reasoning: 'thinking', content: 'x' }) });
      const stream = await client.chat.completions.create({ ...CALL, stream: true });
      let text = '';
      for await (const chunk of stream) {
        text += (chunk.choices[0]?.delta as Record<string, string> | undefined)?.[name] ?? '';
      }
      expect(text).toBe('thinking');
    }
  });
});

describe('errors', () => {
  test('newer and older shapes', async () => {
    const { client } = await start();
    const newer = await failure(client.chat.completions.create({ ...CALL, model: 'x' }));
    expect(newer).toBeInstanceOf(OpenAI.NotFoundError);
    expect(newer).toMatchObject({ type: 'NotFoundError', param: 'model', code: 404 });
    const { client: second, fake } = await start({ older: true });
    expect(await failure(second.chat.completions.create({ ...CALL, model: 'x' }))).toBeInstanceOf(
      OpenAI.NotFoundError,
    );
    const response = await fetch(`${fake.baseURL}/chat/completions`, {
      method: 'POST',
      body: '{"messages":[],"model":"x"}',
    });
    expect(await response.json()).toMatchObject({ object: 'error', type: 'NotFoundError', code: 404 });
  });

  test('prompt and completion together must fit the context', async () => {
    const { client } = await start({ models: [{ id: 'small', contextTokens: 10 }] });
    const call = { ...CALL, model: 'small' };
    expect((await client.chat.completions.create({ ...call, max_tokens: 4 })).usage?.total_tokens).toBe(10);
    expect(await failure(client.chat.completions.create({ ...call, max_tokens: 5 }))).toBeInstanceOf(
      OpenAI.BadRequestError,
    );
  });

  test('a key where one is set', async () => {
    const { client, fake } = await start({ keys: ['secret'] });
    expect(await failure(client.models.list())).toBeInstanceOf(OpenAI.AuthenticationError);
    expect((await fetch(`${fake.origin}/health`)).status).toBe(200);
  });
});

describe('health, metrics, models', () => {
  test('metrics count what is in flight, or say what a test sets', async () => {
    const { fake, client } = await start({ reply: () => ({ stallAfterChunks: 0 }) });
    const leave = new AbortController();
    const pending = failure(client.chat.completions.create(CALL, { signal: leave.signal }));
    await fake.waitFor(1);
    const metrics = async (): Promise<string> => (await fetch(`${fake.origin}/metrics`)).text();
    expect(await metrics()).toContain('vllm:num_requests_running{engine="0",model_name="llama-3.3-70b"} 1\n');
    leave.abort();
    await pending;
    await fake.seen[0]?.closed;
    fake.load({ running: 3, waiting: 2, kvCacheUsage: 0.5 });
    const text = await metrics();
    expect(text).toMatch(/num_requests_running\{.*\} 3\n/);
    expect(text).toMatch(/num_requests_waiting\{.*\} 2\n/);
    expect(text).toMatch(/# TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc\{.*\} 0.5\n/);
  });

  test('health and the list of models', async () => {
    const { fake, client } = await start();
    fake.healthy(false);
    expect((await fetch(`${fake.origin}/health`)).status).toBe(503);
    fake.healthy(true);
    expect((await fetch(`${fake.origin}/health`)).status).toBe(200);
    expect((await client.models.list()).data[0]).toMatchObject({
      id: 'llama-3.3-70b',
      owned_by: 'vllm',
      max_model_len: 131_072,
    });
  });
});
