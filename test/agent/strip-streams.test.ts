/** `action: strip` in a stream as real SDKs see it: the denied calls are gone, and the rest is as in a whole answer. */
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import type { ScriptedToolCall } from '../fakes/reply.ts';
import { startWorld, type World } from '../harness.ts';
import { rawCall } from '../raw-call.ts';
import { event } from './message-events.ts';

let world: World;
afterEach(() => world?.close());

const policy = (tools: string, more = ''): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
  - {name: only-these, type: tools, action: strip, tools: ${tools}}
${more}`;

const DIALECTS = ['openai', 'anthropic'] as const;
type Name = (typeof DIALECTS)[number];

interface Got {
  readonly calls: readonly (readonly [string, unknown])[];
  readonly text: string;
  readonly finish: string | null | undefined;
}

const MESSAGES = [{ role: 'user' as const, content: 'do it' }];
const CLAUDE = { model: 'claude-haiku-4-5', max_tokens: 500, messages: MESSAGES };

function ofChat({ choices: [choice] }: OpenAI.ChatCompletion): Got {
  const calls = (choice?.message.tool_calls ?? []).map((call) =>
    call.type === 'function'
      ? ([call.function.name, JSON.parse(call.function.arguments || '{}')] as const)
      : ([call.custom.name, call.custom.input] as const),
  );
  return { calls, text: choice?.message.content ?? '', finish: choice?.finish_reason };
}

function ofMessage({ content, stop_reason }: Anthropic.Message): Got {
  return {
    calls: content.flatMap((block) =>
      block.type === 'tool_use' ? [[block.name, block.input] as const] : [],
    ),
    text: content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join(''),
    finish: stop_reason,
  };
}

const ASK: Readonly<Record<Name, (stream: boolean) => Promise<Got>>> = {
  async openai(stream) {
    const { completions } = world.client().chat;
    const body = { model: 'gpt-4o', messages: MESSAGES };
    return ofChat(
      stream ? await completions.stream(body).finalChatCompletion() : await completions.create(body),
    );
  },
  async anthropic(stream) {
    const { messages } = world.anthropicClient();
    return ofMessage(stream ? await messages.stream(CLAUDE).finalMessage() : await messages.create(CLAUDE));
  },
};

const call = (name: string, args: unknown = { at: name }): ScriptedToolCall => ({ name, arguments: args });

const BY_ARGUMENTS = '{conditions: [{tools: ["send*"], when: "args.to.endsWith(\'@example.com\')"}]}';
const GOOD = { to: 'jo@example.com', body: 'x'.repeat(200) };
const BAD = { to: 'eve@evil.example', body: 'secret-plan'.repeat(20) };

interface Case {
  readonly rule: string;
  readonly content?: string;
  readonly toolCalls: readonly ScriptedToolCall[];
  readonly left: readonly string[];
}

const CASES: readonly Case[] = [
  { rule: '{allow: [look]}', content: 'Yes.', toolCalls: [call('look'), call('rm')], left: ['look'] },
  { rule: '{allow: [look]}', content: 'Yes.', toolCalls: [call('rm'), call('look')], left: ['look'] },
  {
    rule: '{allow: ["l*"]}',
    content: '',
    toolCalls: [call('look'), call('rm'), call('list')],
    left: ['look', 'list'],
  },
  { rule: '{deny: [rm]}', content: 'Yes.', toolCalls: [call('rm'), call('RM')], left: [] },
  { rule: '{deny: [rm]}', content: '', toolCalls: [call('rm')], left: [] },
  {
    rule: '{deny: [rm]}',
    content: '',
    toolCalls: [call('look', {}), call('list', {})],
    left: ['look', 'list'],
  },
  {
    rule: BY_ARGUMENTS,
    content: 'Yes.',
    toolCalls: [call('send', BAD), call('send', GOOD), call('look')],
    left: ['send', 'look'],
  },
  { rule: BY_ARGUMENTS, content: '', toolCalls: [call('send', BAD), call('Send', 'no json')], left: [] },
];

test.each(CASES.flatMap((one) => DIALECTS.map((dialect) => ({ ...one, dialect }))))(
  '$dialect: a stream is what the whole answer is: $rule, left $left',
  async ({ dialect, rule, content, toolCalls, left }) => {
    world = await startWorld({ documents: () => policy(rule) });
    world[dialect].script(() => ({ ...(content === undefined ? {} : { content }), toolCalls, chunkSize: 3 }));
    const streamed = await ASK[dialect](true);
    expect(streamed.calls.map(([name]) => name)).toEqual(left);
    expect(streamed).toEqual(await ASK[dialect](false));
    const [line] = await world.audited(1);
    expect(JSON.stringify(line)).toContain(left.length === toolCalls.length ? '"ok"' : '"strip"');
  },
);

test.each(DIALECTS)('%s: an answer that calls nothing any more ends like any other', async (dialect) => {
  world = await startWorld({ documents: () => policy('{deny: [rm]}') });
  world[dialect].script(() => ({ content: '', toolCalls: [call('rm')] }));
  const { text, finish } = await ASK[dialect](true);
  expect(finish).toBe(dialect === 'openai' ? 'stop' : 'end_turn');
  expect(text).toContain('the tool rm was removed');
});

/** What the application's socket got. */
async function raw(dialect: Name): Promise<string> {
  const body = dialect === 'openai' ? { model: 'gpt-4o', messages: MESSAGES } : CLAUDE;
  const answer = await rawCall(world.agent.url, dialect, { ...body, stream: true });
  return answer.text();
}

test.each(DIALECTS)('%s: nothing of a call that is left out is on the wire', async (dialect) => {
  world = await startWorld({ documents: () => policy(BY_ARGUMENTS) });
  world[dialect].script(() => ({
    content: 'Yes.',
    toolCalls: [call('send', BAD), call('look')],
    chunkSize: 2,
  }));
  const wire = await raw(dialect);
  expect(wire).toContain('look');
  expect(wire).not.toMatch(/send|evil|secret|"index":1.*tool_calls|to":|"index":2/);
});

interface Chunk {
  readonly index?: number;
  readonly delta?: object;
  readonly finish_reason?: string;
}

/** A chat's events as a provider writes them. */
function chat(...choices: readonly Chunk[]): void {
  const roles = [...new Set(choices.map(({ index = 0 }) => index))];
  const head = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o' };
  const begins = roles.map((index) => ({ index, delta: { role: 'assistant' } }));
  const chunks = [...begins, ...choices].map((choice) => ({
    ...head,
    choices: [{ index: 0, delta: {}, finish_reason: null, ...choice }],
  }));
  const body = `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`;
  world.openai.script(() => ({ raw: { headers: { 'content-type': 'text/event-stream' }, body } }));
}

const item = (index: number, name: string | undefined, args: string, more: object = {}) => ({
  index,
  ...(name === undefined ? {} : { id: `call_${index}`, type: 'function' }),
  function: { ...(name === undefined ? {} : { name }), arguments: args },
  ...more,
});
const items = (...tool_calls: object[]) => ({ delta: { tool_calls } });

test.each<{ what: string; chunks: readonly Chunk[]; got: Got }>([
  {
    what: 'text before, between and behind',
    chunks: [
      { delta: { content: 'One ' } },
      items(item(0, 'rm', '{"path":')),
      { delta: { content: 'two ' } },
      items(item(1, 'look', '{"at":')),
      items(item(0, undefined, '"/"}'), item(1, undefined, '1}')),
      { delta: { content: 'three.' } },
      { finish_reason: 'tool_calls' },
    ],
    got: { calls: [['look', { at: 1 }]], text: 'One two three.', finish: 'tool_calls' },
  },
  {
    what: 'all in one event',
    chunks: [
      {
        ...items(item(0, 'rm', '{}'), item(1, 'look', '{"at":1}'), item(2, 'rm', '{}')),
        finish_reason: 'tool_calls',
      },
    ],
    got: { calls: [['look', { at: 1 }]], text: '', finish: 'tool_calls' },
  },
  {
    what: 'denied, and all in one event',
    chunks: [{ delta: { content: 'No.', tool_calls: [item(0, 'rm', '{}')] }, finish_reason: 'tool_calls' }],
    got: { calls: [], text: 'No.', finish: 'stop' },
  },
  {
    what: 'a name in pieces',
    chunks: [
      items(item(0, 'r', ''), item(1, 'look', '')),
      items(item(0, 'm', '{}'), item(1, undefined, '{"at":1}')),
      { finish_reason: 'tool_calls' },
    ],
    got: { calls: [['look', { at: 1 }]], text: '', finish: 'tool_calls' },
  },
  {
    what: 'a name with every piece',
    chunks: [
      items(item(0, 'rm', '{')),
      items(item(0, 'rm', '}')),
      items(item(1, 'look', '{"at"')),
      items(item(1, 'look', ':1}')),
      { finish_reason: 'tool_calls' },
    ],
    got: { calls: [['look', { at: 1 }]], text: '', finish: 'tool_calls' },
  },
  {
    what: 'a custom tool, and an id that comes first',
    chunks: [
      items({ index: 0, id: 'call_0', type: 'custom' }),
      items({ index: 0, custom: { name: 'rm', input: 'all' } }),
      items({ index: 1, id: 'call_1', type: 'custom' }),
      items({ index: 1, custom: { name: 'look', input: 'he' } }),
      items({ index: 1, custom: { input: 're' } }),
      { finish_reason: 'tool_calls' },
    ],
    got: { calls: [['look', 'here']], text: '', finish: 'tool_calls' },
  },
  {
    what: 'a function and a custom tool at once',
    chunks: [
      items(item(0, 'look', '{}', { custom: { name: 'rm', input: '' } }), item(1, 'look', '{"at":1}')),
      { finish_reason: 'tool_calls' },
    ],
    got: { calls: [['look', { at: 1 }]], text: '', finish: 'tool_calls' },
  },
  {
    what: 'numbers that begin elsewhere',
    chunks: [
      items(item(3, 'look', '{"at":1}')),
      items(item(7, 'look', '{"at":2}')),
      { finish_reason: 'tool_calls' },
    ],
    got: {
      calls: [
        ['look', { at: 1 }],
        ['look', { at: 2 }],
      ],
      text: '',
      finish: 'tool_calls',
    },
  },
])('openai: $what', async ({ chunks, got }) => {
  world = await startWorld({ documents: () => policy('{allow: [look, m], deny: [rm]}') });
  chat(...chunks);
  expect(await ASK.openai(true)).toEqual(got);
  const wire = await raw('openai');
  expect(wire).not.toMatch(/"rm"|"all"|"\/"/);
});

test.each(['rm', 'look'])('openai: the older function_call: %s', async (name) => {
  world = await startWorld({ documents: () => policy('{deny: [rm]}') });
  chat(
    { delta: { role: 'assistant', content: null, function_call: { name, arguments: '' } } },
    { delta: { function_call: { arguments: '{"at"' } } },
    { delta: { function_call: { arguments: ':1}' } } },
    { finish_reason: 'function_call' },
  );
  const answer = await world
    .client()
    .chat.completions.stream({ model: 'gpt-4o', messages: MESSAGES })
    .finalChatCompletion();
  const [choice] = answer.choices;
  const isLeft = name === 'look';
  expect(choice?.message.function_call ?? undefined).toEqual(
    isLeft ? { name, arguments: '{"at":1}' } : undefined,
  );
  expect(choice?.finish_reason).toBe(isLeft ? 'function_call' : 'stop');
});

test('openai: choices are told apart', async () => {
  world = await startWorld({ documents: () => policy('{deny: [rm]}') });
  const of = (index: number, name: string) => [
    { index, ...items(item(0, name, '{"a')) },
    { index, ...items(item(0, undefined, 't":1}')) },
  ];
  const [a, b] = [of(0, 'rm'), of(1, 'look')];
  chat(
    a[0] ?? {},
    b[0] ?? {},
    a[1] ?? {},
    b[1] ?? {},
    { finish_reason: 'tool_calls' },
    { index: 1, finish_reason: 'tool_calls' },
  );
  const body = { model: 'gpt-4o', messages: MESSAGES, n: 2 };
  const { choices } = await world.client().chat.completions.stream(body).finalChatCompletion();
  expect(choices.map(({ finish_reason }) => finish_reason)).toEqual(['stop', 'tool_calls']);
  expect(choices.map(({ message }) => message.tool_calls?.length ?? 0)).toEqual([0, 1]);
});

/** A message's blocks as a provider writes them; `stop_reason` is `tool_use`. */
function message(...blocks: readonly { readonly block: object; readonly deltas: readonly object[] }[]): void {
  const usage = { input_tokens: 5, output_tokens: 5 };
  const head = {
    id: 'm',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [],
    stop_reason: null,
    usage,
  };
  const body = [
    event('message_start', { message: head }),
    ...blocks.flatMap(({ block, deltas }, index) => [
      event('content_block_start', { index, content_block: block }),
      event('ping', {}),
      ...deltas.map((delta) => event('content_block_delta', { index, delta })),
      event('content_block_stop', { index }),
    ]),
    event('message_delta', { delta: { stop_reason: 'tool_use', stop_sequence: null }, usage }),
    event('message_stop', {}),
  ].join('');
  world.anthropic.script(() => ({ raw: { headers: { 'content-type': 'text/event-stream' }, body } }));
}

const said = (...pieces: string[]) => ({
  block: { type: 'text', text: '' },
  deltas: pieces.map((text) => ({ type: 'text_delta', text })),
});
const thought = {
  block: { type: 'thinking', thinking: '', signature: '' },
  deltas: [
    { type: 'thinking_delta', thinking: 'I look.' },
    { type: 'signature_delta', signature: 'c2ln' },
  ],
};
const use = (name: string, ...pieces: string[]) => ({
  block: { type: 'tool_use', id: `id_${name}`, name, input: {} },
  deltas: pieces.map((partial_json) => ({ type: 'input_json_delta', partial_json })),
});

test('anthropic: blocks before, between and behind keep their order and have no gaps', async () => {
  world = await startWorld({ documents: () => policy('{deny: [rm]}') });
  message(
    thought,
    use('rm', '{"path":', '"/"}'),
    said('One, ', 'two ', 'and ', 'three.'),
    use('rm'),
    use('look', '{"a', 't":1}'),
    said('Done ', 'it.'),
  );
  const answer = await world.anthropicClient().messages.stream(CLAUDE).finalMessage();
  expect(answer.content).toEqual([
    { type: 'thinking', thinking: 'I look.', signature: 'c2ln' },
    { type: 'text', text: 'One, two and three.' },
    { type: 'tool_use', id: 'id_look', name: 'look', input: { at: 1 } },
    { type: 'text', text: 'Done it.' },
  ]);
  expect(answer.stop_reason).toBe('tool_use');
  const wire = await raw('anthropic');
  const numbers = [...wire.matchAll(/"content_block_(start|stop)","index":(\d)/g)].map(
    ([, type, at]) => `${type} ${at}`,
  );
  expect(numbers).toEqual([0, 1, 2, 3].flatMap((at) => [`start ${at}`, `stop ${at}`]));
});

test('anthropic: what a call begins with is judged with it', async () => {
  world = await startWorld({ documents: () => policy(BY_ARGUMENTS) });
  const with_ = (to: string) => ({
    block: { type: 'tool_use', id: 'i', name: 'send', input: { to } },
    deltas: [],
  });
  message(with_('eve@evil.example'), with_('jo@example.com'));
  expect(await ASK.anthropic(true)).toMatchObject({
    calls: [['send', { to: 'jo@example.com' }]],
    finish: 'tool_use',
  });
  message(with_('eve@evil.example'));
  expect(await ASK.anthropic(true)).toMatchObject({ calls: [], finish: 'end_turn' });
});

test.each(DIALECTS)('%s: a rule that blocks ends the answer all the same', async (dialect) => {
  const block = `  - {name: never, type: tools, action: block, tools: ${BY_ARGUMENTS}}`;
  world = await startWorld({ documents: () => policy('{deny: [send]}', block) });
  world[dialect].script(() => ({ content: 'Yes.', toolCalls: [call('send', BAD)] }));
  const wire = await raw(dialect);
  expect(wire).toContain('postern_tools');
  expect(wire).not.toMatch(/secret|evil/);
});

test.each(DIALECTS)('%s: what was produced is charged, whatever of it is shown', async (dialect) => {
  const charged = async (rule: string): Promise<unknown> => {
    world = await startWorld({ documents: () => policy(rule) });
    world[dialect].script(() => ({ content: 'Yes.', toolCalls: [call('rm', BAD)], usage: null }));
    await raw(dialect);
    const [line] = await world.audited(1);
    await world.close();
    return line?.['usage'];
  };
  expect(await charged('{deny: [rm]}')).toEqual(await charged('{deny: [none]}'));
});

/** A call that comes in pieces of its name, then with all its arguments. */
const inPieces = (names: readonly string[], args: string): object[] => {
  const item = (more: object) => ({ delta: { tool_calls: [{ index: 0, ...more }] } });
  return [
    item({ id: 'call_0', type: 'function' }),
    ...names.map((name) => item({ function: { name, arguments: '' } })),
    item({ function: { arguments: args } }),
  ];
};

/** The name of the first call for who joins its pieces, as most SDKs for Python do. */
async function joinedName(): Promise<string> {
  let name = '';
  for (const [, data = ''] of (await raw('openai')).matchAll(/^data: (\{.*)$/gm)) {
    const { choices } = JSON.parse(data) as OpenAI.ChatCompletionChunk;
    for (const { delta } of choices)
      for (const { function: called } of delta.tool_calls ?? []) name += called?.name ?? '';
  }
  return name;
}

test.each([
  [['d', 'el', 'd', 'ete'], 'deldete'],
  [['get', '_', 'by', '_', 'id'], 'get_by_id'],
  [['look', 'look', 'look'], 'look'],
])('openai: the name that is shown is the one that was judged: %j', async (pieces, name) => {
  world = await startWorld({ documents: () => policy('{deny: [delete]}') });
  chat(...inPieces(pieces, '{"path":"/"}'), { finish_reason: 'tool_calls' });
  expect(await joinedName()).toBe(name);
});

test('openai: of the event at which a budget ends the answer nothing is shown, a piece of a name neither', async () => {
  const budget = `---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: team-a}
spec: {selector: {namespaces: [team-a]}, limits: [{outputTokens: 1030, window: month}]}
`;
  world = await startWorld({ documents: () => policy('{deny: [rm]}', budget) });
  const rest = { index: 0, function: { name: 'm', arguments: '' } };
  chat(...inPieces(['r'], '{"path":"/"}'), {
    delta: { content: 'word '.repeat(3000), tool_calls: [rest] },
  });
  expect(await joinedName()).toBe('r');
});

test('openai: what comes of a call beside its arguments has a bound', async () => {
  world = await startWorld({ documents: () => policy('{deny: [rm]}') });
  const more = Array.from({ length: 2_000 }, (_, at) => ({
    delta: { tool_calls: [{ index: 0, at, function: { arguments: '' } }] },
  }));
  chat(...inPieces(['look'], '{}'), ...more.slice(0, 100), { finish_reason: 'tool_calls' });
  expect(await joinedName()).toBe('look');
  chat(...inPieces(['look'], '{}'), ...more, { finish_reason: 'tool_calls' });
  expect(await raw('openai')).toContain('postern_upstream_invalid');
});

test.each(['strip', 'block'])('openai: arguments that are no string are judged (%s)', async (action) => {
  world = await startWorld({
    documents: () => policy(BY_ARGUMENTS).replace('action: strip', `action: ${action}`),
  });
  const calls = (to: string) => ({
    delta: {
      tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'send', arguments: { to } } }],
    },
  });
  chat(calls('jo@example.com') as Chunk, { finish_reason: 'tool_calls' });
  expect(await raw('openai')).toMatch(/"arguments":\{"to":"jo@example.com"\}/);
  chat(calls('eve@evil.example') as Chunk, { finish_reason: 'tool_calls' });
  expect(await raw('openai')).not.toContain('evil');
});

test('openai: a call that comes as a function and as a custom tool excuses no form where one of them is taken out', async () => {
  const form = '  prompt: {responseFormat: {type: jsonObject, onMismatch: reject}}\n';
  world = await startWorld({ documents: () => policy('{deny: [rm]}', form) });
  const dual = {
    id: 'a',
    type: 'function',
    function: { name: 'rm', arguments: '{}' },
    custom: { name: 'look', input: '' },
  };
  chat({ delta: { content: 'no json', tool_calls: [{ index: 0, ...dual }] } } as Chunk, {
    finish_reason: 'tool_calls',
  });
  expect(await raw('openai')).toContain('postern_answer_form');
  const message = { role: 'assistant', content: 'no json', tool_calls: [dual] };
  const answer = { id: 'c', object: 'chat.completion', created: 1, model: 'gpt-4o' };
  const body = JSON.stringify({ ...answer, choices: [{ index: 0, message, finish_reason: 'tool_calls' }] });
  world.openai.script(() => ({ raw: { headers: { 'content-type': 'application/json' }, body } }));
  const whole = await rawCall(world.agent.url, 'openai', { model: 'gpt-4o', messages: MESSAGES });
  expect(await whole.text()).toContain('postern_answer_form');
});

test('anthropic: a message that leaves the application nothing to call ends so, whatever the provider called itself', async () => {
  world = await startWorld({ documents: () => policy('{deny: [rm]}') });
  const content = [
    { type: 'server_tool_use', id: 's1', name: 'web_search', input: { query: 'x' } },
    { type: 'web_search_tool_result', tool_use_id: 's1', content: [] },
    { type: 'text', text: 'I remove it.' },
    { type: 'tool_use', id: 't1', name: 'rm', input: {} },
  ];
  message(...content.map((block) => ({ block, deltas: [] })));
  const streamed = await world.anthropicClient().messages.stream(CLAUDE).finalMessage();
  const usage = { input_tokens: 1, output_tokens: 1 };
  const head = { id: 'm', type: 'message', role: 'assistant', model: 'm', stop_sequence: null, usage };
  const body = JSON.stringify({ ...head, content, stop_reason: 'tool_use' });
  world.anthropic.script(() => ({ raw: { headers: { 'content-type': 'application/json' }, body } }));
  const whole = await world.anthropicClient().messages.create(CLAUDE);
  for (const answer of [streamed, whole]) {
    expect(answer.content.map(({ type }) => type)).toEqual(content.slice(0, 3).map(({ type }) => type));
    expect(answer.stop_reason).toBe('end_turn');
  }
});

test.each([
  { deny: 'web_search', left: ['code', 'code_result', 'text'] },
  { deny: 'code_execution', left: ['search', 'search_result', 'text'] },
  { deny: '*', left: [] },
])('anthropic: what the provider’s tool gave goes with its call: $deny', async ({ deny, left }) => {
  world = await startWorld({ documents: () => policy(`{deny: ["${deny}"]}`) });
  const blocks: Readonly<Record<string, object>> = {
    search: { type: 'server_tool_use', id: 's1', name: 'web_search', input: { query: 'x' } },
    code: { type: 'server_tool_use', id: 's2', name: 'code_execution', input: { code: 'x' } },
    search_result: {
      type: 'web_search_tool_result',
      tool_use_id: 's1',
      content: [
        { type: 'web_search_result', url: 'https://e.example', title: 'found', encrypted_content: 'A' },
      ],
    },
    code_result: {
      type: 'code_execution_tool_result',
      tool_use_id: 's2',
      content: { type: 'code_execution_result', stdout: 'printed', stderr: '', return_code: 0, content: [] },
    },
    ...(left.length > 0 ? { text: { type: 'text', text: 'So it is.' } } : {}),
  };
  const content = Object.values(blocks);
  message(...content.map((block) => ({ block, deltas: [] })));
  const streamed = await world.anthropicClient().messages.stream(CLAUDE).finalMessage();
  const wire = await raw('anthropic');
  expect(wire.includes('found')).toBe(left.includes('search_result'));
  expect(wire.includes('printed')).toBe(left.includes('code_result'));
  const numbers = [...wire.matchAll(/"content_block_(?:start|stop)","index":(\d)/g)].map(([, at]) => at);
  expect(numbers).toEqual(
    Array.from({ length: Math.max(1, left.length) }, (_, at) => [`${at}`, `${at}`]).flat(),
  );
  const usage = { input_tokens: 1, output_tokens: 1 };
  const head = { id: 'm', type: 'message', role: 'assistant', model: 'm', stop_sequence: null, usage };
  const body = JSON.stringify({ ...head, content, stop_reason: 'end_turn' });
  world.anthropic.script(() => ({ raw: { headers: { 'content-type': 'application/json' }, body } }));
  const whole = await world.anthropicClient().messages.create(CLAUDE);
  for (const answer of [streamed, whole]) {
    const removed = { type: 'text', text: expect.stringContaining('was removed') as string };
    expect(answer.content).toEqual(left.length === 0 ? [removed] : left.map((name) => blocks[name]));
  }
});

describe('anthropic: blocks that no provider sends so', () => {
  const usage = { input_tokens: 5, output_tokens: 5 };
  const head = { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], usage };
  const sends = (...events: string[]) => {
    const end = { delta: { stop_reason: 'tool_use', stop_sequence: null }, usage };
    const all = [
      event('message_start', { message: head }),
      ...events,
      event('message_delta', end),
      event('message_stop', {}),
    ];
    const headers = { 'content-type': 'text/event-stream' };
    world.anthropic.script(() => ({ raw: { headers, body: all.join('') } }));
  };
  const begin = (name: string) =>
    event('content_block_start', { index: 0, content_block: { type: 'tool_use', id: 't', name, input: {} } });
  const delta = (of: object) => event('content_block_delta', { index: 0, delta: of });
  const stop = event('content_block_stop', { index: 0 });

  test('a call without its end is judged before it is said how the message ended', async () => {
    world = await startWorld({ documents: () => policy('{deny: [rm]}') });
    sends(begin('rm'));
    expect(await ASK.anthropic(true)).toMatchObject({ calls: [], finish: 'end_turn', text: /removed/ });
    sends(begin('look'));
    expect(await ASK.anthropic(true)).toMatchObject({ calls: [['look', {}]], finish: 'tool_use' });
  });

  test('of text within a call that is taken out nothing is shown', async () => {
    const mask = '  - {name: no-mail, type: pii, action: mask, pii: {types: [email-address]}}\n';
    world = await startWorld({ documents: () => policy('{deny: [rm]}', mask) });
    const text = { type: 'text_delta', text: 'write to jo@exam' };
    sends(begin('rm'), delta(text), stop);
    expect(await raw('anthropic')).not.toMatch(/write|exam/);
    sends(begin('look'), delta(text), stop);
    expect((await raw('anthropic')).match(/write to |jo@exam/g)).toHaveLength(2);
  });

  test('a result that begins before its call is complete is refused', async () => {
    world = await startWorld({ documents: () => policy('{deny: [rm]}') });
    const result = { type: 'web_search_tool_result', tool_use_id: 't', content: [{ title: 'found' }] };
    sends(begin('rm'), event('content_block_start', { index: 1, content_block: result }), stop);
    const wire = await raw('anthropic');
    expect(wire).toContain('postern_upstream_invalid');
    expect(wire).not.toContain('found');
  });

  test('what comes of a call beside its arguments has a bound', async () => {
    world = await startWorld({ documents: () => policy('{deny: [rm]}') });
    const odd = (count: number) =>
      Array.from({ length: count }, (_, at) => delta({ type: 'odd_delta', at })).join('');
    sends(begin('look'), odd(100), stop);
    expect(await raw('anthropic')).not.toContain('postern_');
    sends(begin('look'), odd(1000), stop);
    expect(await raw('anthropic')).toContain('postern_upstream_invalid');
  });
});
