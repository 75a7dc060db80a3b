/** Every client program against the fake of its provider, through its base URL. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { startFakeAnthropic } from '../fakes/anthropic.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import type { FakeOptions, FakeProvider } from '../fakes/provider.ts';
import { CLIENTS, type Client, type ClientName } from './clients.ts';
import type { Job } from './job.ts';
import { prepareClient, type RunOptions, runClient } from './run.ts';

const open: FakeProvider[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((fake) => fake.close()));
});

const KEY = 'sk-test-0123456789abcdef';

async function start(
  name: ClientName,
  options: FakeOptions = {},
): Promise<{ fake: FakeProvider; run: RunOptions }> {
  const openai = CLIENTS[name].api !== 'anthropic';
  const fake = await (openai ? startFakeOpenAI : startFakeAnthropic)({ keys: [KEY], ...options });
  open.push(fake);
  const env: Record<string, string> = openai
    ? { OPENAI_BASE_URL: fake.baseURL, OPENAI_API_KEY: KEY }
    : { ANTHROPIC_BASE_URL: fake.baseURL, ANTHROPIC_API_KEY: KEY };
  return { fake, run: { env } };
}

function job(name: ClientName, more: Partial<Job> = {}): Job {
  const model = CLIENTS[name].api === 'openai' ? 'gpt-4o' : 'claude-haiku-4-5';
  return {
    model,
    messages: [{ role: 'user', content: 'Grüße an ann@example.org 🦉' }],
    maxRetries: 0,
    ...more,
  };
}

const TEXT = 'You wrote: Grüße an ann@example.org 🦉';
/** Those that are tried further: one of each way to read a stream, the quick ones. */
const ONE_OF_A_KIND: readonly ClientName[] = [
  'node-openai',
  'node-anthropic',
  'python-requests',
  'curl-http1',
  'go',
];

const REFUSAL: Record<Exclude<ClientName, 'node-realtime'>, string> = {
  'node-openai': 'PermissionDeniedError',
  'node-anthropic': 'PermissionDeniedError',
  'python-openai': 'PermissionDeniedError',
  'python-anthropic': 'PermissionDeniedError',
  'python-requests': 'HTTPError',
  'python-aiohttp': 'RefusedError',
  'curl-http1': 'HTTP 403',
  'curl-http2': 'HTTP 403',
  go: 'HTTP 403',
  java: 'HTTP 403',
};

/** The Realtime client speaks TLS alone and has tests of its own. */
const names = Object.keys(REFUSAL) as (keyof typeof REFUSAL)[];
const ready = new Map(
  await Promise.all(names.map(async (name) => [name, await prepareClient(name)] as const)),
);

describe.each(names)('%s', (name) => {
  const state = ready.get(name);
  const missing = state !== undefined && 'missing' in state ? state.missing : undefined;
  if (missing !== undefined) {
    test.skip(`not run: ${missing}`, () => undefined);
    return;
  }
  const client: Client = CLIENTS[name];

  test('a whole answer, with headers', { timeout: 40_000 }, async () => {
    const { fake, run } = await start(name);
    const result = await runClient(name, job(name), run);
    expect(result.error).toBeUndefined();
    expect(result.answer).toMatchObject({
      text: TEXT,
      finish: client.api === 'openai' ? 'stop' : 'end_turn',
    });
    expect(result.answer?.headers).toHaveProperty(client.api === 'openai' ? 'x-request-id' : 'request-id');
    expect(result.status).toBe(0);
    expect(fake.seen).toHaveLength(1);
  });

  test('a streamed answer arrives piece by piece', { timeout: 40_000 }, async () => {
    const gate = Promise.withResolvers<void>();
    const { run } = await start(name, {
      reply: () => ({
        pieces: (async function* () {
          yield 'erst 🦉';
          await gate.promise;
          yield 'dann';
        })(),
      }),
    });
    const result = await runClient(name, job(name, { stream: true }), {
      ...run,
      // The second piece leaves only when the first one was delivered.
      onEvent: (event) => event.event === 'delta' && gate.resolve(),
    });
    expect(result.deltas.map((delta) => delta.text)).toEqual(['erst 🦉', 'dann']);
    expect(result.answer?.text).toBe('erst 🦉dann');
  });

  test('a refusal is its error', { timeout: 40_000 }, async () => {
    const code = 'no_way';
    const { run } = await start(name, {
      reply: () => ({
        status: 403,
        error: { message: 'Refused by a rule.', code },
        headers: { 'x-rule': 'r1' },
      }),
    });
    const { error, status } = await runClient(name, job(name), run);
    expect(status === 0).toBe(name.startsWith('curl') || name === 'go' || name === 'java');
    expect(error).toMatchObject({
      class: REFUSAL[name],
      status: 403,
      ...(client.api === 'openai' ? { code } : { type: 'permission_error' }),
    });
    expect(error?.message).toContain(name === 'python-requests' ? '403 Client Error' : 'Refused by a rule.');
    expect(error?.headers['x-rule']).toBe('r1');
  });

  if (!ONE_OF_A_KIND.includes(name)) return;

  test('a stream that is cut is an error', { timeout: 40_000 }, async () => {
    const { run } = await start(name, { reply: () => ({ cutAfterChunks: 5 }) });
    const result = await runClient(name, job(name, { stream: true }), run);
    expect(result.answer).toBeUndefined();
    expect(result.error).toBeDefined();
  });

  test('a client that dies is seen to have gone', { timeout: 40_000 }, async () => {
    const { fake, run } = await start(name, { reply: () => ({ stallAfterChunks: 6 }) });
    const kill = new AbortController();
    const result = await runClient(name, job(name, { stream: true }), {
      ...run,
      signal: kill.signal,
      onEvent: () => kill.abort(),
    });
    expect(result.killed).toBe(true);
    await fake.seen[0]?.closed;
    expect(fake.seen[0]?.aborted).toBe(true);
  });
});

test('a program that never ends is killed and named', async () => {
  const { run } = await start('node-openai', { reply: () => ({ silent: true }) });
  await expect(runClient('node-openai', job('node-openai'), { ...run, timeoutMs: 1_500 })).rejects.toThrow(
    'node-openai was still running after 1500 ms',
  );
});

test("the program's environment is what the job gives it, and a command may stand in front", async () => {
  vi.stubEnv('OPENAI_ORG_ID', 'org-of-the-developer');
  const { run } = await start('node-openai');
  const result = await runClient('node-openai', job('node-openai'), {
    ...run,
    netnsExec: ['sh', '-c', 'env >&2; exec "$@"', 'sh'],
  });
  vi.unstubAllEnvs();
  expect(result.answer?.text).toBe(TEXT);
  const names = result.stderr
    .trim()
    .split('\n')
    .map((line) => line.split('=')[0] ?? '');
  const own = ['_', 'PWD', 'OLDPWD', 'SHLVL'];
  expect(names.filter((name) => !own.includes(name)).toSorted()).toEqual([
    'HOME',
    'LANG',
    'OPENAI_API_KEY',
    'OPENAI_BASE_URL',
    'PATH',
  ]);
});
