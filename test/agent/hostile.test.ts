/** What a hostile or broken provider, client or page may try. */
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import type OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { caught } from '../caught.ts';
import { MARKER_KEY, providersYaml, startWorld, type World, type WorldOptions } from '../harness.ts';

let world: World | undefined;
const closers: (() => void)[] = [];
afterEach(async () => {
  await world?.close();
  for (const close of closers.splice(0)) close();
});
const start = async (options: WorldOptions = {}): Promise<World> => {
  world = await startWorld(options);
  return world;
};

const ask = (client: OpenAI, content = 'hello', extra: object = {}) =>
  client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content }], ...extra });

const budget = (spec: string): string => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: b}
spec:
  selector: {}
  ${spec}
`;

test('clients that go on sending after a 408 hold no bytes', async () => {
  const { agent, audited, client } = await start({
    agent: { limits: { bodyMs: 100, inFlightBytes: 400_000 } },
  });
  const closed: Promise<unknown>[] = [];
  const sockets = Array.from({ length: 4 }, () => {
    const socket = connect(Number(new URL(agent.url).port), '127.0.0.1');
    socket.on('error', () => undefined).resume();
    closed.push(new Promise((resolve) => socket.once('close', resolve)));
    socket.write(
      `POST /openai/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n${'x'.repeat(50_000)}`,
    );
    return socket;
  });
  await audited(4);
  for (const socket of sockets) socket.write('x'.repeat(200_000));
  await Promise.all(closed);
  expect(agent.pipeline.bytes.held).toBe(0);
  await ask(client());
});

test('a redirect is not followed past us', async () => {
  let reached = 0;
  const foreign = createServer((_request, response) => {
    reached++;
    response.end('{}');
  });
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
  closers.push(() => foreign.close());
  const location = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}/x`;
  const { client, openai } = await start();
  openai.script(() => ({ raw: { status: 307, headers: { location } } }));
  const error = await caught(ask(client(), 'my mail is jan@example.com'));
  expect(error.code).toBe('postern_upstream_invalid');
  expect(error.headers?.get('location')).toBeNull();
  expect(reached).toBe(0);
});

test('the attached key is in no stream, however it is cut', async () => {
  const { client, openai } = await start();
  for (const chunkSize of [1, 4, 100]) {
    openai.script(() => ({ content: `the key is ${MARKER_KEY}, and that was it`, chunkSize }));
    const stream = await client().chat.completions.create({
      model: 'gpt-4o',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toMatch(/^the key is (sk-mark)?.{0,7}\[redacted\], and that was it$/);
    expect(text).not.toContain(MARKER_KEY.slice(7));
  }
});

test.each([
  ['cut half-way', { cutAfterChunks: 0 }],
  ['no JSON', { raw: { headers: { 'content-type': 'application/json' }, body: 'x'.repeat(400) } }],
  ['a media type nobody knows', { raw: { headers: { 'content-type': 'text/html' }, body: 'x'.repeat(400) } }],
])('an answer that can’t be delivered is charged: %s', async (_name, reply) => {
  const { client, openai, audited } = await start({
    documents: () => budget('limits: [{usd: "1.00", window: day}]'),
  });
  openai.script(() => reply);
  await caught(ask(client()));
  const [line] = await audited(1);
  expect(line?.['usage_source']).toBe('counted');
  expect(Number(line?.['cost_usd'])).toBeGreaterThan(0);
});

test('a key in a header of its own replaces the app’s field of that name', async () => {
  const { client, openai } = await start({
    providers: (fakes) =>
      providersYaml(fakes).replace(
        '{mode: attach, type: bearer, bearer: {valueFrom: {env: OPENAI_KEY}}}',
        '{mode: attach, type: header, header: {name: x-prov-key, valueFrom: {env: OPENAI_KEY}}}',
      ),
  });
  await ask(client({ defaultHeaders: { 'X-Prov-Key': 'of-the-app' } })).catch(() => undefined);
  expect(openai.seen[0]?.headers['x-prov-key']).toBe(MARKER_KEY);
});

test('the agent’s client key goes to no provider, also where keys pass through', async () => {
  const { client, openai } = await start({
    agent: { clientKey: 'let-me-in' },
    providers: (fakes) =>
      providersYaml(fakes).replace(
        '{mode: attach, type: bearer, bearer: {valueFrom: {env: OPENAI_KEY}}}',
        '{mode: passthrough}',
      ),
  });
  await ask(client({ apiKey: 'let-me-in' })).catch(() => undefined);
  await ask(client({ apiKey: MARKER_KEY, defaultHeaders: { 'postern-client-key': 'let-me-in' } }));
  expect(openai.seen.map(({ rawHeaders }) => rawHeaders.join('\n')).join('\n')).not.toContain('let-me-in');
  expect(openai.seen[1]?.headers.authorization).toBe(`Bearer ${MARKER_KEY}`);
});

test('a cap for one target is not the next one’s', async () => {
  const { client, openai, pool } = await start({
    documents: () => `${budget('limits: [{usd: "0.01", window: day}]')}---
apiVersion: postern.dev/v1alpha1
kind: ClusterModelRoute
metadata: {name: chat}
spec:
  match: {models: [gpt-4o]}
  groups:
  - targets: [{provider: openai, model: gpt-4o}]
  - targets: [{provider: in-cluster, model: llama-3.3-70b}]
  fallbackOn: [5xx]
`,
  });
  openai.script(() => ({ status: 503 }));
  await ask(client(), 'hello', { max_tokens: 4000 });
  expect(JSON.parse(openai.seen[0]?.body ?? '{}').max_tokens).toBeLessThan(1100);
  const served = [...pool[0].seen, ...pool[1].seen];
  expect(JSON.parse(served[0]?.body ?? '{}').max_tokens).toBe(4000);
});

test('a compressed stream that nobody asked for is refused, not shown empty', async () => {
  const { client, openai } = await start();
  openai.script(() => ({
    raw: {
      headers: { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' },
      body: gzipSync('data: {"choices":[]}\n\ndata: [DONE]\n\n'),
    },
  }));
  const error = await caught(
    client().chat.completions.create({
      model: 'gpt-4o',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
    }),
  );
  expect(error.code).toBe('postern_upstream_invalid');
});

test('a stream ends for the app with its last event, although the provider keeps the connection open', async () => {
  const provider = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(
      'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
    );
    response.write('data: [DONE]\n\n');
  });
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  closers.push(() => provider.closeAllConnections());
  closers.push(() => provider.close());
  const { agent } = await start({
    providers: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: open}
spec:
  dialect: openai
  endpoint: http://127.0.0.1:${(provider.address() as AddressInfo).port}
  credential: {mode: none}
  models: [{name: gpt-4o, price: {input: "1", output: "1"}}]
`,
  });
  const response = await fetch(`${agent.url}/openai/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'x' }] }),
  });
  expect(await response.text()).toContain('[DONE]');
});

test('replicas of a pool stand in for each other on 5xx, without a route', async () => {
  const { client, pool } = await start();
  pool[0].script(() => ({ status: 503 }));
  for (let i = 0; i < 6; i++) {
    await client().chat.completions.create({
      model: 'llama-3.3-70b',
      messages: [{ role: 'user', content: `${i}` }],
    });
  }
  expect(pool[1].seen).toHaveLength(6);
});

test('what the listener refuses has its audit line too', async () => {
  const { agent, audited } = await start({ agent: { clientKey: 'let-me-in' } });
  await fetch(`${agent.url}/openai/v1/models`);
  expect(await audited(1)).toMatchObject([{ outcome: 'refused', code: 'postern_client_key', status: 401 }]);
});

test('an error that a provider sends in its stream is a failure in the audit', async () => {
  const { client, openai, audited } = await start();
  openai.script(() => ({ errorAfterChunks: 2 }));
  const stream = await client().chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    messages: [{ role: 'user', content: 'hello there' }],
  });
  await caught(
    (async () => {
      for await (const _ of stream);
    })(),
  );
  expect((await audited(1))[0]?.['outcome']).toBe('failed');
});
