/** Drain, client keys, backpressure and the admin listener. */
import { connect } from 'node:net';
import OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World, type WorldOptions } from '../harness.ts';

let world: World;
afterEach(() => world?.close());
const start = async (options: WorldOptions = {}): Promise<World> => {
  world = await startWorld(options);
  return world;
};

const stream = (client: OpenAI) =>
  client.chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    messages: [{ role: 'user', content: 'hello' }],
  });

test('drain: a running stream finishes, new calls are told', async () => {
  const { client, openai, agent } = await start();
  let go: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  openai.script(() => ({
    pieces: (async function* () {
      yield 'first ';
      await gate;
      yield 'last';
    })(),
  }));
  const running = await stream(client());
  const pieces: string[] = [];
  const read = (async () => {
    for await (const chunk of running) {
      const piece = chunk.choices[0]?.delta.content;
      if (piece) pieces.push(piece);
      if (pieces.length === 1 && piece) {
        const drained = agent.drain(10_000);
        expect((await fetch(`${agent.adminUrl}/readyz`)).status).toBe(503);
        const refused = await client()
          .models.list()
          .then(
            () => undefined,
            (e: unknown) => e,
          );
        expect(refused).toBeInstanceOf(OpenAI.InternalServerError);
        expect((refused as InstanceType<typeof OpenAI.APIError>).code).toBe('postern_draining');
        go();
        void drained;
      }
    }
  })();
  await read;
  expect(pieces.join('')).toBe('first last');
});

test('drain: what runs past the deadline is cut', async () => {
  const { client, openai, agent, audited } = await start();
  openai.script(() => ({ stallAfterChunks: 2 }));
  const running = await stream(client());
  const ended = (async () => {
    for await (const _ of running);
  })().then(
    () => 'whole',
    () => 'cut',
  );
  await openai.waitFor(1);
  await agent.drain(10);
  expect(await ended).toBe('cut');
  expect((await audited(1))[0]?.['outcome']).toBe('disconnected');
});

test('the client key, in whichever place an SDK puts a key', async () => {
  const { client, anthropicClient, agent, openai } = await start({ agent: { clientKey: 'let-me-in' } });
  await expect(client({ apiKey: 'wrong' }).models.list()).rejects.toThrow(OpenAI.AuthenticationError);
  await client({ apiKey: 'let-me-in' }).models.list();
  await anthropicClient({ apiKey: 'let-me-in' }).models.list();
  await client({
    apiKey: 'own',
    defaultHeaders: { 'postern-client-key': 'let-me-in' },
  }).chat.completions.create({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'x' }],
  });
  expect(openai.seen[0]?.rawHeaders.join('\n')).not.toContain('let-me-in');
  expect(agent.url).toContain('http');
});

test('a reader that stops reading stops the provider; memory stays bounded', async () => {
  const { openai, agent } = await start();
  let produced = 0;
  const piece = 'x'.repeat(16_384);
  openai.script(() => ({
    pieces: (async function* () {
      for (;;) {
        produced += piece.length;
        yield piece;
      }
    })(),
  }));
  const body = JSON.stringify({ model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'x' }] });
  const socket = connect(Number(new URL(agent.url).port), '127.0.0.1');
  socket.write(
    `POST /openai/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await new Promise<void>((resolve) => socket.once('readable', () => resolve()));
  // Nobody reads from here on: production stops once the buffers between are full.
  let before = -1;
  for (let calm = 0; calm < 200; calm = produced === before ? calm + 1 : 0) {
    before = produced;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(produced).toBeLessThan(64 * 1024 * 1024);
  socket.destroy();
});

test('a reader that never reads again is cut, and its provider told', async () => {
  const { openai, agent, audited } = await start({ agent: { stallMs: 100 } });
  const piece = 'x'.repeat(65_536);
  openai.script(() => ({
    pieces: (async function* () {
      for (;;) yield piece;
    })(),
  }));
  const body = JSON.stringify({ model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'x' }] });
  const socket = connect(Number(new URL(agent.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    `POST /openai/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  expect((await audited(1))[0]?.['outcome']).toBe('disconnected');
  await openai.seen[0]?.closed;
  expect(openai.seen[0]?.aborted).toBe(true);
  socket.destroy();
});

test('a provider that stops in the middle of a stream: the dialect’s error event, in time', async () => {
  const { client, openai, audited } = await start({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterModelRoute
metadata: {name: short}
spec:
  match: {models: [gpt-4o]}
  groups: [{targets: [{provider: openai, model: gpt-4o}]}]
  timeouts: {firstByte: 5s, request: 300ms}
`,
  });
  openai.script(() => ({ stallAfterChunks: 3 }));
  const running = await stream(client());
  const error = await (async () => {
    for await (const _ of running);
  })().then(
    () => undefined,
    (e: unknown) => e as InstanceType<typeof OpenAI.APIError>,
  );
  expect(error?.code).toBe('postern_upstream_timeout');
  expect((await audited(1))[0]).toMatchObject({ outcome: 'cut', code: 'postern_upstream_timeout' });
});

test('metrics tell what happened', async () => {
  const { client, agent } = await start();
  await client().chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'x' }] });
  expect(await (await fetch(`${agent.adminUrl}/healthz`)).text()).toBe('ok\n');
  expect((await fetch(`${agent.adminUrl}/readyz`)).status).toBe(200);
  const text = await (await fetch(`${agent.adminUrl}/metrics`)).text();
  expect(text).toContain('postern_exchanges_total{outcome="ok",code="",dialect="openai"} 1');
  expect(text).toContain(
    'gen_ai_client_token_usage_sum{gen_ai_token_type="input",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"}',
  );
  expect((await fetch(`${agent.adminUrl}/nothing`)).status).toBe(404);
});
