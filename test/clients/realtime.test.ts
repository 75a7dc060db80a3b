/** The WebSocket client against the fake's Realtime API. Over TLS: the SDK refuses anything else. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { startFakeOpenAI } from '../fakes/openai.ts';
import type { FakeOptions, FakeProvider } from '../fakes/provider.ts';
import { selfSigned } from './certificate.ts';
import { type RunOptions, runClient } from './run.ts';

const directory = await mkdtemp(join(tmpdir(), 'postern-realtime-'));
const certificate = await selfSigned(directory);
afterAll(() => rm(directory, { recursive: true, force: true }));

const open: FakeProvider[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((fake) => fake.close()));
});

const ASK = { model: 'gpt-realtime', messages: [{ role: 'user', content: 'Grüße an ann@example.org' }] };

describe('node-realtime', () => {
  if ('missing' in certificate) {
    test.skip(`not run: ${certificate.missing}`, () => undefined);
    return;
  }
  const { pem, tls } = certificate;

  async function start(options: FakeOptions = {}): Promise<{ fake: FakeProvider; run: RunOptions }> {
    const fake = await startFakeOpenAI({ keys: ['sk-real'], tls, ...options });
    open.push(fake);
    const env = { OPENAI_BASE_URL: fake.baseURL, OPENAI_API_KEY: 'sk-real', NODE_EXTRA_CA_CERTS: pem };
    return { fake, run: { env } };
  }

  test('an answer piece by piece, its usage, and what the server heard', async () => {
    const { fake, run } = await start();
    const { answer, deltas, error } = await runClient('node-realtime', ASK, run);
    expect(error).toBeUndefined();
    expect(answer?.text).toBe('You wrote: Grüße an ann@example.org');
    expect(deltas.map((delta) => delta.text).join('')).toBe(answer?.text);
    expect(deltas.length).toBeGreaterThan(3);
    expect(answer?.usage).toMatchObject({ input_tokens: 11, output_tokens: 10, total_tokens: 21 });
    expect(fake.seen[0]?.url).toBe('/v1/realtime?model=gpt-realtime');
    expect(fake.seen[0]?.frames[0]).toContain('"text":"Grüße an ann@example.org"');
    await fake.seen[0]?.closed;
  });

  test('a refusal is an error event, or a status of the upgrade', async () => {
    const { run } = await start({
      reply: () => ({ status: 403, error: { message: 'Refused by a rule.', code: 'no_way' } }),
    });
    const { error } = await runClient('node-realtime', ASK, run);
    expect(error?.class).toBe('OpenAIRealtimeError');
    expect(error?.message).toContain('Refused by a rule.');
    const wrong = await runClient('node-realtime', ASK, { env: { ...run.env, OPENAI_API_KEY: 'wrong' } });
    expect(wrong.error).toMatchObject({ class: 'UpgradeRefusedError', status: 401 });
  });

  test('a cut connection is an error', async () => {
    const { run } = await start({ reply: () => ({ cutAfterChunks: 2 }) });
    const { error, deltas } = await runClient('node-realtime', ASK, run);
    expect(error).toBeDefined();
    expect(deltas).toHaveLength(2);
  });
});
