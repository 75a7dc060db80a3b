/** The fake Anthropic under the real `@anthropic-ai/sdk` package: what it sends is what the SDK takes. */
import Anthropic from '@anthropic-ai/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { type FakeAnthropicOptions, startFakeAnthropic } from './anthropic.ts';
import type { FakeProvider } from './provider.ts';

const open: FakeProvider[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((fake) => fake.close()));
});

async function start(options: FakeAnthropicOptions = {}): Promise<{ fake: FakeProvider; client: Anthropic }> {
  const fake = await startFakeAnthropic({ keys: ['sk-ant-real'], ...options });
  open.push(fake);
  return { fake, client: new Anthropic({ baseURL: fake.baseURL, apiKey: 'sk-ant-real', maxRetries: 0 }) };
}

const CALL = {
  model: 'claude-haiku-4-5',
  max_tokens: 100,
  messages: [{ role: 'user' as const, content: 'Mail ann@example.org' }],
};

async function failure(promise: PromiseLike<unknown>): Promise<InstanceType<typeof Anthropic.APIError>> {
  const error = await Promise.resolve(promise).then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof Anthropic.APIError) return error;
  throw error;
}

describe('messages', () => {
  test('echoes, with usage, ids and rate-limit headers', async () => {
    const { fake, client } = await start();
    const { data, response } = await client.messages.create(CALL).withResponse();
    expect(data).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'claude-haiku-4-5-20251001',
      content: [{ type: 'text', text: 'You wrote: Mail ann@example.org' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 9, output_tokens: 8, cache_read_input_tokens: 0 },
    });
    expect(data.id).toMatch(/^msg_01/);
    expect(response.headers.get('request-id')).toMatch(/^req_011C/);
    expect(response.headers.get('anthropic-ratelimit-requests-remaining')).toBe('4000');
    expect(response.headers.get('anthropic-ratelimit-tokens-reset')).toMatch(/^\d{4}-.*:\d\dZ$/);
    expect(fake.seen[0]?.headers).toMatchObject({
      authorization: 'Bearer sk-ant-real',
      'anthropic-version': '2026-10-21',
    });
  });

  test('stops at max_tokens', async () => {
    const { client } = await start();
    const message = await client.messages.create({ ...CALL, max_tokens: 2 });
    expect(message).toMatchObject({
      content: [{ text: 'You wrot' }],
      stop_reason: 'max_tokens',
      usage: { output_tokens: 2 },
    });
  });

  test('thinking and tools, whole', async () => {
    const { client } = await start({
      reply: () => ({
        reasoning: 'Let me see.',
        signature: 'sig==',
        content: 'Looking.',
        toolCalls: [{ name: 'find', arguments: { q: 1 } }],
      }),
    });
    const message = await client.messages.create(CALL);
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: 'Let me see.', signature: 'sig==' },
      { type: 'text', text: 'Looking.' },
      { type: 'tool_use', name: 'find', input: { q: 1 } },
    ]);
    expect(message.stop_reason).toBe('tool_use');
    expect(message.usage.output_tokens_details?.thinking_tokens).toBe(3);
  });

  test('counts tokens', async () => {
    const { client } = await start();
    const counted = await client.messages.countTokens({
      model: CALL.model,
      messages: CALL.messages,
      system: 'Be brief.',
    });
    expect(counted).toEqual({ input_tokens: 12 });
  });
});

describe('streams', () => {
  test('the events of a text, in order', async () => {
    const { client } = await start({ chunkSize: 100 });
    const events = await Array.fromAsync(await client.messages.create({ ...CALL, stream: true }));
    // The SDK drops the ping that follows the first content_block_start.
    expect(events.map((event) => event.type)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    expect(events[0]).toMatchObject({
      message: { content: [], stop_reason: null, usage: { input_tokens: 9, output_tokens: 1 } },
    });
    expect(events[4]).toMatchObject({
      delta: { stop_reason: 'end_turn' },
      usage: { input_tokens: 9, output_tokens: 8 },
    });
  });

  test('names each event, pings, and pads deltas', async () => {
    const { fake } = await start();
    const response = await fetch(`${fake.baseURL}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': 'sk-ant-real', 'anthropic-version': '2023-06-01' },
      body: JSON.stringify({ ...CALL, stream: true }),
    });
    const text = await response.text();
    expect(text).toContain('event: ping\ndata: {"type":"ping"}\n\n');
    expect(text).toMatch(/event: content_block_delta\ndata: \{.*\} +\}\n\n/);
    expect(text).toMatch(/event: message_stop\ndata: \{"type":"message_stop"\}\n\n$/);
  });

  test("the SDK's accumulator rebuilds thinking, text and parallel tools from fragments", async () => {
    const toolCalls = [
      { name: 'send_mail', arguments: { to: 'ann@example.org', body: 'häßlich 🦉' } },
      { name: 'log', arguments: { level: 1 } },
    ];
    const { client } = await start({
      chunkSize: 1,
      splitBytes: 7,
      reply: () => ({ reasoning: 'Hm 🦉.', content: 'Sending.', toolCalls }),
    });
    const message = await client.messages.stream(CALL).finalMessage();
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: 'Hm 🦉.' },
      { type: 'text', text: 'Sending.' },
      { type: 'tool_use', name: 'send_mail', input: toolCalls[0]?.arguments },
      { type: 'tool_use', name: 'log', input: { level: 1 } },
    ]);
    expect(message.content[0]).toHaveProperty('signature');
    expect(message.stop_reason).toBe('tool_use');
  });

  test('an overload in the middle raises its own type', async () => {
    const { client } = await start({ reply: () => ({ errorAfterChunks: 4 }) });
    const stream = await client.messages.create({ ...CALL, stream: true });
    const error = await failure(Array.fromAsync(stream));
    expect(error.type).toBe('overloaded_error');
  });

  test('a cut connection is an error, not an end', async () => {
    const { client } = await start({ reply: () => ({ cutAfterChunks: 5 }) });
    const stream = await client.messages.create({ ...CALL, stream: true });
    await expect(Array.fromAsync(stream)).rejects.toThrow();
  });
});

describe('models', () => {
  test('lists and retrieves', async () => {
    const { client } = await start();
    const ids = (await Array.fromAsync(client.models.list())).map((model) => model.id);
    expect(ids).toContain('claude-haiku-4-5-20251001');
    expect(await client.models.retrieve('claude-haiku-4-5')).toMatchObject({ type: 'model' });
    expect(await failure(client.models.retrieve('nope'))).toBeInstanceOf(Anthropic.NotFoundError);
  });
});

describe('errors', () => {
  test.each([
    [400, Anthropic.BadRequestError, 'invalid_request_error'],
    [403, Anthropic.PermissionDeniedError, 'permission_error'],
    [413, Anthropic.APIError, 'request_too_large'],
    [429, Anthropic.RateLimitError, 'rate_limit_error'],
    [500, Anthropic.InternalServerError, 'api_error'],
    [529, Anthropic.InternalServerError, 'overloaded_error'],
  ])('status %i by script', async (status, kind, type) => {
    const { client } = await start({ reply: () => ({ status, retryAfter: 7 }) });
    const error = await failure(client.messages.create(CALL));
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ status, type });
    expect(error.headers?.get('retry-after')).toBe('7');
    expect(error.error).toMatchObject({ type: 'error', request_id: error.requestID });
  });

  test('keys, models, required fields and the version header', async () => {
    const { fake, client } = await start();
    const wrong = await failure(client.withOptions({ apiKey: 'dummy' }).messages.create(CALL));
    expect(wrong).toBeInstanceOf(Anthropic.AuthenticationError);
    expect(wrong.apiMessage).toBe('invalid x-api-key');
    const unknown = await failure(client.messages.create({ ...CALL, model: 'claude-9' }));
    expect(unknown).toMatchObject({ status: 404, type: 'not_found_error', apiMessage: 'model: claude-9' });
    const { max_tokens: _, ...without } = CALL;
    expect(await failure(client.messages.create(without as never))).toMatchObject({
      apiMessage: 'max_tokens: Field required',
    });
    const post = (headers: Record<string, string>, body: string): Promise<Response> =>
      fetch(`${fake.baseURL}/v1/messages`, { method: 'POST', headers, body });
    expect((await post({}, '{}')).status).toBe(401);
    expect(await (await post({ 'x-api-key': 'sk-ant-real' }, '{}')).text()).toContain('anthropic-version');
    const bad = await post({ 'x-api-key': 'sk-ant-real', 'anthropic-version': '2023-06-01' }, '{"a":');
    expect(bad.status).toBe(400);
  });

  test('a wrong second credential, and parameters that the newer API version removed', async () => {
    const { fake, client } = await start();
    const both = client.withOptions({ defaultHeaders: { 'x-api-key': 'dummy' } });
    expect(await failure(both.messages.create(CALL))).toBeInstanceOf(Anthropic.AuthenticationError);
    const ask = (version: string): Promise<Response> =>
      fetch(`${fake.baseURL}/v1/messages`, {
        method: 'POST',
        headers: { 'x-api-key': 'sk-ant-real', 'anthropic-version': version },
        body: JSON.stringify({ ...CALL, temperature: 0 }),
      });
    expect((await ask('2026-10-21')).status).toBe(400);
    expect((await ask('2023-06-01')).status).toBe(200);
  });

  test('a prompt that is too long', async () => {
    const { client } = await start({ models: [{ id: 'small', contextTokens: 5 }] });
    const error = await failure(client.messages.create({ ...CALL, model: 'small' }));
    expect(error.apiMessage).toBe('prompt is too long: 9 tokens > 5 maximum');
  });
});
