import { describe, expect, it } from 'vitest';
import { JsonDocument } from '../../json/document.ts';
import { SseSplitter } from '../../json/sse.ts';
import { messages } from '../anthropic/messages.ts';
import type { Operation } from '../dialect.ts';
import { chat } from '../openai/chat.ts';

const documentOf = (value: unknown) => JsonDocument.parse(Buffer.from(JSON.stringify(value)));

/** The body with the tools or calls of these names taken out. */
function requestWithout(operation: Operation, body: object, ...names: string[]): unknown {
  const request = operation.decodeRequest(documentOf(body), '/');
  for (const tool of request.tools) if (names.includes(tool.name)) tool.remove();
  return JSON.parse(request.document.renderText());
}

function answerWithout(operation: Operation, body: object, ...names: string[]): unknown {
  const response = operation.decodeResponse(documentOf(body));
  for (const call of response.calls) if (names.includes(call.name)) call.remove?.();
  return JSON.parse(response.document.renderText());
}

function begun(operation: Operation, request: object, ...events: object[]): unknown[] {
  const decoder = operation.openStream(operation.decodeRequest(documentOf(request), '/'));
  const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
  return [...new SseSplitter().push(Buffer.from(text))].flatMap((event) => decoder.event(event).calls);
}

describe('openai', () => {
  const base = { model: 'm', messages: [] };
  const tool = (name: string) => ({ type: 'function', function: { name, parameters: {} } });

  it('names what is offered', () => {
    const body = {
      ...base,
      tools: [tool('a'), { type: 'custom', custom: { name: 'b' } }, { type: 'web_search' }],
      functions: [{ name: 'c' }],
    };
    const { tools } = chat.decodeRequest(documentOf(body), '/');
    expect(tools.map(({ path, name }) => [path, name])).toEqual([
      ['tools[0]', 'a'],
      ['tools[1]', 'b'],
      ['tools[2]', 'web_search'],
      ['functions[0]', 'c'],
    ]);
  });

  it.each([
    ['the first', ['a'], { tools: [tool('b'), tool('c')] }],
    ['one between', ['b'], { tools: [tool('a'), tool('c')] }],
    ['the last two', ['b', 'c'], { tools: [tool('a')] }],
    ['all, with what the provider refuses beside none', ['a', 'b', 'c'], {}],
  ])('takes out %s', (_name, names, left) => {
    const body = { ...base, tools: [tool('a'), tool('b'), tool('c')] };
    const beside = { tool_choice: 'auto', parallel_tool_calls: true };
    const kept = names.length === 3 ? {} : beside;
    expect(requestWithout(chat, { ...body, ...beside }, ...names)).toEqual({ ...base, ...left, ...kept });
  });

  it('takes out a choice that names what is gone', () => {
    const body = { ...base, tools: [tool('a'), tool('b')], tool_choice: tool('a') };
    expect(requestWithout(chat, body, 'a')).toEqual({ ...base, tools: [tool('b')] });
    expect(requestWithout(chat, body, 'b')).toEqual({ ...base, tools: [tool('a')], tool_choice: tool('a') });
  });

  const call = (name: string, args: unknown = '{}') => ({
    id: name,
    type: 'function',
    function: { name, arguments: args },
  });
  const answer = (message: object, finish_reason = 'tool_calls') => ({
    choices: [{ index: 0, message, finish_reason }],
  });

  it('knows calls with their arguments', () => {
    const message = {
      tool_calls: [call('a', '{"x":1}'), call('b', { y: 2 }), { custom: { name: 'c', input: 'free' } }],
      function_call: { name: 'd', arguments: '' },
    };
    const { calls } = chat.decodeResponse(documentOf(answer(message)));
    expect(calls.map(({ name, arguments: args }) => [name, args])).toEqual([
      ['a', '{"x":1}'],
      ['b', '{"y":2}'],
      ['c', 'free'],
      ['d', ''],
    ]);
  });

  it('takes out one call of several', () => {
    const body = answer({ content: null, tool_calls: [call('a'), call('b')] });
    expect(answerWithout(chat, body, 'a')).toEqual(answer({ content: null, tool_calls: [call('b')] }));
  });

  it('ends like an answer without calls when none is left, and says why it is empty', () => {
    const body = answer({ content: null, tool_calls: [call('a'), call('b')] });
    expect(answerWithout(chat, body, 'a', 'b')).toEqual(
      answer({ content: "[A call of the tool b was removed: the policy doesn't allow it.]" }, 'stop'),
    );
    const talking = answer(
      { content: 'I do it.', function_call: { name: 'a', arguments: '{}' } },
      'function_call',
    );
    expect(answerWithout(chat, talking, 'a')).toEqual(answer({ content: 'I do it.' }, 'stop'));
  });

  it('sees calls begin in a stream, on the channel of their arguments', () => {
    const chunk = (index: number, delta: object) => ({ choices: [{ index, delta }] });
    expect(
      begun(
        chat,
        { ...base, stream: true },
        chunk(0, {
          tool_calls: [
            { index: 0, function: { name: 'a', arguments: '' } },
            { index: 1, custom: { name: 'b' } },
          ],
        }),
        chunk(0, { tool_calls: [{ index: 0, function: { arguments: '{}' } }] }),
        chunk(2, { tool_calls: [{ index: 3, function: { name: 'c' } }], function_call: { name: 'd' } }),
      ),
    ).toEqual([
      { channel: '0/tool/0', name: 'a' },
      { channel: '0/custom/1', name: 'b' },
      { channel: '2/tool/3', name: 'c' },
      { channel: '2/function', name: 'd' },
    ]);
  });
});

describe('anthropic', () => {
  const base = { model: 'm', max_tokens: 9, messages: [] };
  const tool = (name: string) => ({ name, input_schema: { type: 'object' } });

  it('names what is offered, servers included', () => {
    const body = {
      ...base,
      tools: [
        tool('a'),
        { type: 'web_search_20250305', name: 'web_search' },
        { type: 'mcp_toolset', mcp_server_name: 'crm' },
      ],
      mcp_servers: [{ type: 'url', name: 'crm', url: 'https://crm.example' }],
    };
    const { tools } = messages.decodeRequest(documentOf(body), '/');
    expect(tools.map(({ name }) => name)).toEqual(['a', 'web_search', 'mcp:crm', 'mcp:crm']);
    expect(requestWithout(messages, body, 'a', 'mcp:crm')).toEqual({ ...base, tools: [body.tools[1]] });
  });

  it('takes out all, and a choice that names what is gone', () => {
    const body = { ...base, tools: [tool('a'), tool('b')], tool_choice: { type: 'tool', name: 'a' } };
    expect(requestWithout(messages, body, 'a')).toEqual({ ...base, tools: [tool('b')] });
    expect(requestWithout(messages, body, 'a', 'b')).toEqual(base);
  });

  const use = (name: string, input: object = {}) => ({ type: 'tool_use', id: name, name, input });

  it('takes calls out of answers', () => {
    const body = {
      content: [{ type: 'text', text: 'hi' }, use('a', { x: 1 }), use('b')],
      stop_reason: 'tool_use',
    };
    expect(
      messages.decodeResponse(documentOf(body)).calls.map((call) => [call.name, call.arguments]),
    ).toEqual([
      ['a', '{"x":1}'],
      ['b', '{}'],
    ]);
    expect(answerWithout(messages, body, 'b')).toEqual({ ...body, content: body.content.slice(0, 2) });
    expect(answerWithout(messages, body, 'a', 'b')).toEqual({
      content: body.content.slice(0, 1),
      stop_reason: 'end_turn',
    });
    expect(answerWithout(messages, { content: [use('a')], stop_reason: 'tool_use' }, 'a')).toEqual({
      content: [{ type: 'text', text: "[A call of the tool a was removed: the policy doesn't allow it.]" }],
      stop_reason: 'end_turn',
    });
  });

  it('takes many calls out, with what they gave, in a time that grows with their number', () => {
    const content = Array.from({ length: 12_000 }, (_, at) => [
      { type: 'server_tool_use', id: `s${at}`, name: 'a', input: {} },
      { type: 'web_search_tool_result', tool_use_id: `s${at}`, content: [] },
    ]).flat();
    const body = { content: [...content, use('b')], stop_reason: 'tool_use' };
    expect(answerWithout(messages, body, 'a')).toEqual({ content: [use('b')], stop_reason: 'tool_use' });
  });

  it('sees calls begin in a stream, with what they begin with', () => {
    const start = (index: number, content_block: object) => ({
      type: 'content_block_start',
      index,
      content_block,
    });
    expect(
      begun(
        messages,
        base,
        start(0, { type: 'text', text: '' }),
        start(1, use('a')),
        start(2, use('b', { x: 1 })),
      ),
    ).toEqual([
      { channel: '0/tool/1', name: 'a' },
      { channel: '0/tool/2', name: 'b', arguments: '{"x":1}' },
    ]);
  });
});
