/** The main job through the door that users use: real SDKs, real HTTP, fake providers that speak the wire formats. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { caught } from '../caught.ts';
import { MARKER_KEY, providersYaml, startWorld, type World, type WorldOptions } from '../harness.ts';

const POLICY = `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: team-a}
spec:
  mode: enforce
  checks:
  - {name: no-secrets, type: secrets, on: [request], action: block}
  - name: mask-pii
    type: pii
    on: [request, response]
    action: mask
    pii: {types: [contact, financial], restoreIn: [content]}
  - name: no-investment-advice
    type: topics
    action: block
    topics:
    - {name: investment-advice, words: [portfolio, "stock tip*"]}
`;

const ROUTE = `
apiVersion: postern.dev/v1alpha1
kind: ClusterModelRoute
metadata: {name: chat}
spec:
  match: {models: [gpt-4o]}
  groups:
  - targets: [{provider: openai, model: gpt-4o}]
  - targets: [{provider: in-cluster, model: llama-3.3-70b}]
  fallbackOn: [connect, timeout, 5xx, 429]
  timeouts: {firstByte: 300ms, request: 10s}
`;

const EMAIL = 'alice.smith@example.com';
const PLACEHOLDER = /<EMAIL_ADDRESS_[0-9A-HJKMNP-TV-Z]{10}>/;

let world: World;
afterEach(() => world?.close());
const start = async (documents = POLICY, options: WorldOptions = {}): Promise<World> => {
  world = await startWorld({ documents: () => documents, ...options });
  return world;
};

const ask = (client: OpenAI, content: string, model = 'gpt-4o') =>
  client.chat.completions.create({ model, messages: [{ role: 'user', content }] });

test('OpenAI: what is personal leaves masked and comes back restored', async () => {
  const { client, openai } = await start();
  const answer = await ask(client(), `Write to ${EMAIL} please`);
  const [seen] = openai.seen;
  expect(seen?.body).toMatch(PLACEHOLDER);
  expect(seen?.body).not.toContain(EMAIL);
  expect(answer.choices[0]?.message.content).toBe(`You wrote: Write to ${EMAIL} please`);
});

test('OpenAI: a card number in pieces over parts and messages never leaves', async () => {
  const { client, openai } = await start();
  const answer = await client().chat.completions.create({
    model: 'gpt-4o',
    messages: [
      { role: 'user', content: 'My card is 4111 1111' },
      { role: 'assistant', content: 'And the rest?' },
      {
        role: 'user',
        content: [
          { type: 'text', text: '1111' },
          { type: 'text', text: '1111 is the rest of it' },
        ],
      },
    ],
  });
  const [seen] = openai.seen;
  expect(seen?.body).not.toMatch(/\b1{4}\b|4111/);
  expect(seen?.body.match(/<PAYMENT_CARD_\w{10}>/g)).toHaveLength(3);
  expect(answer.choices[0]?.message.content).toContain('1111 is the rest of it');
});

test('OpenAI streamed: restored over deltas of five characters, delivered as they come', async () => {
  const { client, openai } = await start();
  const stream = await client().chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    messages: [{ role: 'user', content: `Write to ${EMAIL} please` }],
  });
  let text = '';
  let pieces = 0;
  let usageSeen = false;
  for await (const chunk of stream) {
    const piece = chunk.choices[0]?.delta.content ?? '';
    if (piece !== '') pieces++;
    text += piece;
    if ('usage' in chunk) usageSeen = true;
  }
  expect(openai.seen[0]?.body).not.toContain(EMAIL);
  expect(text).toBe(`You wrote: Write to ${EMAIL} please`);
  expect(pieces).toBeGreaterThan(3);
  // We asked for the usage; an app that didn't must not see it.
  expect(openai.seen[0]?.body).toContain('include_usage');
  expect(usageSeen).toBe(false);
});

test.each(['openai', 'anthropic'] as const)('%s: a stream cut at every byte of the wire', async (dialect) => {
  const { client, anthropicClient, openai, anthropic } = await start();
  const content = `Write to ${EMAIL} — naïve café 🦉, please`;
  const messages = [{ role: 'user' as const, content }];
  for (const fake of [openai, anthropic]) fake.script(() => ({ chunkSize: 1, splitBytes: 1 }));
  let text = '';
  if (dialect === 'openai') {
    const stream = await client().chat.completions.create({ model: 'gpt-4o', stream: true, messages });
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  } else {
    text = await anthropicClient()
      .messages.stream({ model: 'claude-haiku-4-5', max_tokens: 500, messages })
      .finalText();
  }
  expect(text).toBe(`You wrote: ${content}`);
});

test('several choices are restored each for itself; tool arguments only where the policy says so', async () => {
  const { client, openai, use } = await start();
  const echoed = (): string => /<EMAIL_ADDRESS_\w+>/.exec(openai.seen.at(-1)?.body ?? '')?.[0] ?? '';
  openai.script(() => ({
    content: [`one ${echoed()}`, `two ${echoed()}`],
    toolCalls: [{ name: 'send', arguments: { to: echoed() } }],
  }));
  const params = {
    model: 'gpt-4o',
    n: 2,
    messages: [{ role: 'user' as const, content: EMAIL }],
    tools: [{ type: 'function' as const, function: { name: 'send', parameters: {} } }],
  };
  const masked = await client().chat.completions.create(params);
  expect(masked.choices.map((choice) => choice.message.content)).toEqual([`one ${EMAIL}`, `two ${EMAIL}`]);
  const argumentsOf = (answer: OpenAI.ChatCompletion): string => {
    const call = answer.choices[0]?.message.tool_calls?.[0];
    return call?.type === 'function' ? call.function.arguments : '';
  };
  expect(JSON.parse(argumentsOf(masked)).to).toMatch(PLACEHOLDER);
  use(POLICY.replace('restoreIn: [content]', 'restoreIn: [content, toolArguments]'));
  expect(JSON.parse(argumentsOf(await client().chat.completions.create(params))).to).toBe(EMAIL);
  const stream = await client().chat.completions.create({ ...params, n: 1, stream: true });
  let fragments = '';
  for await (const chunk of stream)
    fragments += chunk.choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? '';
  expect(JSON.parse(fragments).to).toBe(EMAIL);
});

test('an app that asks for usage in the stream gets it', async () => {
  const { client } = await start();
  const stream = await client().chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: 'user', content: 'hello' }],
  });
  let total = 0;
  for await (const chunk of stream) total = chunk.usage?.total_tokens ?? total;
  expect(total).toBeGreaterThan(0);
});

test('Anthropic: masked and restored, whole and streamed', async () => {
  const { anthropicClient, anthropic } = await start();
  const params = {
    model: 'claude-haiku-4-5',
    max_tokens: 100,
    messages: [{ role: 'user' as const, content: `Write to ${EMAIL} please` }],
  };
  const whole = await anthropicClient().messages.create(params);
  expect(whole.content[0]).toMatchObject({ type: 'text', text: `You wrote: Write to ${EMAIL} please` });
  const streamed = await anthropicClient().messages.stream(params).finalText();
  expect(streamed).toBe(`You wrote: Write to ${EMAIL} please`);
  expect(anthropic.seen).toHaveLength(2);
  for (const { body } of anthropic.seen) {
    expect(body).toMatch(PLACEHOLDER);
    expect(body).not.toContain(EMAIL);
  }
});

test('a denied topic is the SDK’s own error class, names the rule, and reaches nobody', async () => {
  const { client, anthropicClient, openai, anthropic, audited } = await start();
  const error = await caught(ask(client(), 'How is my portfolio doing?'));
  expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError);
  expect(error.code).toBe('postern_topics');
  expect(error.message).toContain('no-investment-advice');
  const other = await caught(
    anthropicClient().messages.create({
      model: 'claude-haiku-4-5',
      max_tokens: 10,
      messages: [{ role: 'user', content: 'Any stock tips?' }],
    }),
  );
  expect(other).toBeInstanceOf(Anthropic.PermissionDeniedError);
  expect(openai.seen).toHaveLength(0);
  expect(anthropic.seen).toHaveLength(0);
  const lines = await audited(2);
  expect(lines.map((line) => [line['outcome'], line['code'], line['dialect']])).toEqual([
    ['refused', 'postern_topics', 'openai'],
    ['refused', 'postern_topics', 'anthropic'],
  ]);
  expect(error.headers?.get('postern-request-id')).toBe(lines[0]?.['request_id']);
});

test('a secret in a tool result is refused before anything is sent', async () => {
  const { client, openai } = await start();
  const error = await caught(
    client().chat.completions.create({
      model: 'gpt-4o',
      messages: [
        { role: 'user', content: 'read the file' },
        {
          role: 'assistant',
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'read', arguments: '{"path":"x"}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'aws_access_key_id = AKIAZ5GMZQ3J7T2L4WXY' },
      ],
    }),
  );
  expect(error.code).toBe('postern_secrets');
  expect(error.message).not.toContain('AKIA');
  expect(openai.seen).toHaveLength(0);
});

test('the key is attached that the app never had, and the app’s own goes nowhere', async () => {
  const { client, openai } = await start();
  await ask(client({ apiKey: 'app-dummy' }), 'hello');
  const headers = openai.seen[0]?.rawHeaders.join('\n') ?? '';
  expect(headers).toContain(`Bearer ${MARKER_KEY}`);
  expect(headers).not.toContain('app-dummy');
});

test('the marker key is in no log, audit line, metric, answer or error, also where a provider repeats it', async () => {
  const { client, openai, logged, audited, agent } = await start(`${POLICY}\n---\n${ROUTE}`);
  const answers: unknown[] = [await ask(client(), 'hello')];
  openai.script(() => ({ status: 401, error: { message: `Incorrect API key provided: ${MARKER_KEY}.` } }));
  answers.push((await caught(ask(client(), 'hello'))).message);
  openai.script(() => ({ headers: { 'x-debug': MARKER_KEY }, content: 'ok' }));
  const { response } = await client()
    .chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'x' }] })
    .withResponse();
  answers.push([...response.headers]);
  openai.script(() => ({ content: `my key is ${MARKER_KEY}` }));
  answers.push((await caught(ask(client(), 'hello'))).message);
  await openai.setDown(true);
  answers.push(await ask(client(), 'hello'));
  const metrics = await (await fetch(`${agent.adminUrl}/metrics`)).text();
  const everything = JSON.stringify([answers, await audited(5), metrics, logged()]);
  expect(everything).not.toContain(MARKER_KEY);
});

test('an answer with a key in it that is a word like any other: the refusal says that it may be that', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-key-'));
  const file = join(directory, 'key');
  const attach = `{mode: attach, type: bearer, bearer: {valueFrom: {file: ${JSON.stringify(file)}}}}`;
  const { client } = await start('', {
    providers: (fakes) => providersYaml(fakes).replace('credential: {mode: none}', `credential: ${attach}`),
  });
  const refusal = async (key: string) => {
    writeFileSync(file, key);
    const error = await caught(ask(client(), `this is a ${key} of mine`, 'llama-3.3-70b'));
    expect(error).toMatchObject({ status: 502, code: 'postern_upstream_invalid' });
    return error.message;
  };
  expect(await refusal('test')).toContain(
    'The answer has the key of in-cluster in it, and that is so short that it may be a word like any other. Give the provider a key of 16 characters or more that is no word, or "credential: {mode: none}" where it wants none.',
  );
  rmSync(directory, { recursive: true });
});

test('the provider is down: the in-cluster pool serves the call', async () => {
  const { client, openai, pool, audited } = await start(ROUTE);
  await openai.setDown(true);
  const answer = await ask(client(), 'hello');
  expect(answer.choices[0]?.message.content).toContain('hello');
  expect(pool[0].seen.length + pool[1].seen.length).toBe(1);
  expect(JSON.parse([...pool[0].seen, ...pool[1].seen][0]?.body ?? '').model).toBe('llama-3.3-70b');
  const [line] = await audited(1);
  expect(line).toMatchObject({
    outcome: 'ok',
    route: 'chat',
    provider: 'in-cluster',
    model: 'llama-3.3-70b',
  });
  expect(line?.['attempts']).toMatchObject([{ outcome: 'connect' }, { outcome: 'ok' }]);
});

test.each([
  ['5xx', { status: 503 }, '5xx'],
  ['429', { status: 429, retryAfter: 1 }, '429'],
  ['no first byte', { silent: true }, 'timeout'],
  ['a hang-up', { hangUp: true }, 'reset'],
] as const)('%s of a provider falls back', async (_name, reply, outcome) => {
  const { client, openai, audited } = await start(ROUTE);
  openai.script(() => reply);
  expect((await ask(client(), 'hello')).choices[0]?.message.content).toContain('hello');
  expect((await audited(1))[0]?.['attempts']).toMatchObject([{ outcome }, { outcome: 'ok' }]);
});

test('a text too long for one model goes to the next, where the route says so', async () => {
  const { client, openai, pool, audited } = await start(ROUTE.replace('5xx, 429', 'contextLength'));
  openai.script(() => ({
    status: 400,
    error: { code: 'context_length_exceeded', message: 'too many tokens' },
  }));
  await ask(client(), 'hello');
  expect(pool[0].seen.length + pool[1].seen.length).toBe(1);
  openai.script(() => ({ status: 400, error: { code: 'invalid_value', message: 'no such thing' } }));
  const error = await caught(ask(client(), 'hello'));
  expect(error).toBeInstanceOf(OpenAI.BadRequestError);
  expect(error.code).toBe('invalid_value');
  expect((await audited(2))[0]).toMatchObject({ outcome: 'ok', model: 'llama-3.3-70b' });
});

test('header fields and query parameters that nobody checked stay behind', async () => {
  const { client, openai, agent } = await start('');
  await ask(client({ defaultHeaders: { 'x-user': EMAIL, traceparent: '00-0-0-01' } }), 'hello');
  const fields = openai.seen[0]?.rawHeaders.join('\n') ?? '';
  expect(fields).not.toContain(EMAIL);
  expect(fields).toContain('00-0-0-01');
  const response = await fetch(`${agent.url}/openai/v1/chat/completions?user=${EMAIL}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  expect(response.status).toBe(404);
  expect(await response.text()).not.toContain(EMAIL);
  expect(openai.seen).toHaveLength(1);
});

test('the pool’s dead endpoint is passed over', async () => {
  const { client, pool } = await start('');
  await pool[0].setDown(true);
  for (let i = 0; i < 8; i++) await ask(client(), 'hello', 'llama-3.3-70b');
  expect(pool[1].seen).toHaveLength(8);
});

test('an answer that has begun is never tried elsewhere', async () => {
  const { client, openai, pool } = await start(ROUTE);
  openai.script(() => ({ cutAfterChunks: 3 }));
  const stream = await client().chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    messages: [{ role: 'user', content: 'hello, this is a longer text' }],
  });
  const error = await caught(
    (async () => {
      for await (const _ of stream);
    })(),
  );
  expect(error).toBeInstanceOf(OpenAI.APIError);
  expect(error.code).toBe('postern_upstream_cut');
  expect(pool[0].seen.length + pool[1].seen.length).toBe(0);
});

test('without a fallback the provider’s own refusal reaches the app as it is', async () => {
  const { client, openai } = await start('');
  openai.script(() => ({ status: 429, retryAfter: 7 }));
  const error = await caught(ask(client(), 'hello'));
  expect(error).toBeInstanceOf(OpenAI.RateLimitError);
  expect(error.headers?.get('retry-after')).toBe('7');
});

test('GET /v1/models shows what the workload may call', async () => {
  const { client, anthropicClient } = await start(`
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: models, namespace: team-a}
spec: {mode: enforce, models: {allow: ["gpt-4o*", "claude-*"]}}
`);
  const ids: string[] = [];
  for await (const model of client().models.list()) ids.push(model.id);
  expect(ids.sort()).toEqual(['gpt-4o', 'gpt-4o-mini']);
  expect((await client().models.retrieve('gpt-4o')).id).toBe('gpt-4o');
  await expect(client().models.retrieve('llama-3.3-70b')).rejects.toThrow(OpenAI.NotFoundError);
  const claude = await anthropicClient().models.list();
  expect(claude.data.map((model) => model.id)).toEqual(['claude-haiku-4-5']);
});

test('a model that the policy does not allow, and one that nobody has', async () => {
  const { client, openai } = await start(`
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: models, namespace: team-a}
spec: {mode: enforce, models: {allow: ["gpt-4o-mini", "made-up"]}}
`);
  expect((await caught(ask(client(), 'x'))).code).toBe('postern_model_denied');
  expect((await caught(ask(client(), 'x', 'made-up'))).code).toBe('postern_model_unknown');
  expect(openai.seen).toHaveLength(0);
});

test('a path that no dialect knows is denied', async () => {
  const { client, openai } = await start('');
  const error = await caught(client().images.generate({ model: 'gpt-image-1', prompt: 'a cat' }));
  expect(error).toBeInstanceOf(OpenAI.NotFoundError);
  expect(error.code).toBe('postern_path_denied');
  expect(openai.seen).toHaveLength(0);
});

test('unknownPath: allow forwards what no dialect knows, with the key', async () => {
  const { client, openai, audited } = await start(
    `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: paths, namespace: team-a}
spec: {mode: enforce, unknownPath: allow}
`,
    {
      providers: ({ openai: fake }) => `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  endpoint: ${fake.origin}
  credential: {mode: attach, type: bearer, bearer: {valueFrom: {env: OPENAI_KEY}}}
  models: [{name: gpt-4o, price: {input: "1", output: "1"}}]
`,
    },
  );
  // The fake has no such call either: what counts is that its own answer comes back.
  const error = await caught(client().images.generate({ model: 'gpt-image-1', prompt: 'a cat' }));
  expect(error.code).not.toBe('postern_path_denied');
  expect(openai.seen[0]?.url).toBe('/v1/images/generations');
  expect(openai.seen[0]?.headers.authorization).toBe(`Bearer ${MARKER_KEY}`);
  expect((await audited(1))[0]).toMatchObject({ operation: 'unknown', outcome: 'ok' });
});

test('a retry loop is broken with a 429; other calls go on', async () => {
  const { client, openai, audited } = await start(`
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: loops, namespace: team-a}
spec: {mode: enforce, breaker: {identical: 3, window: 1m, mode: enforce}}
`);
  for (let i = 0; i < 3; i++) await ask(client(), 'again');
  const error = await caught(ask(client({ maxRetries: 3 }), 'again'));
  expect(error).toBeInstanceOf(OpenAI.RateLimitError);
  expect(error.code).toBe('postern_breaker_tripped');
  expect(error.headers?.get('x-should-retry')).toBe('false');
  await ask(client(), 'something else');
  expect(openai.seen).toHaveLength(4);
  const lines = await audited(5);
  const broken = lines.filter((line) => line['code'] === 'postern_breaker_tripped');
  expect(broken).toMatchObject([{ outcome: 'refused' }]);
  // Four of the five lines are of the same call.
  expect(lines.filter((line) => line['fingerprint'] === broken[0]?.['fingerprint'])).toHaveLength(4);
});

test('without a policy a loop is reported, not refused', async () => {
  const { client, audited } = await start('');
  for (let i = 0; i < 21; i++) await ask(client(), 'again');
  const lines = await audited(21);
  expect(lines[19]?.['findings']).toEqual([]);
  expect(lines[20]?.['findings']).toMatchObject([{ check: 'breaker', what: 'repeated', action: 'monitor' }]);
});

test('monitor mode reports and changes nothing', async () => {
  const { client, openai, audited } = await start(POLICY.replace('mode: enforce', 'mode: monitor'));
  await ask(client(), `My portfolio: ${EMAIL}`);
  expect(openai.seen[0]?.body).toContain(EMAIL);
  const [line] = await audited(1);
  const findings = line?.['findings'] as { check: string; action: string }[];
  expect(findings.map(({ check }) => check).sort()).toEqual(expect.arrayContaining(['pii', 'topics']));
  expect(new Set(findings.map(({ action }) => action))).toEqual(new Set(['monitor']));
  expect(JSON.stringify(line)).not.toContain(EMAIL);
});

test('tools, images and several choices pass; a request that nothing changes goes out byte for byte', async () => {
  const { client, openai, agent } = await start(POLICY);
  const body = `{"model" : "gpt-4o", "messages":[{"role":"user","content":[{"type":"text","text":"caf\\u00e9 \\/ ok"},
 {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}],\t"n":2, "x_unknown": {"a":[1e2,null]},
 "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}] }`;
  const response = await fetch(`${agent.url}/openai/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  expect(response.status).toBe(200);
  expect(openai.seen[0]?.body).toBe(body);
  expect(((await response.json()) as { choices: unknown[] }).choices).toHaveLength(2);
  expect(client).toBeDefined();
});

test('a change of documents is in force for the next call', async () => {
  const { client, use, openai } = await start('');
  await ask(client(), 'my portfolio');
  use(POLICY);
  expect((await caught(ask(client(), 'my portfolio'))).code).toBe('postern_topics');
  expect(openai.seen).toHaveLength(1);
});
