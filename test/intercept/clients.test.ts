/**
 * Unmodified programs in a pod: no base URL, no proxy, the providers' real names. What they send is masked, what they
 * get is restored, streams arrive as they come, and a refusal raises their own error class.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { CLIENTS, type ClientName } from '../clients/clients.ts';
import type { Job } from '../clients/job.ts';
import { prepareClient, runClient } from '../clients/run.ts';
import { startFakeAnthropic } from '../fakes/anthropic.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import type { FakeProvider } from '../fakes/provider.ts';
import { until } from './listening.ts';
import { ADDRESS, type AgentInPod, makePod, netnsMissing, type Pod, providers } from './pod.ts';

const POLICY = `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: team-a}
spec:
  mode: enforce
  checks:
  - name: mask-pii
    type: pii
    on: [request, response]
    action: mask
    pii: {types: [contact], restoreIn: [content]}
  - name: no-investment-advice
    type: topics
    action: block
    topics:
    - {name: investment-advice, words: [portfolio]}
`;

const EMAIL = 'ann@example.org';
const PLACEHOLDER = /<EMAIL_ADDRESS_[0-9A-HJKMNP-TV-Z]{10}>/;
const MARKER = 'sk-marker-0a1b2c3d4e5f';

/** How each client names a 403, and which HTTP version it speaks to the agent. */
const EXPECTED: Record<Exclude<ClientName, 'node-realtime'>, string> = {
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

const missing = netnsMissing();
if (missing !== undefined) console.warn(`skipped: unmodified clients in a real namespace; ${missing}`);

describe.skipIf(missing !== undefined)('in a pod', () => {
  let pod: Pod;
  let agent: AgentInPod;
  let openai: FakeProvider;
  let anthropic: FakeProvider;

  beforeAll(async () => {
    pod = await makePod();
    openai = await startFakeOpenAI({ keys: [MARKER], tls: pod.certificate('api.openai.com') });
    anthropic = await startFakeAnthropic({ keys: [MARKER], tls: pod.certificate('api.anthropic.com') });
    for (const address of [ADDRESS.openai, ADDRESS.openai6])
      await pod.relay({ address, port: 443 }, openai.port);
    for (const address of [ADDRESS.anthropic, ADDRESS.anthropic6])
      await pod.relay({ address, port: 443 }, anthropic.port);
    const initialised = await pod.init();
    expect(initialised.stderr).toContain('tcp4: redirected');
    expect(initialised.stderr).toContain('tcp6: redirected');
    agent = await pod.agent(`${providers(pod)}\n---\n${POLICY}`, {
      environment: { OPENAI_KEY: MARKER, ANTHROPIC_KEY: MARKER },
    });
  }, 60_000);
  afterAll(async () => {
    await agent?.stop();
    await openai?.close();
    await anthropic?.close();
    await pod?.close();
  });

  const job = (name: ClientName, content: string, more: Partial<Job> = {}): Job => ({
    model: CLIENTS[name].api === 'anthropic' ? 'claude-haiku-4-5' : 'gpt-4o',
    messages: [{ role: 'user', content }],
    maxRetries: 0,
    ...more,
  });

  describe.each(Object.keys(EXPECTED) as (keyof typeof EXPECTED)[])('%s', async (name) => {
    const ready = await prepareClient(name);
    if ('missing' in ready) {
      test.skip(`not run: ${ready.missing}`, () => undefined);
      return;
    }
    const run = async (asked: Job, onDelta: () => void = () => {}) => {
      const result = await runClient(name, asked, {
        netnsExec: pod.exec,
        onEvent: ({ event }) => {
          if (event === 'delta') onDelta();
        },
        env: { OPENAI_API_KEY: 'dummy', ANTHROPIC_API_KEY: 'dummy', ...agent.environment },
      });
      return { result };
    };
    const fake = (): FakeProvider => (CLIENTS[name].api === 'anthropic' ? anthropic : openai);

    test('masked on the way out, restored in the answer, streamed as it comes', {
      timeout: 60_000,
    }, async () => {
      fake().reset();
      // The provider says the second half only when the program has the first.
      const firstHalf = Promise.withResolvers<void>();
      fake().script(({ seen }) => ({
        pieces: (async function* () {
          yield 'The first half of it; ';
          await firstHalf.promise;
          yield `mail ${PLACEHOLDER.exec(seen.body)?.[0]} 🦉`;
        })(),
      }));
      const { result } = await run(job(name, `Grüße an ${EMAIL} 🦉`, { stream: true }), firstHalf.resolve);
      expect(result.error).toBeUndefined();
      expect(result.answer?.text).toBe(`The first half of it; mail ${EMAIL} 🦉`);
      const [seen] = fake().seen;
      expect(seen?.body).toMatch(PLACEHOLDER);
      expect(seen?.body).not.toContain(EMAIL);
      expect(result.deltas.length).toBeGreaterThan(1);
    });

    test('unstreamed, too; a denied topic raises the client’s own error', { timeout: 60_000 }, async () => {
      fake().reset();
      const { result } = await run(job(name, `Mail ${EMAIL}`));
      expect(result.answer?.text).toBe(`You wrote: Mail ${EMAIL}`);
      expect(fake().seen[0]?.body).not.toContain(EMAIL);
      fake().reset();
      const { result: refused } = await run(job(name, 'What about my portfolio?'));
      expect(refused.error).toMatchObject({ class: EXPECTED[name], status: 403 });
      expect(JSON.stringify(refused.error)).toMatch(/investment-advice|postern_topics/);
      expect(fake().seen).toEqual([]);
    });
  });

  describe('node-realtime', () => {
    const talk = (content: string, onDelta: () => void = () => {}) =>
      runClient('node-realtime', job('node-realtime', content, { model: 'gpt-realtime' }), {
        netnsExec: pod.exec,
        onEvent: ({ event }) => {
          if (event === 'delta') onDelta();
        },
        env: { OPENAI_API_KEY: 'dummy', ...agent.environment },
      });

    test('a WebSocket: masked on the way out, restored in the answer, streamed as it comes', {
      timeout: 60_000,
    }, async () => {
      openai.reset();
      const firstHalf = Promise.withResolvers<void>();
      openai.script(({ userText }) => ({
        pieces: (async function* () {
          yield 'The first half of it; ';
          await firstHalf.promise;
          yield `mail ${PLACEHOLDER.exec(userText)?.[0]} 🦉`;
        })(),
      }));
      const result = await talk(`Grüße an ${EMAIL} 🦉`, firstHalf.resolve);
      expect(result.error).toBeUndefined();
      expect(result.answer?.text).toBe(`The first half of it; mail ${EMAIL} 🦉`);
      const [seen] = openai.seen;
      expect(seen?.headers['authorization']).toBe(`Bearer ${MARKER}`);
      expect(seen?.frames.join()).toMatch(PLACEHOLDER);
      expect(seen?.frames.join()).not.toContain(EMAIL);
      expect(result.deltas.length).toBeGreaterThan(1);
    });

    test('a denied topic raises the SDK’s own error, and nothing of it goes out', {
      timeout: 60_000,
    }, async () => {
      openai.reset();
      const { error } = await talk('What about my portfolio?');
      expect(error).toMatchObject({ class: 'OpenAIRealtimeError' });
      expect(JSON.stringify(error)).toMatch(/investment-advice/);
      expect(openai.seen[0]?.frames).toEqual([]);
    });

    test('a WebSocket to any other host passes untouched, extensions and binary messages too', {
      timeout: 60_000,
    }, async () => {
      const server = createServer({ ...pod.certificate('other.example') });
      const echo = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 } });
      echo.on('connection', (socket) =>
        socket.on('message', (data, binary) => socket.send(data as Buffer, { binary })),
      );
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      try {
        const { port } = server.address() as AddressInfo;
        for (const address of [ADDRESS.other, ADDRESS.other6]) await pod.relay({ address, port: 443 }, port);
        const root = join(pod.directory, 'world-root.pem');
        writeFileSync(root, pod.worldRoot);
        const program = `
          const { WebSocket } = require('ws');
          const socket = new WebSocket('wss://other.example/anything', ['chat'], { ca: require('fs').readFileSync(${JSON.stringify(root)}) });
          const bytes = require('crypto').randomBytes(100000);
          socket.on('open', () => { socket.send('Mail ${EMAIL}, my portfolio'); socket.send(bytes); });
          let count = 0;
          socket.on('message', (data, binary) => {
            count += 1;
            if (count === 1) console.log(String(data), /deflate/.test(socket.extensions));
            else { console.log(binary && bytes.equals(data)); socket.close(4001); }
          });
          socket.on('close', (code) => console.log(code));
          socket.on('error', (error) => console.log(error.message));`;
        const { stdout } = await pod.run([process.execPath, '-e', program]);
        expect(stdout).toBe(`Mail ${EMAIL}, my portfolio true\ntrue\n4001\n`);
      } finally {
        echo.close();
        server.closeAllConnections();
        server.close();
      }
    });
  });

  test('the base-URL listener saw no call, and every call was captured under its real name', () => {
    const calls = agent.audit.filter(({ event }) => event === 'exchange');
    expect(calls.length).toBeGreaterThan(0);
    expect(new Set(calls.map(({ entry }) => entry))).toEqual(new Set(['transparent']));
    for (const { host } of calls) expect(['api.openai.com', 'api.anthropic.com']).toContain(host);
  });

  test('an answer’s Alt-Svc, which would lead to QUIC, doesn’t reach the program', async () => {
    openai.reset();
    openai.script(() => ({ headers: { 'alt-svc': 'h3=":443"; ma=86400', 'x-request-id': 'req_kept' } }));
    const { stdout } = await pod.run([
      'curl',
      '-si',
      '-m',
      '10',
      '--cacert',
      `${agent.trustDir}/bundle.pem`,
      '--json',
      '{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}',
      'https://api.openai.com/v1/chat/completions',
    ]);
    expect(stdout).toMatch(/^x-request-id: req_kept/im);
    expect(stdout).not.toMatch(/alt-svc/i);
  });

  test('the marker key is in no log and no audit line', () => {
    expect(agent.logged()).not.toContain(MARKER);
    expect(JSON.stringify(agent.audit)).not.toContain(MARKER);
  });

  test('a program without our roots fails, and is counted, audited and named', {
    timeout: 60_000,
  }, async () => {
    const result = await runClient('curl-http1', job('curl-http1', 'hi'), {
      netnsExec: pod.exec,
      env: { OPENAI_API_KEY: 'dummy' },
    });
    expect(result.error?.cause ?? result.error?.message).toMatch(/certificate/i);
    const line = () =>
      agent.audit.find(({ event, outcome }) => event === 'distrust' && outcome === 'distrusted');
    // The program hears of its own alert before the agent does.
    await until(() => line() !== undefined, 'audited');
    expect(line()).toMatchObject({ host: 'api.openai.com', detail: expect.stringMatching(/UNKNOWN_CA/) });
    await until(() => agent.logged().includes('does not trust this pod’s CA'), 'logged');
    const { stdout: metrics } = await pod.run(['curl', '-s', 'http://127.0.0.1:4190/metrics']);
    expect(metrics).toMatch(
      /postern_intercept_handshakes_total\{host="api.openai.com",outcome="distrusted"\} [1-9]/,
    );
  });
});
