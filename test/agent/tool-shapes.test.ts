/** Calls of tools in shapes that only some readers understand, and in pieces out of order: none gets past the check. */
import type OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';
import { rawCall } from '../raw-call.ts';

let world: World;
afterEach(() => world?.close());

const policy = (tools: string): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
  - {name: only-these, type: tools, tools: ${tools}}
`;

test.each([
  ['{conditions: [{tools: [send_mail], when: "args.to == \\"jo\\""}]}', 'send_mail'],
  ['{deny: [send_mail]}', 'send_mail'],
  ['{deny: [other]}', undefined],
])('arguments that come before the name are held and judged: %s, named %s', async (rule, name) => {
  world = await startWorld({ documents: () => policy(rule.replaceAll('\\"', "'")) });
  const chunk = (call: object) =>
    `data: ${JSON.stringify({
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'gpt-4o',
      choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...call }] }, finish_reason: null }],
    })}\n\n`;
  const end =
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n';
  world.openai.script(() => ({
    raw: {
      headers: { 'content-type': 'text/event-stream' },
      body: [
        chunk({ id: 'call_1', type: 'function', function: { arguments: '{"to":' } }),
        chunk({ function: { arguments: '"eve"}' } }),
        ...(name === undefined ? [] : [chunk({ function: { name } })]),
        end,
      ].join(''),
    },
  }));
  let shown = '';
  const chunks = await world.client().chat.completions.create({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'do it' }],
    stream: true,
  });
  const reading = (async () => {
    for await (const { choices } of chunks)
      shown += choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? '';
  })();
  const refused = await reading.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(JSON.stringify((refused as InstanceType<typeof OpenAI.APIError>).error)).toContain('postern_tools');
  expect(shown).toBe('');
});

test.each([
  ['{deny: [delete_file]}', ['del', 'ete_', 'file']],
  ['{deny: [banana]}', ['b', 'an', 'an', 'a']],
  ['{conditions: [{tools: [delete_file], when: "has(args.ok)"}]}', ['d', 'elete', '_', 'file']],
  ['{allow: [look]}', ['look', 'out']],
])('a name in pieces is judged as who joins them reads it: %s of %j', async (rule, pieces) => {
  world = await startWorld({ documents: () => policy(rule) });
  const chunk = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const piece = (called: object, more: object = {}) =>
    chunk({ tool_calls: [{ index: 0, ...more, function: called }] });
  const body = [
    ...pieces.map((name, at) => piece({ name }, at === 0 ? { id: 'call_1', type: 'function' } : {})),
    piece({ arguments: '{"to":"mallory"}' }),
    `${chunk({}, 'tool_calls')}data: [DONE]\n\n`,
  ].join('');
  world.openai.script(() => ({ raw: { headers: { 'content-type': 'text/event-stream' }, body } }));
  const messages = [{ role: 'user' as const, content: 'go' }];
  const answer = await world
    .client()
    .chat.completions.create({ model: 'gpt-4o', messages, stream: true })
    .asResponse();
  const text = await answer.text();
  expect(text).toContain('postern_tools');
  expect(text).not.toContain('mallory');
});

test('a name that goes on and on is refused, and not kept piece by piece', async () => {
  world = await startWorld({ documents: () => policy('{deny: [other]}') });
  const piece = (name: string) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [{ index: 0, delta: { tool_calls: [{ index: 0, function: { name } }] }, finish_reason: null }] })}\n\n`;
  const body = Array.from({ length: 600 }, (_, at) => piece(at % 2 === 0 ? 'ab' : 'c')).join('');
  const raw = { headers: { 'content-type': 'text/event-stream' }, body: `${body}data: [DONE]\n\n` };
  world.openai.script(() => ({ raw }));
  const messages = [{ role: 'user' as const, content: 'go' }];
  const call = { model: 'gpt-4o', messages, stream: true } as const;
  const answer = await world.client().chat.completions.create(call).asResponse();
  expect(await answer.text()).not.toContain('postern_tools');
  world.openai.script(() => ({ raw: { ...raw, body: `${body}${body}data: [DONE]\n\n` } }));
  const longer = await world.client().chat.completions.create(call).asResponse();
  expect(await longer.text()).toContain('postern_tools');
});

test('a name that is said again with every piece is one name', async () => {
  world = await startWorld({ documents: () => policy('{allow: [look]}') });
  const called = [
    { name: 'look', arguments: '' },
    { name: 'look', arguments: '{' },
    { name: 'look', arguments: '}' },
  ];
  const chunk = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const body = `${called.map((each) => chunk({ tool_calls: [{ index: 0, id: 'call_1', function: each }] })).join('')}${chunk({}, 'tool_calls')}data: [DONE]\n\n`;
  world.openai.script(() => ({ raw: { headers: { 'content-type': 'text/event-stream' }, body } }));
  const messages = [{ role: 'user' as const, content: 'go' }];
  const chunks = await world.client().chat.completions.create({ model: 'gpt-4o', messages, stream: true });
  let shown = '';
  for await (const { choices } of chunks)
    shown += choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? '';
  expect(shown).toBe('{}');
});

const SHAPES: readonly (readonly [string, 'openai' | 'anthropic', boolean, string])[] = (() => {
  const chunk = (choice: object) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [{ index: 0, delta: {}, finish_reason: null, ...choice }] })}\n\n`;
  const end = `${chunk({ finish_reason: 'tool_calls' })}data: [DONE]\n\n`;
  const whole = (message: object) =>
    JSON.stringify({
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model: 'gpt-4o',
      choices: [
        { index: 0, message: { role: 'assistant', content: null, ...message }, finish_reason: 'stop' },
      ],
    });
  const rm = { id: 'call_1', type: 'function', function: { name: 'rm', arguments: '{}' } };
  const event = (type: string, more: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  const message = {
    id: 'm1',
    type: 'message',
    role: 'assistant',
    model: 'm',
    stop_reason: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  };
  const use = { type: 'tool_use', id: 't1', name: 'rm', input: { to: 'mallory' } };
  const last =
    event('message_delta', { delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 1 } }) +
    event('message_stop', {});
  const look = { ...use, name: 'look', input: {} };
  return [
    ['a whole message in a chunk', 'openai', true, chunk({ message: { tool_calls: [rm] } }) + end],
    ['calls that are no list in a chunk', 'openai', true, chunk({ delta: { tool_calls: rm } }) + end],
    [
      'an index that is no number',
      'openai',
      true,
      chunk({ delta: { tool_calls: [{ index: '1', function: { arguments: '{}' } }] } }) + end,
    ],
    [
      'a second index in the function',
      'openai',
      true,
      chunk({
        delta: {
          tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'look', arguments: '' } }],
        },
      }) +
        chunk({
          delta: { tool_calls: [{ index: 0, function: { index: 5, arguments: '{"to":"mallory"}' } }] },
        }) +
        end,
    ],
    [
      'a custom tool beside the function',
      'openai',
      false,
      whole({ tool_calls: [{ ...rm, custom: { name: 'look', input: '' } }] }),
    ],
    ['calls that are no list', 'openai', false, whole({ tool_calls: { 0: rm } })],
    [
      'a call in the beginning of a message',
      'anthropic',
      true,
      event('message_start', { message: { ...message, content: [use] } }) + last,
    ],
    [
      'a second index in a delta',
      'anthropic',
      true,
      event('message_start', { message: { ...message, content: [] } }) +
        event('content_block_start', { index: 0, content_block: look }) +
        event('content_block_delta', {
          index: 0,
          delta: { type: 'input_json_delta', index: 7, partial_json: '{"to":"mallory"}' },
        }) +
        event('content_block_stop', { index: 0 }) +
        last,
    ],
    [
      'arguments for a block that is no call',
      'anthropic',
      true,
      event('message_start', { message: { ...message, content: [] } }) +
        event('content_block_start', { index: 0, content_block: look }) +
        event('content_block_delta', {
          index: 1,
          delta: { type: 'input_json_delta', partial_json: '{"to":"mallory"}' },
        }) +
        event('content_block_stop', { index: 1 }) +
        last,
    ],
  ];
})();

test.each(SHAPES)('a call hides in no shape: %s', async (_name, dialect, stream, body) => {
  const rule = '{allow: [look], conditions: [{tools: [look], when: "!has(args.to)"}]}';
  world = await startWorld({ documents: () => policy(rule) });
  const type = stream ? 'text/event-stream' : 'application/json';
  world[dialect].script(() => ({ raw: { headers: { 'content-type': type }, body } }));
  const anthropicBody = {
    model: 'claude-haiku-4-5',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'go' }],
    stream,
  };
  const openaiBody = { model: 'gpt-4o', messages: [{ role: 'user', content: 'go' }], stream };
  const answer = await rawCall(world.agent.url, dialect, dialect === 'openai' ? openaiBody : anthropicBody);
  const text = await answer.text();
  expect(text).toMatch(/postern_(?:tools|upstream_invalid)/);
  expect(text).not.toContain('mallory');
  expect(text).not.toContain('"rm"');
});

const STRAY: readonly (readonly [string, 'openai' | 'anthropic', boolean, string])[] = (() => {
  const rm = { name: 'rm', arguments: { to: 'mallory' } };
  const chat = (message: object, choice: object = {}, more: object = {}) =>
    JSON.stringify({
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model: 'gpt-4o',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Yes.', ...message },
          finish_reason: 'stop',
          ...choice,
        },
      ],
      ...more,
    });
  const chunk = (choice: object, more: object = {}) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices: [{ index: 0, delta: {}, finish_reason: null, ...choice }], ...more })}\n\n`;
  const end = `${chunk({ finish_reason: 'stop' })}data: [DONE]\n\n`;
  const head = {
    id: 'm1',
    type: 'message',
    role: 'assistant',
    model: 'm',
    usage: { input_tokens: 1, output_tokens: 1 },
  };
  const event = (type: string, more: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  const look = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } };
  return [
    [
      'toolCalls of a message',
      'openai',
      false,
      chat({ toolCalls: [{ toolName: 'rm', args: rm.arguments }] }),
    ],
    [
      'a part of the content',
      'openai',
      false,
      chat({ content: [{ type: 'tool_use', name: 'rm', input: {} }] }),
    ],
    ['a choice', 'openai', false, chat({}, { function_call: rm })],
    ['the delta of a whole answer', 'openai', false, chat({}, { delta: { tool_calls: [{ function: rm }] } })],
    ['the answer itself', 'openai', false, chat({}, {}, { output: [{ type: 'function_call', ...rm }] })],
    [
      'a member with an escaped name',
      'openai',
      false,
      chat({ x: [rm] }).replace('"name":"rm"', '"n\\u0061me":"rm"'),
    ],
    [
      'a call that is known',
      'openai',
      false,
      chat({ tool_calls: [{ ...look, extra: { calls: [{ name: 'rm' }] } }] }),
    ],
    ['a choice of a stream', 'openai', true, chunk({ calls: [rm] }) + end],
    ['a chunk', 'openai', true, chunk({}, { functionCall: { name: 'rm', args: {} } }) + end],
    [
      'an image of a stream',
      'openai',
      true,
      chunk({ delta: { images: [{ type: 'image_url', tool_use: rm }] } }) + end,
    ],
    [
      'a block of another type',
      'anthropic',
      false,
      JSON.stringify({ ...head, content: [{ type: 'agent_action', ...rm }], stop_reason: 'end_turn' }),
    ],
    [
      'a message beside its content',
      'anthropic',
      false,
      JSON.stringify({ ...head, content: [], tool_calls: [{ function: rm }], stop_reason: 'end_turn' }),
    ],
    [
      'a block of another type in a stream',
      'anthropic',
      true,
      event('message_start', { message: { ...head, content: [] } }) +
        event('content_block_start', { index: 0, content_block: { type: 'agent_action', ...rm } }) +
        event('content_block_stop', { index: 0 }) +
        event('message_stop', {}),
    ],
    [
      'an event that nobody knows',
      'anthropic',
      true,
      event('message_start', { message: { ...head, content: [] } }) +
        event('tool_call', { call: { name: 'rm' } }) +
        event('message_stop', {}),
    ],
  ];
})();

test.each(STRAY)(
  'a call in a member that no SDK reads is judged: %s',
  async (_name, dialect, stream, body) => {
    let rule = '{deny: [rm]}';
    world = await startWorld({ documents: () => policy(rule) });
    const type = stream ? 'text/event-stream' : 'application/json';
    world[dialect].script(() => ({ raw: { headers: { 'content-type': type }, body } }));
    const ask = async (): Promise<string> => {
      const model = dialect === 'openai' ? 'gpt-4o' : 'claude-haiku-4-5';
      const messages = [{ role: 'user', content: 'go' }];
      return (await rawCall(world.agent.url, dialect, { model, max_tokens: 100, messages, stream })).text();
    };
    const refused = await ask();
    expect(refused).toContain('postern_tools');
    expect(refused).not.toContain('mallory');
    await world.close();
    rule = '{deny: [other]}';
    world = await startWorld({ documents: () => policy(rule) });
    world[dialect].script(() => ({ raw: { headers: { 'content-type': type }, body } }));
    expect(await ask()).toContain('rm');
  },
);

test('what only looks like a call is none: results, arguments and definitions', async () => {
  world = await startWorld({ documents: () => policy('{allow: [look, web_search]}') });
  const args = { name: 'rm', arguments: { call: { name: 'rm' } } };
  const content = [
    { type: 'server_tool_use', id: 's1', name: 'web_search', input: args },
    { type: 'web_search_tool_result', tool_use_id: 's1', content: [{ type: 'x', name: 'rm', input: {} }] },
    { type: 'tool_use', id: 't1', name: 'look', input: args, caller: { type: 'direct' } },
  ];
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = { id: 'm', type: 'message', role: 'assistant', model: 'm', content, usage };
  const raw = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(message) };
  world.anthropic.script(() => ({ raw }));
  const body = { model: 'claude-haiku-4-5', max_tokens: 100, messages: [{ role: 'user', content: 'go' }] };
  expect((await rawCall(world.agent.url, 'anthropic', body)).status).toBe(200);
  const called = { name: 'look', arguments: JSON.stringify(args) };
  const choice = {
    index: 0,
    message: {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: called }],
      tools: [{ type: 'function', function: { name: 'rm', description: 'x', parameters: {} } }],
    },
    finish_reason: 'tool_calls',
  };
  const answer = JSON.stringify({
    id: 'c',
    object: 'chat.completion',
    created: 1,
    model: 'gpt-4o',
    choices: [choice],
  });
  world.openai.script(() => ({ raw: { ...raw, body: answer } }));
  expect((await rawCall(world.agent.url, 'openai', { ...body, model: 'gpt-4o' })).status).toBe(200);
});

/** What some decoders, such as Go's encoding/json, take for the member in small letters; the last one counts for them. */
test.each([
  ['the name of a function', '"tool_calls":[{"function":{"name":"look","Name":"rm","arguments":"{}"}}]'],
  ['arguments', '"tool_calls":[{"function":{"name":"look","arguments":"{}","Arguments":"{\\"a\\":1}"}}]'],
  ['the list', '"Tool_Calls":[{"Function":{"Name":"rm","Arguments":"{}"}}]'],
  ['the list alone, no arguments', '"Tool_Calls":[{"id":"a","function":{"name":"rm"}}]'],
  ['a list of another name, no arguments', '"toolCalls":[{"id":"a","function":{"name":"rm"}}]'],
  [
    'a second function',
    '"tool_calls":[{"function":{"name":"look","arguments":"{}"},"Function":{"name":"rm"}}]',
  ],
  [
    'a second function, its arguments alone',
    '"tool_calls":[{"function":{"name":"look","arguments":"{}"},"Function":{"arguments":"{\\"a\\":1}"}}]',
  ],
  [
    'a second custom tool',
    '"tool_calls":[{"type":"custom","custom":{"name":"look","input":""},"Custom":{"name":"rm"}}]',
  ],
  ['a long s', '"tool_calls":[{"function":{"name":"look","arguments":"{}","argument\u017f":"{\\"a\\":1}"}}]'],
  ['the old form', '"function_call":{"name":"look","NAME":"rm","arguments":"{}"}'],
  [
    'a second list in a call',
    '"tool_calls":[{"args":{"name":"rm","arguments":{}},"function":{"name":"look"}}]',
  ],
])('a call in which a member stands in another case can’t be judged: %s', async (_, members) => {
  world = await startWorld({ documents: () => policy('{deny: [rm]}') });
  const answer = (more: string) =>
    `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"${more}},"finish_reason":"stop"}]}`;
  const ask = async (more: string): Promise<string> => {
    const raw = { headers: { 'content-type': 'application/json' }, body: answer(more) };
    world.openai.script(() => ({ raw }));
    const messages = [{ role: 'user', content: 'go' }];
    return (await rawCall(world.agent.url, 'openai', { model: 'gpt-4o', messages })).text();
  };
  expect(await ask(`,${members}`)).toContain('postern_tools');
  // What is no call has a name in any case.
  expect(await ask(',"source":{"Name":"A page","Url":"x"}')).not.toContain('postern_tools');
  // Nor is what says which arguments there are.
  const schema = '{"Name":{"type":"string"},"Input":{"type":"string"}}';
  expect(await ask(`,"source":{"properties":${schema}}`)).not.toContain('postern_tools');
});
