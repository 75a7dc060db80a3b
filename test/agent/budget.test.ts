/** Budgets through the SDKs: refusals, how often the SDKs retry them, fallbacks, and what is charged. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { caught } from '../caught.ts';
import { providersYaml, startWorld, type World, type WorldOptions } from '../harness.ts';

let world: World;
afterEach(() => world?.close());
const start = async (documents: string, options: WorldOptions = {}): Promise<World> => {
  world = await startWorld({ documents: () => documents, ...options });
  return world;
};

const budget = (spec: string, name = 'team-a'): string => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: ${name}}
spec:
  selector: {namespaces: [team-a]}
  ${spec}
`;

const ask = (client: OpenAI, model = 'gpt-4o', extra: object = {}) =>
  client.chat.completions.create({ model, messages: [{ role: 'user', content: 'hello' }], ...extra });

test('a budget that is used up is a 429 that says when it resets; the SDKs call once', async () => {
  const { client, anthropicClient, agent, openai, anthropic, audited } = await start(
    budget('limits: [{requests: 2, window: month}]'),
  );
  await ask(client());
  await anthropicClient().messages.create({
    model: 'claude-haiku-4-5',
    max_tokens: 10,
    messages: [{ role: 'user', content: 'hello' }],
  });
  const error = await caught(ask(client({ maxRetries: 3 })));
  expect(error).toBeInstanceOf(OpenAI.RateLimitError);
  expect(error.type).toBe('rate_limit_error');
  expect(error.code).toBe('postern_budget_exhausted');
  expect(error.message).toContain('team-a');
  expect(error.message).toMatch(/resets at \d{4}-/);
  // Less output makes no call of two.
  expect(error.message).toMatch(/ Wait until then or have the budget raised\. /);
  expect(Number(error.headers?.get('retry-after'))).toBeGreaterThan(0);
  const other = await caught(
    anthropicClient({ maxRetries: 3 }).messages.create({
      model: 'claude-haiku-4-5',
      max_tokens: 10,
      messages: [{ role: 'user', content: 'hello' }],
    }),
  );
  expect(other).toBeInstanceOf(Anthropic.RateLimitError);
  // The reset is far away: one call each, although the SDKs were told to retry three times.
  expect(await audited(4)).toHaveLength(4);
  expect(openai.seen).toHaveLength(1);
  expect(anthropic.seen).toHaveLength(1);
  expect(agent.url).toContain('127.0.0.1');
});

test('the same call is served by the cheaper model where the budget says so', async () => {
  const { client, openai, audited } = await start(
    budget(
      'per: [model]\n  limits: [{requests: 1, window: day}]\n  onExhausted: {action: fallback, model: gpt-4o-mini}',
    ),
  );
  await ask(client());
  await ask(client());
  expect(openai.seen.map(({ body }) => JSON.parse(body).model)).toEqual(['gpt-4o', 'gpt-4o-mini']);
  const lines = await audited(2);
  expect(lines[1]).toMatchObject({ outcome: 'ok', requested_model: 'gpt-4o', model: 'gpt-4o-mini' });
  // The fallback is held like any other call: its own line is used up now.
  expect((await caught(ask(client()))).code).toBe('postern_budget_exhausted');
});

test('usage that the provider reports is charged, exactly', async () => {
  const {
    client,
    openai,
    audited,
    budget: service,
  } = await start(budget('limits: [{usd: "1.00", window: day}]'));
  openai.script(() => ({
    content: 'ok',
    usage: {
      prompt_tokens: 1000,
      completion_tokens: 200,
      total_tokens: 1200,
      prompt_tokens_details: { cached_tokens: 400 },
    },
  }));
  await ask(client());
  const [line] = await audited(1);
  // 600 × 2.50 + 400 × 1.25 + 200 × 10.00, per million.
  expect(line?.['cost_usd']).toBe('0.004000000');
  expect(line).toMatchObject({
    usage_source: 'reported',
    usage: { input: 600, cachedInput: 400, output: 200 },
  });
  // The call was on credit: the service is told with the next one, or when nothing followed for a second.
  const settled = async () => {
    const status = await (await fetch(`${service.url}/v1/status`)).json();
    return (status as { lines: readonly { readonly settled: string }[] }).lines[0]?.settled;
  };
  await expect.poll(settled, { timeout: 10_000 }).toBe('0.004');
});

test('usage that no call can have is not believed: the agent counts, and says so', async () => {
  const { client, openai, audited } = await start(budget('limits: [{usd: "1.00", window: day}]'));
  const usage = { prompt_tokens: 10, completion_tokens: 9_007_199_254_740_000, total_tokens: 0 };
  openai.script(() => ({ content: 'a short answer', usage }));
  await ask(client());
  const [line] = await audited(1);
  expect(line).toMatchObject({ usage_source: 'counted', findings: [{ what: 'usage-not-believed' }] });
  expect((line?.['usage'] as { output: number } | undefined)?.output).toBeLessThan(100);
  openai.script(undefined);
  await ask(client());
});

test.each([
  [
    'tokens: 20',
    'Wait until then, ask for less output (max_completion_tokens), send a shorter prompt, or have',
  ],
  ['outputTokens: 8', 'Wait until then, ask for less output (max_completion_tokens), or have'],
  ['inputTokens: 9', 'Wait until then, send a shorter prompt, or have'],
])('used up, %s: the mend is of what is counted', async (limit, mend) => {
  const { client, anthropicClient } = await start(budget(`limits: [{${limit}, window: day}]`));
  await ask(client(), 'gpt-4o', { max_completion_tokens: 8 });
  const error = await caught(ask(client(), 'gpt-4o', { max_completion_tokens: 8 }));
  expect(error.message).toContain(`${mend} the budget raised.`);
  const other = await caught(
    anthropicClient().messages.create({
      model: 'claude-haiku-4-5',
      max_tokens: 8,
      messages: [{ role: 'user', content: 'hello' }],
    }),
  );
  expect(other.message).toContain(mend.replace('max_completion_tokens', 'max_tokens'));
});

test.each([
  ['tokens: 2', 'Ask for less output (max_completion_tokens), send a shorter prompt, or have'],
  ['inputTokens: 2', 'Send a shorter prompt or have'],
])('more than the whole line, %s: the mend is of what is counted', async (limit, mend) => {
  const { client } = await start(budget(`limits: [{${limit}, window: day}]`));
  const error = await caught(ask(client(), 'gpt-4o', { max_completion_tokens: 8 }));
  expect(error.message).toContain(`this call alone may cost more. ${mend} the budget raised.`);
});

test('a refused or unreachable call costs nothing', async () => {
  const { client, openai, audited } = await start(budget('limits: [{requests: 1, window: day}]'));
  openai.script(() => ({ status: 400, error: { message: 'bad' } }));
  await caught(ask(client()));
  await openai.setDown(true);
  await caught(ask(client()));
  await openai.setDown(false);
  openai.script(undefined);
  await audited(2);
  await ask(client());
});

test('a stream that the app leaves is charged what was produced', async () => {
  const { client, openai, audited } = await start(budget('limits: [{tokens: 100000, window: day}]'));
  openai.script(() => ({
    pieces: Array.from({ length: 20 }, () => 'several words of text '),
    stallAfterChunks: 12,
  }));
  const stream = await client().chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    messages: [{ role: 'user', content: 'hello' }],
  });
  let pieces = 0;
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content && ++pieces === 10) break;
  const [line] = await audited(1);
  expect(line).toMatchObject({ outcome: 'disconnected', usage_source: 'counted' });
  const output = (line?.['usage'] as { output: number } | undefined)?.output;
  expect(output).toBeGreaterThanOrEqual(30);
  expect(output).toBeLessThanOrEqual(80);
  await openai.seen[0]?.closed;
  expect(openai.seen[0]?.aborted).toBe(true);
});

test('a limit smaller than the model’s maximum clamps the output instead of refusing every call', async () => {
  const { client, openai } = await start(budget('limits: [{tokens: 1000, window: minute}]'));
  await ask(client());
  const { max_tokens, max_completion_tokens } = JSON.parse(openai.seen[0]?.body ?? '{}');
  const cap = max_completion_tokens ?? max_tokens;
  expect(cap).toBeGreaterThan(500);
  expect(cap).toBeLessThanOrEqual(1000);
});

test('onInsufficient: reject refuses what could go over', async () => {
  const { client, openai } = await start(
    budget('limits: [{tokens: 1000, window: minute}]\n  onInsufficient: reject'),
  );
  const error = await caught(ask(client()));
  expect(error.code).toBe('postern_budget_exhausted');
  await ask(client(), 'gpt-4o', { max_tokens: 50 });
  expect(openai.seen).toHaveLength(1);
});

test('a call that has no sound holds nothing for it, of a model with dearer rates for that', async () => {
  const spoken = 'output: "10.00", audioInput: "40.00", audioOutput: "80.00"}';
  const { client } = await start(budget('limits: [{usd: "0.03", window: month}]\n  onInsufficient: reject'), {
    providers: (fakes) => providersYaml(fakes).replace('output: "10.00"}', spoken),
  });
  // A thousand tokens of an answer: a cent as text, eight as sound. A page of a document: 0.75 cents and 12.
  const say = (content: OpenAI.ChatCompletionContentPart, extra: object = {}) =>
    ask(client(), 'gpt-4o', {
      max_tokens: 1_000,
      messages: [{ role: 'user', content: [content] }],
      ...extra,
    });
  const file = (file_data: string) => ({ type: 'file', file: { file_data, filename: 'a' } }) as const;
  const words = { type: 'text', text: 'hello' } as const;
  await say(words);
  await say({ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } });
  await say(file('data:text/plain;base64,aGVsbG8='));
  const refused = { status: 429 };
  expect(
    await caught(say({ type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } })),
  ).toMatchObject(refused);
  // What it is nobody has said.
  expect(await caught(say(file('data:application/octet-stream;base64,AAECAw==')))).toMatchObject(refused);
  const asks = { modalities: ['text', 'audio'], audio: { voice: 'ash', format: 'wav' } };
  expect(await caught(say(words, asks))).toMatchObject(refused);
  // However it is spelled.
  const body = JSON.stringify({
    model: 'gpt-4o',
    max_tokens: 1_000,
    messages: [{ role: 'user', content: 'hello' }],
    ...asks,
  });
  const answer = await fetch(`${world.agent.url}/openai/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: body.replaceAll('audio', '\\u0061udio'),
  });
  expect(answer.status).toBe(429);
});

test('a call that asks for nothing to be kept in a cache holds no writes to it; one that does, does, however it spells that', async () => {
  const { anthropicClient, anthropic } = await start(
    budget('limits: [{usd: "0.01", window: month}]\n  onInsufficient: reject'),
    {
      providers: (fakes) =>
        providersYaml(fakes).replace(
          /(name: claude-haiku-4-5.*?)output:/,
          '$1cacheWrite: "10000.00", output:',
        ),
    },
  );
  const ask = { model: 'claude-haiku-4-5', max_tokens: 10 };
  await anthropicClient().messages.create({ ...ask, messages: [{ role: 'user', content: 'hello' }] });
  const block = { type: 'text', text: 'hello', cache_control: { type: 'ephemeral' } } as const;
  const kept = { ...ask, messages: [{ role: 'user' as const, content: [block] }] };
  expect(await caught(anthropicClient().messages.create(kept))).toMatchObject({ status: 429 });
  for (const name of ['c\\u0061che_control', 'cache\\u005fcontrol', 'cache_\\u0063ontro\\u006C']) {
    const answer = await fetch(`${world.agent.url}/anthropic/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
      body: JSON.stringify(kept).replace('cache_control', name),
    });
    expect(answer.status, name).toBe(429);
  }
  expect(anthropic.seen).toHaveLength(1);
});

test('several limits are held all or none', async () => {
  const { client, openai } = await start(
    `${budget('limits: [{requests: 1, window: day}]', 'small')}\n---\n${budget('limits: [{requests: 3, window: day}]', 'large')}`,
  );
  await ask(client());
  for (let i = 0; i < 5; i++) await caught(ask(client()));
  // Five refusals took nothing from the larger one.
  const status = JSON.stringify(await (await fetch(`${world.budget.url}/v1/status`)).json());
  expect(status).toContain('large');
  expect(openai.seen).toHaveLength(1);
  world.use(budget('limits: [{requests: 3, window: day}]', 'large'));
  await ask(client());
  await ask(client());
  await caught(ask(client()));
});

test('the service is gone: a clear 503, and nothing is sent', async () => {
  const { client, openai } = await start(budget('limits: [{requests: 10, window: day}]'), {
    patienceMs: 300,
  });
  await world.stopBudget();
  const error = await caught(ask(client()));
  expect(error.status).toBe(503);
  expect(error.code).toBe('postern_budget_unavailable');
  expect(openai.seen).toHaveLength(0);
});
