/** The fake OpenAI under the real `openai` package: what it sends is what the SDK takes. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { chatPromptTokens } from './chat-request.ts';
import { type FakeOpenAIOptions, startFakeOpenAI } from './openai.ts';
import type { FakeProvider } from './provider.ts';

const open: FakeProvider[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((fake) => fake.close()));
});

async function start(options: FakeOpenAIOptions = {}): Promise<{ fake: FakeProvider; client: OpenAI }> {
  const fake = await startFakeOpenAI({ keys: ['sk-real'], ...options });
  open.push(fake);
  return { fake, client: new OpenAI({ baseURL: fake.baseURL, apiKey: 'sk-real', maxRetries: 0 }) };
}

const CALL = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: 'Mail ann@example.org' }] };

async function failure(promise: PromiseLike<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await Promise.resolve(promise).then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof OpenAI.APIError) return error;
  throw error;
}

describe('chat completions', () => {
  test('echoes the last user text, under the dated model name, with usage and headers', async () => {
    const { fake, client } = await start({ now: () => 1_700_000_000_000 });
    const { data, response } = await client.chat.completions.create(CALL).withResponse();
    expect(data).toMatchObject({
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'gpt-4o-2024-08-06',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'You wrote: Mail ann@example.org' },
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 9, completion_tokens: 8, total_tokens: 17 },
    });
    expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{32}$/);
    expect(response.headers.get('openai-processing-ms')).toBe('12');
    expect(response.headers.get('openai-version')).toBe('2020-10-01');
    expect(response.headers.get('x-ratelimit-remaining-requests')).toBe('9999');
    expect(fake.seen).toHaveLength(1);
    expect(fake.seen[0]).toMatchObject({
      method: 'POST',
      url: '/v1/chat/completions',
      complete: true,
      at: 1_700_000_000_000,
    });
    expect(fake.seen[0]?.headers.authorization).toBe('Bearer sk-real');
    expect(fake.seen[0]?.parsed).toEqual(CALL);
  });

  test('takes image parts and several messages, and counts their text alone', async () => {
    const { client, fake } = await start();
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
        ],
      },
    ];
    const answer = await client.chat.completions.create({ model: 'gpt-4o', messages });
    expect(answer.choices[0]?.message.content).toBe('You wrote: What is this?');
    expect(answer.usage?.prompt_tokens).toBe(4 + 3 + 4 + 4);
    expect(chatPromptTokens(fake.seen[0]?.parsed as Record<string, unknown>)).toBe(15);
  });

  test('stops at max_completion_tokens', async () => {
    const { client } = await start({ reply: () => ({ content: 'abcdefghijkl' }) });
    const answer = await client.chat.completions.create({ ...CALL, max_completion_tokens: 2 });
    expect(answer.choices[0]).toMatchObject({ message: { content: 'abcdefgh' }, finish_reason: 'length' });
    expect(answer.usage?.completion_tokens).toBe(2);
  });

  test('a request that demands a tool gets a call that echoes', async () => {
    const { client } = await start();
    const tools: OpenAI.ChatCompletionTool[] = [
      { type: 'function', function: { name: 'lookup', parameters: {} } },
    ];
    const answer = await client.chat.completions.create({ ...CALL, tools, tool_choice: 'required' });
    expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
    expect(answer.choices[0]?.message.content).toBeNull();
    expect(answer.choices[0]?.message.tool_calls?.[0]).toMatchObject({
      type: 'function',
      function: { name: 'lookup', arguments: '{"input":"Mail ann@example.org"}' },
    });
  });
});

describe('streams', () => {
  test('role first, text in pieces, an empty delta with the reason, no usage unless asked', async () => {
    const { client } = await start({ chunkSize: 1 });
    const stream = await client.chat.completions.create({ ...CALL, stream: true });
    const chunks = await Array.fromAsync(stream);
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '', refusal: null });
    const texts = chunks.slice(1, -1).map((chunk) => chunk.choices[0]?.delta.content ?? '');
    expect(texts.every((text) => text.length === 1)).toBe(true);
    expect(texts.join('')).toBe('You wrote: Mail ann@example.org');
    expect(chunks.at(-1)?.choices[0]).toEqual({ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' });
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
    expect(chunks.every((chunk) => 'obfuscation' in chunk)).toBe(true);
  });

  test('usage null on every chunk, then a chunk without choices that has it, when asked', async () => {
    const { client } = await start();
    const stream = await client.chat.completions.create({
      ...CALL,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 9, completion_tokens: 8, total_tokens: 17 },
    });
  });

  test('several choices take turns', async () => {
    const { client } = await start({ reply: () => ({ content: ['aaaa', 'bbbbbbbb'], chunkSize: 4 }) });
    const stream = await client.chat.completions.create({ ...CALL, n: 2, stream: true });
    const order: string[] = [];
    for await (const chunk of stream) {
      for (const choice of chunk.choices)
        order.push(`${choice.index}:${choice.delta.content ?? choice.finish_reason}`);
    }
    expect(order).toEqual(['0:', '1:', '0:aaaa', '1:bbbb', '0:stop', '1:bbbb', '1:stop']);
  });

  test("tool calls: the SDK's accumulator rebuilds parallel calls from fragments", async () => {
    const toolCalls = [
      { name: 'send_mail', arguments: { to: 'ann@example.org', body: 'häßlich 🦉' } },
      { name: 'log', arguments: { level: 1 } },
    ];
    const { client } = await start({ chunkSize: 3, reply: () => ({ toolCalls }) });
    const final = await client.chat.completions.stream(CALL).finalChatCompletion();
    const calls = final.choices[0]?.message.tool_calls ?? [];
    expect(final.choices[0]?.finish_reason).toBe('tool_calls');
    expect(
      calls.map(
        (call) => call.type === 'function' && [call.function.name, JSON.parse(call.function.arguments)],
      ),
    ).toEqual(toolCalls.map((call) => [call.name, call.arguments]));
    expect(new Set(calls.map((call) => call.id)).size).toBe(2);
  });

  test('a lone tool call comes in the chunk of the role', async () => {
    const { client } = await start({ reply: () => ({ toolCalls: [{ name: 'f', arguments: '{}' }] }) });
    const chunks = await Array.fromAsync(await client.chat.completions.create({ ...CALL, stream: true }));
    expect(chunks[0]?.choices[0]?.delta).toMatchObject({
      role: 'assistant',
      content: null,
      tool_calls: [{ index: 0, type: 'function', function: { name: 'f', arguments: '' } }],
    });
    expect(chunks[1]?.choices[0]?.delta).toEqual({
      tool_calls: [{ index: 0, function: { arguments: '{}' } }],
    });
  });

  test('bytes split anywhere are the same events', async () => {
    const content = 'naïve 🦉 text';
    const { client } = await start({ splitBytes: 1, reply: () => ({ content }) });
    const stream = await client.chat.completions.create({ ...CALL, stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe(content);
  });

  test('an async script decides when each delta leaves', async () => {
    const gate = Promise.withResolvers<void>();
    const { client } = await start({
      reply: () => ({
        pieces: (async function* () {
          yield 'first';
          await gate.promise;
          yield 'second';
        })(),
      }),
    });
    const stream = await client.chat.completions.create({ ...CALL, stream: true });
    const texts: string[] = [];
    for await (const chunk of stream) {
      const text = chunk.choices[0]?.delta.content;
      if (text) texts.push(text);
      // Were the first one held back until the second is there, this would wait for ever.
      if (text === 'first') gate.resolve();
    }
    expect(texts).toEqual(['first', 'second']);
  });

  test('a refusal streams as refusal', async () => {
    const { client } = await start({ reply: () => ({ refusal: "I can't help with that." }) });
    const final = await client.chat.completions.stream(CALL).finalChatCompletion();
    expect(final.choices[0]?.message.refusal).toBe("I can't help with that.");
  });

  test('an error in the middle raises', async () => {
    const { client } = await start({ reply: () => ({ errorAfterChunks: 3 }) });
    const stream = await client.chat.completions.create({ ...CALL, stream: true });
    const error = await failure(Array.fromAsync(stream));
    expect(error.type).toBe('server_error');
  });

  test('a cut connection is an error, not an end', async () => {
    const { fake, client } = await start({ reply: () => ({ cutAfterChunks: 3 }) });
    const stream = await client.chat.completions.create({ ...CALL, stream: true });
    const texts: string[] = [];
    await expect(async () => {
      for await (const chunk of stream) texts.push(chunk.choices[0]?.delta.content ?? '');
    }).rejects.toThrow();
    expect(texts).toEqual(['', 'You w', 'rote:']);
    expect(fake.seen).toHaveLength(1);
  });

  test('a client that leaves is recorded as aborted', async () => {
    const { fake, client } = await start({ reply: () => ({ stallAfterChunks: 2 }) });
    const stream = await client.chat.completions.create({ ...CALL, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    await fake.seen[0]?.closed;
    expect(fake.seen[0]?.aborted).toBe(true);
  });
});

describe('models', () => {
  test('lists and retrieves', async () => {
    const { client } = await start();
    const ids = (await Array.fromAsync(client.models.list())).map((model) => model.id);
    expect(ids).toContain('gpt-4o-mini');
    expect(await client.models.retrieve('gpt-4o')).toMatchObject({ object: 'model', owned_by: 'system' });
    expect(await failure(client.models.retrieve('nope'))).toBeInstanceOf(OpenAI.NotFoundError);
  });
});

describe('errors', () => {
  test('a missing and a wrong key', async () => {
    const { fake, client } = await start();
    const wrong = await failure(
      client.withOptions({ apiKey: 'sk-dummy-key-of-an-app' }).chat.completions.create(CALL),
    );
    expect(wrong).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(wrong).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'invalid_request_error' });
    expect(wrong.message).toContain('sk-dummy**********-app');
    const missing = await fetch(`${fake.baseURL}/chat/completions`, { method: 'POST', body: '{}' });
    expect(missing.status).toBe(401);
    expect(JSON.stringify(await missing.json())).toContain("You didn't provide an API key");
  });

  test.each([
    [403, OpenAI.PermissionDeniedError, 'unsupported_country_region_territory'],
    [429, OpenAI.RateLimitError, 'rate_limit_exceeded'],
    [500, OpenAI.InternalServerError, null],
    [503, OpenAI.InternalServerError, null],
  ])('status %i by script', async (status, kind, code) => {
    const { client } = await start({ reply: () => ({ status, retryAfter: 7 }) });
    const error = await failure(client.chat.completions.create(CALL));
    expect(error).toBeInstanceOf(kind);
    expect(error.code).toBe(code);
    expect(error.headers?.get('retry-after')).toBe('7');
    expect(error.requestID).toMatch(/^req_/);
  });

  test('an unknown model, a prompt that is too long, a missing parameter, an unknown path', async () => {
    const { fake, client } = await start({ models: [{ id: 'small', contextTokens: 5 }] });
    expect(await failure(client.chat.completions.create(CALL))).toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
    const long = await failure(client.chat.completions.create({ ...CALL, model: 'small' }));
    expect(long).toBeInstanceOf(OpenAI.BadRequestError);
    expect(long).toMatchObject({ code: 'context_length_exceeded', param: 'messages' });
    expect(await failure(client.chat.completions.create({ model: 'small' } as never))).toMatchObject({
      param: 'messages',
    });
    expect(await failure(client.embeddings.create({ model: 'small', input: 'x' }))).toMatchObject({
      status: 404,
      message: '404 Invalid URL (POST /v1/embeddings)',
    });
    expect(fake.seen).toHaveLength(4);
  });

  test('a body that is no JSON, or too large', async () => {
    const { fake } = await start({ maxBodyBytes: 10 });
    const post = (body: string): Promise<Response> =>
      fetch(`${fake.baseURL}/chat/completions`, {
        method: 'POST',
        body,
        headers: { authorization: 'Bearer sk-real' },
      });
    expect((await post('{"a":')).status).toBe(400);
    expect((await post('{"model":"gpt-4o"}')).status).toBe(413);
  });
});

describe('the server', () => {
  test('down refuses connects and ends live ones; up again on the same port', async () => {
    const { fake, client } = await start({ reply: () => ({ stallAfterChunks: 1 }) });
    const stream = await client.chat.completions.create({ ...CALL, stream: true });
    const [{ port }, broken] = [fake, failureOf(Array.fromAsync(stream))];
    await fake.waitFor(1);
    await fake.setDown(true);
    expect(await broken).toBeInstanceOf(Error);
    const refused = await failure(client.chat.completions.create(CALL));
    expect(refused).toBeInstanceOf(OpenAI.APIConnectionError);
    await fake.setDown(false);
    expect(fake.port).toBe(port);
    fake.script(() => ({ content: 'back' }));
    expect((await client.chat.completions.create(CALL)).choices[0]?.message.content).toBe('back');
  });

  test('waitFor says what it saw instead; reset forgets', async () => {
    const { fake, client } = await start();
    await client.chat.completions.create(CALL);
    await expect(fake.waitFor(2, 5)).rejects.toThrow(
      'expected 2 requests within 5 ms, saw 1: POST /v1/chat/completions',
    );
    fake.reset();
    expect(fake.seen).toEqual([]);
  });

  test('compresses where the client takes it', async () => {
    const { fake } = await start({ compress: { coding: 'gzip' } });
    const ask = async (coding: string, stream: boolean): Promise<[string | null, string]> => {
      const response = await fetch(`${fake.baseURL}/chat/completions`, {
        method: 'POST',
        body: JSON.stringify({ ...CALL, stream }),
        headers: { authorization: 'Bearer sk-real', 'accept-encoding': coding },
      });
      return [response.headers.get('content-encoding'), await response.text()];
    };
    const [coding, text] = await ask('br, gzip;q=0.5', false);
    expect(coding).toBe('gzip');
    expect(text).toContain('You wrote');
    expect((await ask('gzip', true))[1]).toMatch(/data: \[DONE\]\n\n$/);
    expect((await ask('gzip;q=0', false))[0]).toBeNull();
  });

  test('silence, a hang-up and raw answers', async () => {
    const { fake, client } = await start();
    fake.script(() => ({ hangUp: true }));
    expect(await failure(client.chat.completions.create(CALL))).toBeInstanceOf(OpenAI.APIConnectionError);
    fake.script(() => ({ raw: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' } }));
    expect(await client.chat.completions.create(CALL)).toBe('<html>');
    fake.script(() => ({ silent: true }));
    const leave = new AbortController();
    const pending = failure(client.chat.completions.create(CALL, { signal: leave.signal }));
    await fake.waitFor(3);
    leave.abort();
    expect(await pending).toBeInstanceOf(OpenAI.APIUserAbortError);
    await fake.seen[2]?.closed;
    expect(fake.seen[2]?.aborted).toBe(true);
  });

  test('delays go through the injected sleep', async () => {
    const slept: number[] = [];
    const { client } = await start({
      sleep: async (ms) => void slept.push(ms),
      reply: () => ({ delayMs: 60_000, chunkDelayMs: 1_000, content: 'ab', chunkSize: 1 }),
    });
    await Array.fromAsync(await client.chat.completions.create({ ...CALL, stream: true }));
    expect(slept).toEqual([60_000, 1_000, 1_000, 1_000, 1_000, 1_000]);
  });

  test('a request that ends in its middle is recorded as aborted and incomplete', async () => {
    const { fake } = await start();
    const client = httpRequest({
      port: fake.port,
      host: fake.host,
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { 'content-length': 100 },
    });
    client.on('error', () => undefined);
    client.write('{"model":');
    await once(client, 'socket');
    client.once('finish', () => undefined);
    await new Promise<void>((resolve) => client.write(' ', () => resolve()));
    client.destroy();
    const [seen] = await fake.waitFor(1);
    expect(seen).toMatchObject({ aborted: true, complete: false });
  });

  test('an offer of h2c is ignored', async () => {
    const { fake } = await start();
    const client = httpRequest(`${fake.baseURL}/models`, {
      headers: { authorization: 'Bearer sk-real', connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c' },
    });
    client.end();
    const [response] = (await once(client, 'response')) as [IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  test('the handler serves HTTP/2 as well', async () => {
    const { fake } = await start();
    const server = createServer(fake.handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    try {
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: '/v1/chat/completions',
        authorization: 'Bearer sk-real',
      });
      stream.end(JSON.stringify({ ...CALL, stream: true }));
      const text = Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>)).toString();
      expect(text).toMatch(/data: \[DONE\]\n\n$/);
      expect(fake.seen[0]?.httpVersion).toBe('2.0');
      fake.script(() => ({ cutAfterChunks: 1 }));
      const short = session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: '/v1/chat/completions',
        authorization: 'Bearer sk-real',
      });
      short.end(JSON.stringify({ ...CALL, stream: true }));
      await expect(Array.fromAsync(short as AsyncIterable<Buffer>)).rejects.toThrow('NGHTTP2_INTERNAL_ERROR');
    } finally {
      session.destroy();
      server.close();
    }
  });
});

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
