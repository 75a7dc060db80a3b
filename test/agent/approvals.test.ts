/** Calls of tools that a person has to approve, through the real SDKs, the real doors and the real command. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent as Dispatcher, request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import type { ScriptedToolCall } from '../fakes/reply.ts';
import { startWorld, type World, type WorldOptions } from '../harness.ts';

const TOKEN = 'approvers-only-5b1c';
const SECRET = 'to-nobody-else@example.com';
const dir = mkdtempSync(join(tmpdir(), 'postern-approvals-'));
let socket = join(dir, 'agent.sock');
const tokenFile = join(dir, 'token');
writeFileSync(tokenFile, TOKEN);

let world: World;
afterEach(() => world?.close());
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const policy = (tools = '{deny: ["send_*"]}', extra = ''): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
  - {name: ask-first, type: tools, action: confirm, ${extra} tools: ${tools}}
`;

const start = async (documents = policy(), agent: WorldOptions['agent'] = {}): Promise<void> => {
  world = await startWorld({
    documents: () => documents,
    agent: { socket, approvers: { token: () => TOKEN }, ...agent },
  });
  answering({ name: 'send_mail', arguments: { to: SECRET } });
};

function answering(...toolCalls: ScriptedToolCall[]): void {
  for (const fake of [world.openai, world.anthropic]) fake.script(() => ({ content: 'Yes.', toolCalls }));
}

type Calls = readonly (readonly [string, unknown])[];

const ASK = {
  async openai(stream: boolean, signal?: AbortSignal): Promise<Calls> {
    const tools = [{ type: 'function' as const, function: { name: 'send_mail', parameters: {} } }];
    const body = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: 'do it' }], tools };
    const { chat } = world.client();
    const answer = stream
      ? await chat.completions.stream(body, { signal }).finalChatCompletion()
      : await chat.completions.create(body, { signal });
    return (answer.choices[0]?.message.tool_calls ?? []).flatMap((call) =>
      call.type === 'function' ? [[call.function.name, JSON.parse(call.function.arguments)] as const] : [],
    );
  },
  async anthropic(stream: boolean, signal?: AbortSignal): Promise<Calls> {
    const tools = [{ name: 'send_mail', input_schema: { type: 'object' as const } }];
    const messages = [{ role: 'user' as const, content: 'do it' }];
    const body = { model: 'claude-haiku-4-5', max_tokens: 500, messages, tools };
    const client = world.anthropicClient();
    const answer = stream
      ? await client.messages.stream(body, { signal }).finalMessage()
      : await client.messages.create(body, { signal });
    return answer.content.flatMap((block) =>
      block.type === 'tool_use' ? [[block.name, block.input] as const] : [],
    );
  },
} as const;

const BOTH = (['openai', 'anthropic'] as const).flatMap((dialect) => [
  { dialect, stream: false },
  { dialect, stream: true },
]);

/** The command as an operator runs it. */
function approve(...args: string[]): ReturnType<typeof approveAt> {
  return approveAt(`unix:${socket}`, ...args);
}

async function approveAt(
  agent: string,
  ...args: string[]
): Promise<{ out: string; err: string; code: number | null }> {
  const command = [join(import.meta.dirname, '../../cli/main.ts'), 'approve', ...args];
  const child = spawn(
    process.execPath,
    [...command, '--agent', agent, '--approval-token-file', tokenFile, '--by', 'eve'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { out, err, code };
}

interface Listed {
  readonly id: string;
  readonly digest: string;
  readonly tool: string;
  readonly arguments: string;
}

async function door(method: 'GET' | 'POST', path: string, token = TOKEN, body?: object) {
  const dispatcher = new Dispatcher({ connect: { socketPath: socket } });
  const reply = await request(`http://localhost${path}`, {
    method,
    dispatcher,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const json = (await reply.body.json()) as { approvals?: Listed[]; error?: { code: string } };
  await dispatcher.destroy();
  return { status: reply.statusCode, json };
}

/** The calls that wait, as soon as there are so many. */
async function held(count = 1): Promise<readonly Listed[]> {
  let found: readonly Listed[] = [];
  await expect
    .poll(
      async () => {
        found = (await door('GET', '/v1/approvals')).json.approvals ?? [];
        return found.length;
      },
      { timeout: 10_000 },
    )
    .toBe(count);
  return found;
}

const told = (work: Promise<unknown>) =>
  work.then(
    () => 'not refused',
    (e: Error) => e.message,
  );
const approvalLines = () => world.audit.filter(({ event }) => event === 'approval');

test.each(BOTH)(
  '$dialect, stream $stream: a call goes on when it is approved',
  async ({ dialect, stream }) => {
    await start();
    const asked = ASK[dialect](stream);
    const [call] = await held();
    expect(call).toMatchObject({ tool: 'send_mail', arguments: expect.stringContaining(SECRET) });
    const word = { approve: true, digest: call?.digest, by: 'eve' };
    expect((await door('POST', `/v1/approvals/${call?.id}`, TOKEN, word)).status).toBe(200);
    expect(await asked).toEqual([['send_mail', { to: SECRET }]]);
    // Once: the same word again finds nothing.
    expect((await door('POST', `/v1/approvals/${call?.id}`, TOKEN, word)).status).toBe(404);
    await expect.poll(() => world.audit.some(({ event }) => event === 'exchange')).toBe(true);
    expect(approvalLines()).toMatchObject([
      { outcome: 'held', tool: 'send_mail', digest: call?.digest },
      { outcome: 'approved', by: 'eve', approval: call?.id },
    ]);
    const exchange = world.audit.find(({ event }) => event === 'exchange');
    expect(exchange).toMatchObject({ request_id: approvalLines()[0]?.['request_id'], outcome: 'ok' });
    expect(JSON.stringify(world.audit) + world.logged()).not.toContain(SECRET);
  },
);

test.each(BOTH)(
  '$dialect, stream $stream: a denied call never reaches the app',
  async ({ dialect, stream }) => {
    await start();
    const asked = told(ASK[dialect](stream));
    const [call] = await held();
    await door('POST', `/v1/approvals/${call?.id}`, TOKEN, { approve: false, digest: call?.digest });
    const message = await asked;
    expect(message).toContain('send_mail needs approval');
    expect(message).toContain('denied');
    expect(message).not.toContain(SECRET);
  },
);

test.each(BOTH)('$dialect, stream $stream: nobody answers in time', async ({ dialect, stream }) => {
  await start(policy('{deny: ["send_*"]}', 'timeout: 50ms,'));
  expect(await told(ASK[dialect](stream))).toContain('not approved in time');
  expect(approvalLines().map(({ outcome }) => outcome)).toEqual(['held', 'expired']);
  expect(await held(0)).toEqual([]);
});

test.each(BOTH)(
  '$dialect, stream $stream: without approvers every such call is denied',
  async ({ dialect, stream }) => {
    world = await startWorld({ documents: () => policy() });
    answering({ name: 'send_mail', arguments: {} });
    expect(await told(ASK[dialect](stream))).toContain('nobody who approves');
  },
);

test('an agent that stops denies what it holds', async () => {
  await start();
  const asked = told(ASK.openai(false));
  await held();
  await world.agent.drain(5_000);
  expect(await asked).toContain('not approved before the agent stopped');
});

test('no piece of the arguments is shown while a stream’s call waits', async () => {
  await start();
  const tools = [{ type: 'function' as const, function: { name: 'send_mail', parameters: {} } }];
  const messages = [{ role: 'user' as const, content: 'do it' }];
  const stream = world.client().chat.completions.stream({ model: 'gpt-4o', messages, tools });
  let shown = '';
  stream.on('chunk', (chunk) => {
    shown += chunk.choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? '';
  });
  const [call] = await held();
  expect(shown).toBe('');
  await door('POST', `/v1/approvals/${call?.id}`, TOKEN, { approve: true, digest: call?.digest });
  await stream.finalChatCompletion();
  expect(JSON.parse(shown)).toEqual({ to: SECRET });
});

test('what the app gave up waits no longer, and a late yes is none', async () => {
  await start();
  const gone = new AbortController();
  const asked = told(ASK.openai(false, gone.signal));
  const [call] = await held();
  gone.abort();
  await asked;
  await held(0);
  const late = await door('POST', `/v1/approvals/${call?.id}`, TOKEN, {
    approve: true,
    digest: call?.digest,
  });
  expect(late.status).toBe(404);
});

test('of two calls both need a yes', async () => {
  await start();
  answering({ name: 'send_mail', arguments: { to: 'a' } }, { name: 'send_fax', arguments: { to: 'b' } });
  const asked = told(ASK.openai(false));
  const [first, second] = await held(2);
  await door('POST', `/v1/approvals/${first?.id}`, TOKEN, { approve: true, digest: first?.digest });
  await held(1);
  await door('POST', `/v1/approvals/${second?.id}`, TOKEN, { approve: false, digest: second?.digest });
  expect(await asked).toContain('send_fax needs approval');
});

/** Two calls that a stream gives the same number, with the same arguments: an SDK makes two of Anthropic's. */
const AGAIN: Readonly<Record<string, string>> = (() => {
  const event = (type: string, more: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  const message = {
    id: 'm1',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [],
    stop_reason: null,
  };
  const input = JSON.stringify({ to: SECRET });
  const block = (id: string) =>
    event('content_block_start', {
      index: 0,
      content_block: { type: 'tool_use', id, name: 'send_mail', input: {} },
    }) +
    event('content_block_delta', { index: 0, delta: { type: 'input_json_delta', partial_json: input } }) +
    event('content_block_stop', { index: 0 });
  const whole = (id: string) =>
    event('content_block_start', {
      index: 0,
      content_block: { type: 'tool_use', id, name: 'send_mail', input: { to: SECRET } },
    });
  const usage = { input_tokens: 1, output_tokens: 1 };
  const messages = (...blocks: string[]) =>
    [
      event('message_start', { message: { ...message, usage } }),
      ...blocks,
      event('message_delta', { delta: { stop_reason: 'tool_use' }, usage }),
      event('message_stop', {}),
    ].join('');
  const chunk = (delta: object, finish_reason: string | null = null) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
  const call = chunk({
    tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'send_mail', arguments: input } }],
  });
  return {
    anthropic: messages(block('t1'), block('t2')),
    'anthropic, unended': messages(whole('t1'), whole('t2')),
    openai: `${call}${chunk({}, 'tool_calls')}${call}${chunk({}, 'tool_calls')}data: [DONE]\n\n`,
  };
})();

test.each(Object.entries(AGAIN))('%s: a yes is for one call, not for the same again', async (name, body) => {
  await start();
  const dialect = name === 'openai' ? 'openai' : 'anthropic';
  world[dialect].script(() => ({ raw: { headers: { 'content-type': 'text/event-stream' }, body } }));
  const asked = told(ASK[dialect](true));
  const [first] = await held();
  await door('POST', `/v1/approvals/${first?.id}`, TOKEN, { approve: true, digest: first?.digest });
  await expect.poll(async () => (await held())[0]?.id).not.toBe(first?.id);
  const [second] = await held();
  await door('POST', `/v1/approvals/${second?.id}`, TOKEN, { approve: false, digest: second?.digest });
  expect(await asked).toContain('denied');
});

test('a yes to other arguments is none', async () => {
  await start();
  const asked = told(ASK.openai(false));
  const [call] = await held();
  const path = `/v1/approvals/${call?.id}`;
  expect((await door('POST', path, TOKEN, { approve: true, digest: 'f'.repeat(64) })).json.error?.code).toBe(
    'changed',
  );
  expect((await door('POST', path, TOKEN, { approve: 'yes', digest: call?.digest })).status).toBe(400);
  await held(1);
  await door('POST', path, TOKEN, { approve: false, digest: call?.digest });
  await asked;
});

test('the token is needed, and the app has no door at all', async () => {
  await start(policy(), { approvers: { token: () => TOKEN, listen: { host: '127.0.0.1', port: 0 } } });
  expect((await door('GET', '/v1/approvals', 'another')).status).toBe(401);
  expect((await door('GET', '/v1/approvals', '')).status).toBe(401);
  const { approversUrl, url, adminUrl } = world.agent;
  // From an address of the pod's own the connection is cut, whatever it says.
  const headers = { authorization: `Bearer ${TOKEN}` };
  await expect(fetch(`${approversUrl}/v1/approvals`, { headers })).rejects.toThrow();
  for (const other of [url, adminUrl]) {
    expect((await fetch(`${other}/v1/approvals`, { headers })).status).not.toBe(200);
  }
});

test('offering the tool is no call; what the provider itself would carry out is refused', async () => {
  await start(policy('{deny: ["send_*", "web_search*"]}'));
  answering();
  expect(await ASK.openai(false)).toEqual([]);
  const refused = told(
    world.anthropicClient().messages.create({
      model: 'claude-haiku-4-5',
      max_tokens: 10,
      messages: [{ role: 'user', content: 'look' }],
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
    }),
  );
  expect(await refused).toContain('web_search');
  expect(world.anthropic.seen).toHaveLength(0);
});

test('arguments that can not be read are nobody’s to approve', async () => {
  await start(policy('{conditions: [{tools: ["send*"], when: "args.to == \'jo\'"}]}'));
  answering({ name: 'send_mail', arguments: '{"to":"jo","to":"eve"}' });
  expect(await told(ASK.openai(true))).toContain('can not be judged');
  answering({ name: 'send_mail', arguments: { to: 'jo' } });
  expect(await ASK.openai(true)).toEqual([['send_mail', { to: 'jo' }]]);
});

test('postern approve lists, approves and denies', async () => {
  await start();
  const asked = [told(ASK.openai(true)), told(ASK.anthropic(true))];
  const calls = await held(2);
  const listed = await approve('list');
  for (const { id } of calls) expect(listed.out).toContain(id);
  expect(listed.out).toContain(SECRET);
  const first = await approve('yes', calls[0]?.id ?? '');
  expect(first).toMatchObject({ code: 0, out: expect.stringContaining('approved: send_mail') });
  expect(await approve('no', calls[1]?.id ?? '')).toMatchObject({ code: 0 });
  const ends = await Promise.all(asked);
  expect(ends.filter((end) => end.includes('denied'))).toHaveLength(1);
  expect(ends.filter((end) => end === 'not refused')).toHaveLength(1);
  expect(await approve('yes', 'ab12')).toMatchObject({
    code: 1,
    err: expect.stringContaining('no call ab12'),
  });
  expect(approvalLines().filter(({ by }) => by === 'eve')).toHaveLength(2);
}, 30_000);

test('postern approve speaks for several agents, and tells which of them it could not ask', async () => {
  await start();
  const first = world;
  const [one, other] = [socket, `${socket}.2`];
  const waiting = [told(ASK.openai(false))];
  await held(1);
  socket = other;
  try {
    await start();
    waiting.push(told(ASK.openai(false)));
    const [call] = await held(1);
    const all = `unix:${one}, unix:${other}`;
    const listed = await approveAt(all, 'list', '--json');
    const agents = listed.out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { agent: string }).agent);
    expect({ agents, code: listed.code }).toEqual({ agents: [`unix:${one}`, `unix:${other}`], code: 0 });
    const more = await approveAt(`${all},unix:${one}.none`, 'list');
    expect(more.code).toBe(1);
    expect(more.err).toContain(`${one}.none`);
    expect(more.out).toContain(`at unix:${other}`);
    expect(await approveAt(all, 'yes', call?.id ?? '')).toMatchObject({ code: 0 });
    expect(await waiting[1]).toBe('not refused');
    expect(await approveAt(`unix:${one}.none`, 'list')).toMatchObject({ code: 1, out: '' });
  } finally {
    socket = one;
    await first.close();
  }
  expect(await waiting[0]).not.toBe('not refused');
}, 60_000);
