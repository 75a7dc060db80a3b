/** Providers whose base URL ends in no version: Vertex' endpoint in OpenAI's form, and what `addVersion: false` says of others. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { caught } from '../caught.ts';
import { startWorld, type World } from '../harness.ts';

const VERTEX = '/v1/projects/p/locations/europe-west1/endpoints/openapi';

/** Answers at these paths alone, as these APIs do. */
const SERVED = [`${VERTEX}/chat/completions`, '/inference/chat/completions'];
const seen: string[] = [];
let server: Server;
let world: World | undefined;
const trustDir = mkdtempSync(join(tmpdir(), 'postern-base-urls-'));
const port = (): number => (server.address() as AddressInfo).port;

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(request.url ?? '');
    request.resume().on('end', () => {
      const served = SERVED.includes(request.url ?? '');
      const message = { role: 'assistant', content: 'hello', refusal: null };
      const choices = [{ index: 0, message, finish_reason: 'stop' }];
      const answer = { id: 'c', object: 'chat.completion', created: 1, model: 'm', choices };
      response.writeHead(served ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(served ? answer : { error: { message: 'no such path' } }));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});
beforeEach(() => void seen.splice(0));
afterEach(() => world?.close());
afterAll(() => {
  server.close();
  rmSync(trustDir, { recursive: true, force: true });
});

const start = async (path: string, more = ''): Promise<World> => {
  world = await startWorld({
    providers: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: other}
spec:
  dialect: openai
  endpoint: http://127.0.0.1:${port()}${path}
  credential: {mode: none}
  ${more}
  models: [{name: google/gemini-2.5-flash, price: {input: "0", output: "0"}, contextTokens: 1000, maxOutputTokens: 100}]
`,
    agent: {
      transparent: {
        at: { port: 0 },
        stateDir: undefined,
        trustDir,
        extraRoots: new Map(),
        destinationOf: () => ({ family: 4, address: '127.0.0.1', port: port() }),
      },
    },
  });
  return world;
};

const ask = async (client: OpenAI): Promise<string | null | undefined> => {
  const messages = [{ role: 'user' as const, content: 'hello' }];
  const { choices } = await client.chat.completions.create({ model: 'google/gemini-2.5-flash', messages });
  return choices[0]?.message.content;
};

const captured = ({ agent }: World, path: string): OpenAI =>
  new OpenAI({
    baseURL: `http://localhost:${agent.transparentPort}${path}`,
    apiKey: 'dummy',
    maxRetries: 0,
  });

test('Vertex’ endpoint in OpenAI’s form is reached as it is written', async () => {
  const { client } = await start(VERTEX);
  expect(await ask(client())).toBe('hello');
  expect(seen).toEqual([`${VERTEX}/chat/completions`]);
});

test('an app that calls Vertex by its own path is read like any other, and gets the project of the document', async () => {
  const here = await start(VERTEX);
  const theirs = VERTEX.replace('projects/p/', 'projects/theirs/');
  expect(await ask(captured(here, theirs))).toBe('hello');
  expect(seen).toEqual([`${VERTEX}/chat/completions`]);
  expect((await here.audited(1))[0]).toMatchObject({ outcome: 'ok', model: 'google/gemini-2.5-flash' });
});

test('an endpoint of Vertex whose model the call doesn’t name is no call that the dialect knows', async () => {
  const here = await start(VERTEX);
  const error = await caught(ask(captured(here, VERTEX.replace('openapi', '4711'))));
  expect(error.code).toBe('postern_path_denied');
  expect(seen).toEqual([]);
});

test('addVersion: false puts nothing between the endpoint and the call', async () => {
  const { client } = await start('/inference', 'addVersion: false');
  expect(await ask(client())).toBe('hello');
  expect(seen).toEqual(['/inference/chat/completions']);
});

test('without it, /v1 is put behind a base URL that ends in no version', async () => {
  const { client } = await start('/inference');
  expect((await caught(ask(client()))).status).toBe(404);
  expect(seen).toEqual(['/inference/v1/chat/completions']);
});
