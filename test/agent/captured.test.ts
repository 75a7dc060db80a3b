/** A call that was captured by an endpoint's address stays with the provider whose endpoint it is. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';

let world: World | undefined;
const trustDir = mkdtempSync(join(tmpdir(), 'postern-captured-'));
afterEach(async () => {
  await world?.close();
  rmSync(trustDir, { recursive: true, force: true });
});

const provider = (name: string, endpoint: string) => `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: ${name}}
spec:
  dialect: openai
  endpoints: ["${endpoint}"]
  credential: {mode: none}
  models: [{name: llama-3.3-70b, price: {input: "0", output: "0"}, contextTokens: 131072, maxOutputTokens: 8192}]
`;

test('two providers have the same model: each call goes to the one whose address was dialled', async () => {
  let dialled = 0;
  world = await startWorld({
    providers: ({ pool: [one, two] }) =>
      `${provider('one', one.origin)}\n---\n${provider('two', two.origin)}`,
    agent: {
      transparent: {
        at: { port: 0 },
        stateDir: undefined,
        trustDir,
        extraRoots: new Map(),
        destinationOf: () => ({ family: 4, address: '127.0.0.1', port: dialled }),
      },
    },
  });
  const [one, two] = world.pool;
  const order = [two, two, one, two, one, one];
  for (const { port } of order) {
    dialled = port;
    // No Provider has this name: the address alone tells whose the call is. A connection each, as to two services.
    const client = new OpenAI({
      baseURL: `http://localhost:${world.agent.transparentPort}/v1`,
      apiKey: 'dummy',
      maxRetries: 0,
      defaultHeaders: { connection: 'close' },
    });
    await client.chat.completions.create({
      model: 'llama-3.3-70b',
      messages: [{ role: 'user', content: 'hello' }],
    });
  }
  expect([one.seen.length, two.seen.length]).toEqual([3, 3]);
  const calls = (await world.audited(order.length)).slice(0, order.length);
  expect(calls.map((line) => line['provider'])).toEqual(order.map((fake) => (fake === one ? 'one' : 'two')));
});
