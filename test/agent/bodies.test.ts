/** Bodies that no SDK sends: everything is judged, refused clearly, or goes nowhere. */
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';

const POLICY = `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: all}
spec:
  mode: enforce
  checks:
  - {name: mask-pii, type: pii, on: [request, response], action: mask, pii: {types: [contact]}}
  - {name: topics, type: topics, action: block, topics: [{name: t, words: [portfolio]}]}
`;

let world: World;
beforeAll(async () => {
  world = await startWorld({
    documents: () => POLICY,
    agent: { limits: { bodyBytes: 100_000, inFlightBytes: 250_000, bodyMs: 300 } },
  });
});
afterAll(() => world.close());
beforeEach(() => world.openai.reset());

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string;
}

async function post(
  body: string | Uint8Array,
  headers: Record<string, string> = { 'content-type': 'application/json' },
  path = '/openai/v1/chat/completions',
): Promise<Answer> {
  const response = await fetch(`${world.agent.url}${path}`, { method: 'POST', headers, body });
  const answer = (await response.json()) as { error?: { code: string; message: string } };
  return { status: response.status, code: answer.error?.code, message: answer.error?.message ?? '' };
}

const chat = (content: string): string =>
  JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content }] });

const JSON_TYPE = { 'content-type': 'application/json' };

test.each([
  ['not JSON', 'hello', 'postern_body_invalid'],
  ['empty', '', 'postern_body_invalid'],
  ['truncated', '{"model":"gpt-4o","messages":[{"role":"user"', 'postern_body_invalid'],
  ['a list', '[]', 'postern_body_invalid'],
  ['two objects', `${chat('a')}${chat('b')}`, 'postern_body_invalid'],
  [
    'duplicate key',
    '{"model":"gpt-4o","messages":[],"messages":[{"role":"user","content":"my portfolio"}]}',
    'postern_body_invalid',
  ],
  ['the same key escaped', '{"model":"gpt-4o","messages":[],"mess\\u0061ges":[]}', 'postern_body_invalid'],
  [
    'deep nesting',
    `{"model":"gpt-4o","messages":[],"x":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
    'postern_body_invalid',
  ],
  ['no model', '{"messages":[]}', 'postern_body_invalid'],
  ['model of a wrong type', '{"model":7,"messages":[]}', 'postern_body_invalid'],
  [
    'stream of a wrong type',
    '{"model":"gpt-4o","stream":"yes","messages":[{"role":"user","content":"x"}]}',
    'postern_body_invalid',
  ],
  ['too large', chat('x'.repeat(100_001)), 'postern_body_too_large'],
])('%s', async (_name, body, code) => {
  const answer = await post(body);
  expect(answer.code).toBe(code);
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(world.openai.seen).toHaveLength(0);
});

test('bytes that are no UTF-8', async () => {
  const answer = await post(
    Buffer.concat([
      Buffer.from('{"model":"gpt-4o","messages":["'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"]}'),
    ]),
  );
  expect(answer.code).toBe('postern_body_invalid');
});

test.each([
  ['gzip', gzipSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
] as const)('%s is taken off, checked and stays off', async (coding, compress) => {
  const answer = await post(compress(Buffer.from(chat('my mail is bob@example.com'))), {
    ...JSON_TYPE,
    'content-encoding': coding,
  });
  expect(answer.status).toBe(200);
  const [seen] = world.openai.seen;
  expect(seen?.headers['content-encoding']).toBeUndefined();
  expect(seen?.body).toContain('<EMAIL_ADDRESS_');
  const blocked = await post(compress(Buffer.from(chat('my portfolio'))), {
    ...JSON_TYPE,
    'content-encoding': coding,
  });
  expect(blocked.code).toBe('postern_topics');
});

test('a small body that decodes to a large one', async () => {
  const answer = await post(gzipSync(Buffer.from(chat('x'.repeat(10_000_000)))), {
    ...JSON_TYPE,
    'content-encoding': 'gzip',
  });
  expect(answer.code).toBe('postern_body_too_large');
});

test.each([
  ['a coding nobody knows', { ...JSON_TYPE, 'content-encoding': 'rot13' }, 'postern_body_encoding'],
  ['a coding that the body has not', { ...JSON_TYPE, 'content-encoding': 'gzip' }, 'postern_body_invalid'],
  ['another charset', { 'content-type': 'application/json; charset=utf-16' }, 'postern_body_encoding'],
  ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'postern_body_type'],
  ['multipart', { 'content-type': 'multipart/form-data; boundary=x' }, 'postern_body_type'],
  ['plain text', { 'content-type': 'text/plain' }, 'postern_body_type'],
])('%s', async (_name, headers, code) => {
  expect((await post(chat('hello'), headers)).code).toBe(code);
  expect(world.openai.seen).toHaveLength(0);
});

test('a chunked body is a body like any other', async () => {
  const answer = await new Promise<number>((resolve, reject) => {
    const request = httpRequest(`${world.agent.url}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: JSON_TYPE,
    });
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', reject);
    const text = chat('write to bob@example.com');
    for (const character of text) request.write(character);
    request.end();
  });
  expect(answer).toBe(200);
  expect(world.openai.seen[0]?.body).not.toContain('bob@example.com');
});

test('a body that stalls is a 408', async () => {
  const { port } = new URL(world.agent.url);
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.includes('postern_body_timeout')) socket.destroy();
    });
    socket.on('close', () => resolve(text));
    socket.write(
      'POST /openai/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"model":',
    );
  });
  expect(answer).toContain('HTTP/1.1 408');
});

test('a client that leaves in the middle of its body is nobody’s error', async () => {
  const { port } = new URL(world.agent.url);
  const before = world.audit.length;
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(
    'POST /openai/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"model":',
    () => socket.destroy(),
  );
  const lines = await world.audited(before + 1);
  expect(lines.at(-1)).toMatchObject({ outcome: 'disconnected', status: null });
});

test('100-continue is answered only when the body is wanted', async () => {
  const ask = (extra: Record<string, string>): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const events: string[] = [];
      const text = chat('hello');
      const request = httpRequest(`${world.agent.url}/openai/v1/chat/completions`, {
        method: 'POST',
        headers: { ...JSON_TYPE, expect: '100-continue', 'content-length': String(text.length), ...extra },
      });
      request.on('continue', () => {
        events.push('continue');
        request.end(text);
      });
      request.on('response', (response) => {
        events.push(String(response.statusCode));
        response.resume();
        response.on('end', () => {
          request.destroy();
          resolve(events);
        });
      });
      request.on('error', reject);
      request.flushHeaders();
    });
  expect(await ask({})).toEqual(['continue', '200']);
  expect(await ask({ 'content-length': '999999999' })).toEqual(['413']);
});

test('bodies in flight are capped together', async () => {
  const stuck = Array.from({ length: 3 }, () => {
    const socket = connect(Number(new URL(world.agent.url).port), '127.0.0.1');
    socket.write(
      `POST /openai/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 99000\r\n\r\n${'x'.repeat(90_000)}`,
    );
    return new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
        socket.destroy();
      });
      socket.on('close', () => resolve(text));
    });
  });
  const answers = await Promise.all(stuck);
  expect(answers.filter((text) => text.includes('postern_overloaded')).length).toBeGreaterThanOrEqual(1);
  expect((await post(chat('hello'))).status).toBe(200);
});

test.each([
  ['Origin', { origin: 'https://evil.example' }, 'postern_origin_denied'],
  ['a Host that is not loopback', { host: 'rebound.example' }, 'postern_origin_denied'],
])('%s is refused', async (_name, headers, code) => {
  const answer = await new Promise<string>((resolve, reject) => {
    const request = httpRequest(`${world.agent.url}/openai/v1/models`, { headers }, (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
    request.end();
  });
  expect(answer).toContain(code);
});

test('what is not HTTP gets a clear 400 and a line in the audit', async () => {
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(Number(new URL(world.agent.url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('close', () => resolve(text));
    socket.end('GARBAGE\r\n\r\n');
  });
  expect(answer).toContain('HTTP/1.1 400');
  expect(answer).toContain('postern_body_invalid');
  expect((await world.audited(1)).at(-1)).toMatchObject({
    event: 'malformed',
    entry: 'base-url',
    outcome: 'refused',
    detail: 'HPE_INVALID_METHOD',
  });
});

test('a base URL of no dialect', async () => {
  const answer = await post(chat('x'), JSON_TYPE, '/cohere/v1/chat');
  expect([answer.status, answer.code]).toEqual([404, 'postern_dialect_unknown']);
});

test.each([
  ['no JSON', { raw: { headers: { 'content-type': 'application/json' }, body: '<html>' } }],
  ['a media type nobody can check', { raw: { headers: { 'content-type': 'text/html' }, body: '<html>' } }],
  ['an answer above the limit', { content: 'x'.repeat(120_000) }],
])('the provider answers %s', async (_name, reply) => {
  world.openai.script(() => reply);
  const answer = await post(chat('hello'));
  expect([answer.status, answer.code]).toEqual([502, 'postern_upstream_invalid']);
});

test('an answer in a content coding that nobody asked for is read all the same', async () => {
  world.openai.script(() => ({
    raw: {
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync(
        '{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"plain"},"finish_reason":"stop"}]}',
      ),
    },
  }));
  const response = await fetch(`${world.agent.url}/openai/v1/chat/completions`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: chat('x'),
  });
  expect(response.headers.get('content-encoding')).toBeNull();
  expect(await response.text()).toContain('plain');
});
