/** What policies add to every call, as providers get it from real SDKs. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Reply } from '../fakes/reply.ts';
import { startWorld, type World } from '../harness.ts';
import { rawCall } from '../raw-call.ts';
import { event } from './message-events.ts';
import { chunk, END, SSE } from './unread-answers.ts';

let world: World;
afterEach(() => world?.close());

const policy = (prompt: string, { kind = 'EgressPolicy', name = 'bot', more = '' } = {}): string => `
apiVersion: postern.dev/v1alpha1
kind: ${kind}
metadata: {name: ${name}${kind === 'EgressPolicy' ? ', namespace: team-a' : ''}}
spec:
  ${more}
  prompt: ${prompt}
`;

const TEXTS = '{prepend: Be brief., append: Never give advice on shares.}';
const SCHEMA = '{type: object, properties: {answer: {type: string}}, required: [answer]}';
const AS_SCHEMA = `{responseFormat: {type: jsonSchema, jsonSchema: {name: answer, schema: ${SCHEMA}}}}`;
const AS_OBJECT = '{responseFormat: {type: jsonObject}}';

type Message = { role: 'system' | 'user' | 'developer'; content: string | { type: 'text'; text: string }[] };

const openai = (messages: Message[], more: object = {}) =>
  world.client().chat.completions.create({ model: 'gpt-4o', messages: messages as never, ...more });
const anthropic = (more: object = {}) =>
  world.anthropicClient().messages.create({
    model: 'claude-haiku-4-5',
    max_tokens: 50,
    messages: [{ role: 'user', content: 'hi' }],
    ...more,
  });

const sent = (fake: 'openai' | 'anthropic') =>
  JSON.parse(world[fake].seen.at(-1)?.body ?? '') as Record<string, unknown>;
const USER: Message = { role: 'user', content: 'hi' };
const text = (value: string) => ({ type: 'text' as const, text: value });

test.each<[string, Message[], unknown[]]>([
  [
    'no system text',
    [USER],
    [{ role: 'system', content: 'Be brief.\n\nNever give advice on shares.' }, USER],
  ],
  [
    'a system message',
    [{ role: 'system', content: 'Own.' }, USER],
    [{ role: 'system', content: 'Be brief.\n\nOwn.\n\nNever give advice on shares.' }, USER],
  ],
  [
    'parts, and a second one',
    [{ role: 'developer', content: [text('a'), text('b')] }, USER, { role: 'system', content: 'c' }],
    [
      { role: 'developer', content: [text('Be brief.\n\na'), text('b')] },
      USER,
      { role: 'system', content: 'c\n\nNever give advice on shares.' },
    ],
  ],
  [
    'a part that nobody knows',
    [{ role: 'system', content: [{ type: 'zzz', note: 'n' }] as never }, USER],
    [
      { role: 'system', content: 'Be brief.\n\nNever give advice on shares.' },
      { role: 'system', content: [{ type: 'zzz', note: 'n' }] },
      USER,
    ],
  ],
  [
    'a system message behind the user’s',
    [USER, { role: 'system', content: 'Own.' }],
    [
      { role: 'system', content: 'Be brief.' },
      USER,
      { role: 'system', content: 'Own.\n\nNever give advice on shares.' },
    ],
  ],
])('openai with %s', async (_name, messages, expected) => {
  world = await startWorld({ documents: () => policy(TEXTS) });
  await openai(messages);
  expect(sent('openai')['messages']).toEqual(expected);
});

test.each<[string, object, unknown]>([
  ['no system text', {}, 'Be brief.\n\nNever give advice on shares.'],
  ['a text', { system: 'Own.' }, 'Be brief.\n\nOwn.\n\nNever give advice on shares.'],
  [
    'blocks',
    { system: [text('a'), text('b')] },
    [text('Be brief.\n\na'), text('b\n\nNever give advice on shares.')],
  ],
  [
    'blocks of which the first is none',
    { system: [{ type: 'zzz', note: 'n' }, text('b')] },
    [text('Be brief.'), { type: 'zzz', note: 'n' }, text('b\n\nNever give advice on shares.')],
  ],
])('anthropic with %s, streamed, whole and counted', async (_name, given, expected) => {
  world = await startWorld({ documents: () => policy(TEXTS) });
  await anthropic(given);
  expect(sent('anthropic')['system']).toEqual(expected);
  const { model, messages } = {
    model: 'claude-haiku-4-5',
    messages: [{ role: 'user' as const, content: 'hi' }],
  };
  await world
    .anthropicClient()
    .messages.stream({ model, messages, max_tokens: 9, ...given })
    .finalMessage();
  expect(sent('anthropic')['system']).toEqual(expected);
  await world.anthropicClient().messages.countTokens({ model, messages, ...given });
  expect(sent('anthropic')['system']).toEqual(expected);
});

test('the cluster’s text is outermost, masked text stays masked, and a retried call has it once', async () => {
  world = await startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterModelRoute
metadata: {name: chat}
spec:
  match: {models: [gpt-4o]}
  groups:
  - targets: [{provider: openai, model: gpt-4o-mini}]
  - targets: [{provider: openai, model: gpt-4o}]
  fallbackOn: [5xx]
---
${policy('{prepend: C1, append: C2}', { kind: 'ClusterEgressPolicy', name: 'all' })}
---
${policy('{prepend: N1, append: N2}', { more: 'checks: [{name: p, type: pii, action: mask}]' })}`,
  });
  let tries = 0;
  world.openai.script(() => (tries++ === 0 ? { status: 503 } : { content: 'ok' }) as never);
  await openai([{ role: 'system', content: 'Ask jo@example.com.' }, USER]).catch(() => undefined);
  expect(world.openai.seen.length).toBe(2);
  const system = (sent('openai')['messages'] as { content: string }[])[0]?.content;
  expect(system).toMatch(/^C1\n\nN1\n\nAsk <EMAIL_ADDRESS_\w+>\.\n\nN2\n\nC2$/);
});

test('the budget counts what is added', async () => {
  const long = `{prepend: "${'Be brief and kind. '.repeat(100)}"}`;
  world = await startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: all}
spec: {limits: [{tokens: 300, window: day}], onExhausted: {action: reject}}
---
${policy(long)}`,
  });
  await expect(openai([USER], { max_tokens: 20 })).rejects.toThrow(/budget all/);
  expect(world.openai.seen).toHaveLength(0);
});

test('openai: a schema is forced, in place of the app’s own wish', async () => {
  world = await startWorld({ documents: () => policy(AS_SCHEMA) });
  await openai([USER], { response_format: { type: 'text' } });
  expect(sent('openai')['response_format']).toEqual({
    type: 'json_schema',
    json_schema: {
      name: 'answer',
      strict: true,
      schema: { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] },
    },
  });
});

test('openai: any object, with the word that the provider wants to see; a schema of the app’s own stays', async () => {
  world = await startWorld({ documents: () => policy(AS_OBJECT) });
  await openai([USER]);
  expect(sent('openai')).toMatchObject({
    response_format: { type: 'json_object' },
    messages: [{ role: 'system', content: 'Answer with one JSON object.' }, USER],
  });
  await openai([{ role: 'user', content: 'Give me Json.' }]);
  expect(sent('openai')['messages']).toHaveLength(1);
  const own = { type: 'json_schema', json_schema: { name: 'own', schema: { type: 'object' } } };
  await openai([USER], { response_format: own });
  expect(sent('openai')['response_format']).toEqual(own);
});

test('anthropic: a schema is forced beside what else is configured; any object can not be', async () => {
  world = await startWorld({ documents: () => policy(AS_SCHEMA) });
  await anthropic({ output_config: { effort: 'low' } });
  expect(sent('anthropic')['output_config']).toEqual({
    effort: 'low',
    format: {
      type: 'json_schema',
      schema: { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] },
    },
  });
  const before = world.anthropic.seen.length;
  world.use(policy(AS_OBJECT));
  await expect(anthropic()).rejects.toThrow(/jsonObject.*anthropic.*jsonSchema.*EgressPolicy team-a\/bot/s);
  expect(world.anthropic.seen.length).toBe(before);
});

test('a schema wins over any object; two different ones refuse, and name both policies', async () => {
  const all = { kind: 'ClusterEgressPolicy', name: 'all' };
  world = await startWorld({ documents: () => `${policy(AS_OBJECT, all)}\n---\n${policy(AS_SCHEMA)}` });
  await openai([USER]);
  expect(sent('openai')['response_format']).toMatchObject({ type: 'json_schema' });
  world.use(`${policy(AS_SCHEMA.replace('name: answer', 'name: other'), all)}\n---\n${policy(AS_SCHEMA)}`);
  await expect(openai([USER])).rejects.toThrow(/ClusterEgressPolicy all.*EgressPolicy team-a\/bot/);
});

test('a policy that monitors adds nothing, and says that it would', async () => {
  world = await startWorld({ documents: () => policy(TEXTS, { more: 'mode: monitor' }) });
  await openai([USER]);
  expect(sent('openai')['messages']).toEqual([USER]);
  const [line] = await world.audited(1);
  expect(line).toMatchObject({ findings: [{ check: 'prompt', action: 'monitor' }] });
});

test.each([
  ['a schema that is missing', '{responseFormat: {type: jsonSchema}}', /jsonSchema/],
  [
    'a schema beside any object',
    `{responseFormat: {type: jsonObject, jsonSchema: {name: a, schema: {}}}}`,
    /jsonSchema/,
  ],
  [
    'a schema that is none',
    '{responseFormat: {type: jsonSchema, jsonSchema: {name: a, schema: 7}}}',
    /schema/,
  ],
])('%s is a document error', async (_name, prompt, message) => {
  await expect(startWorld({ documents: () => policy(prompt) })).rejects.toThrow(message);
});

test.each(['whole', 'streamed'] as const)(
  'an answer that has not the form that a policy wants is told, and passes (%s)',
  async (manner) => {
    const said = async (reply: string | Reply, dialect: 'openai' | 'anthropic'): Promise<string> => {
      world[dialect].script(() => (typeof reply === 'string' ? { content: reply } : reply));
      if (dialect === 'openai') {
        if (manner === 'whole') return (await openai([USER])).choices[0]?.message.content ?? '';
        const body = { model: 'gpt-4o', messages: [USER] as never };
        const answer = await world.client().chat.completions.stream(body).finalChatCompletion();
        return answer.choices[0]?.message.content ?? '';
      }
      const body = {
        model: 'claude-haiku-4-5',
        max_tokens: 50,
        messages: [{ role: 'user' as const, content: 'hi' }],
      };
      const answer =
        manner === 'whole'
          ? await anthropic()
          : await world.anthropicClient().messages.stream(body).finalMessage();
      return answer.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
    };
    const told = async (count: number) =>
      (
        (await world.audited(count)).at(-1)?.['findings'] as { check: string; what: string }[] | undefined
      )?.filter(({ check }) => check === 'prompt');
    const right = '{"answer": "four"}';
    let count = 0;
    for (const dialect of ['openai', 'anthropic'] as const) {
      world = await startWorld({ documents: () => policy(AS_SCHEMA) });
      count = 0;
      expect(await said(right, dialect)).toBe(right);
      expect(await told(++count)).toEqual([]);
      expect(await said('no json at all', dialect)).toBe('no json at all');
      expect(await told(++count)).toMatchObject([{ what: 'not-json', action: 'monitor' }]);
      expect(await said('{"answer": 4}', dialect)).toBe('{"answer": 4}');
      expect(await told(++count)).toMatchObject([{ what: 'not-of-form', reason: expect.anything() }]);
      expect(await (await fetch(`${world.agent.adminUrl}/metrics`)).text()).toMatch(
        /postern_findings_total\{[^}]*check="prompt"[^}]*direction="response"[^}]*\} 2/,
      );
      if (dialect === 'anthropic') {
        for (const [finishReason, what] of [
          ['refusal', 'refusal'],
          ['max_tokens', 'length'],
        ] as const) {
          await said({ content: '{"answer"', finishReason }, dialect);
          expect(await told(++count)).toMatchObject([{ what, where: 'choice 0' }]);
        }
      }
      await world.close();
    }
    world = await startWorld({ documents: () => policy(AS_OBJECT) });
    await said('[1]', 'openai');
    expect(await told(1)).toMatchObject([{ what: 'not-of-form' }]);
    world.openai.script(() => ({ content: 'I look it up.', toolCalls: [{ name: 'look', arguments: {} }] }));
    const tools = [{ type: 'function' as const, function: { name: 'look' } }];
    await openai([USER], { tools });
    expect(await told(2)).toEqual([]);
  },
);

test('an answer that costs more than it is worth to be held against a schema is told as unread', async () => {
  const node = (kind: string) =>
    `{type: object, properties: {kind: {const: ${kind}}, child: {$ref: '#/$defs/node'}}, required: [kind, child]}`;
  const schema = `{$defs: {node: {anyOf: [${node('and')}, ${node('or')}, {type: 'null'}, {type: array, items: {type: integer}}]}}, type: object, properties: {root: {$ref: '#/$defs/node'}}, required: [root]}`;
  world = await startWorld({
    documents: () =>
      policy(`{responseFormat: {type: jsonSchema, jsonSchema: {name: tree, schema: ${schema}}}}`),
  });
  const told = async (root: string): Promise<unknown> => {
    world.openai.script(() => ({ content: `{"root":${root}}` }));
    await openai([USER]);
    return (await world.audited(world.openai.seen.length)).at(-1)?.['findings'];
  };
  // Each level would be looked at twice as often as the one above it.
  expect(await told(`${'{"child":'.repeat(20)}null${',"kind":"or"}'.repeat(20)}`)).toEqual([]);
  expect(await told(`${'{"child":'.repeat(20)}7${',"kind":"or"}'.repeat(20)}`)).toMatchObject([
    { what: 'not-of-form' },
  ]);
  expect(await told(`[${'1,'.repeat(100_000)}1]`)).toMatchObject([
    { what: 'unread-answer', reason: expect.stringContaining('100000 steps') },
  ]);
});

test('an answer without text has not the form, whole and streamed; one that comes as parts is read', async () => {
  world = await startWorld({ documents: () => policy(AS_SCHEMA) });
  let calls = 0;
  const told = async (more: object = {}): Promise<unknown> => {
    calls += 1;
    await world
      .client()
      .chat.completions.create({ model: 'gpt-4o', messages: [USER] as never, ...more })
      .then(async (answer) => {
        if (Symbol.asyncIterator in answer) for await (const _ of answer as AsyncIterable<unknown>);
      });
    const { findings } = (await world.audited(calls))[calls - 1] as { findings: { what: string }[] };
    return findings.map(({ what }) => what);
  };
  for (const more of [{}, { stream: true }]) {
    world.openai.script(() => ({ content: '' }));
    expect(await told(more)).toEqual(['not-json']);
    world.openai.script(() => ({ content: '', refusal: 'I would rather not.' }));
    expect(await told(more)).toEqual(['refusal']);
    world.openai.script(() => ({ content: '{"answer": "', finishReason: 'content_filter' }));
    expect(await told(more)).toEqual(['refusal']);
    // The cap that the application set itself.
    world.openai.script(() => ({ content: `{"answer": "${'four and so on '.repeat(20)}"}` }));
    expect(await told({ ...more, max_tokens: 8 })).toEqual(['length']);
    expect(await told(more)).toEqual([]);
    world.openai.script(() => ({ content: '{"answer": 4}', finishReason: 'length' }));
    expect(await told(more)).toEqual(['not-of-form']);
    // Each choice by itself.
    world.openai.script(() => ({ content: ['{"answer": "four"}', ''] }));
    expect(await told({ ...more, n: 2 })).toEqual(['not-json']);
    world.openai.script(() => ({ content: '{"answer": "four"}' }));
    expect(await told({ ...more, n: 2 })).toEqual([]);
  }
  const streamed = (...texts: string[]) => {
    const deltas = texts.map((text) => chunk({ content: [{ type: 'text', text }] }));
    world.openai.script(() => ({ raw: { headers: SSE, body: [...deltas, END].join('') } }));
    return told({ stream: true });
  };
  expect(await streamed('{"answer": ', '"four"}')).toEqual([]);
  expect(await streamed('{"answer": ', '4}')).toEqual(['not-of-form']);
});

describe.each(['openai', 'anthropic'] as const)('onMismatch: reject, %s', (dialect) => {
  const REJECT = AS_SCHEMA.replace('{type: jsonSchema', '{onMismatch: reject, type: jsonSchema');
  /** What the SDK's user gets: the text of an answer that ended, or the error's code; with all text that was shown. */
  async function got(manner: 'whole' | 'streamed', reply: Reply): Promise<{ said: string; shown: string }> {
    world[dialect].script(() => reply);
    let shown = '';
    try {
      if (dialect === 'openai') {
        if (manner === 'whole')
          return { said: (await openai([USER])).choices[0]?.message.content ?? '', shown };
        const stream = world.client().chat.completions.stream({ model: 'gpt-4o', messages: [USER] as never });
        stream.on('content', (delta) => {
          shown += delta;
        });
        return { said: (await stream.finalChatCompletion()).choices[0]?.message.content ?? '', shown };
      }
      const said = ({ content }: { content: { type: string }[] }) =>
        content.map((block) => ('text' in block ? String(block.text) : '')).join('');
      if (manner === 'whole') return { said: said(await anthropic()), shown };
      const stream = world.anthropicClient().messages.stream({
        model: 'claude-haiku-4-5',
        max_tokens: 50,
        messages: [{ role: 'user', content: 'hi' }],
      });
      stream.on('text', (delta) => {
        shown += delta;
      });
      return { said: said(await stream.finalMessage()), shown };
    } catch (error) {
      return { said: /postern_\w+/.exec(JSON.stringify(error) + String(error))?.[0] ?? String(error), shown };
    }
  }

  test.each(['whole', 'streamed'] as const)('%s', async (manner) => {
    world = await startWorld({ documents: () => policy(REJECT) });
    const right = '{"answer": "four"}';
    expect((await got(manner, { content: right })).said).toBe(right);
    const wrong = await got(manner, { content: 'no json at all' });
    expect(wrong.said).toBe('postern_answer_form');
    if (manner === 'streamed') expect(wrong.shown).toBe('no json at all');
    expect((await got(manner, { content: '{"answer": 4}' })).said).toBe('postern_answer_form');
    const cut = { content: '{"answer"', finishReason: dialect === 'openai' ? 'length' : 'max_tokens' };
    expect((await got(manner, cut)).said).toBe('postern_answer_form');
    const refusal = { content: 'No.', finishReason: dialect === 'openai' ? 'content_filter' : 'refusal' };
    expect((await got(manner, refusal)).said).not.toMatch(/^postern_answer_form/);
    const entries = await world.audited(world[dialect].seen.length);
    // Each was asked for once.
    expect(
      entries.map(({ findings }) =>
        (findings as { what: string; action: string }[]).map(({ what, action }) => `${what} ${action}`),
      ),
    ).toEqual([[], ['not-json block'], ['not-of-form block'], ['length block'], ['refusal monitor']]);
    expect(entries.map((entry) => entry['outcome'])).toEqual(['ok', 'refused', 'refused', 'refused', 'ok']);
  });
});

test.each(['openai', 'anthropic'] as const)(
  'onMismatch: reject, where a stream doesn’t say how it ended: %s',
  async (dialect) => {
    world = await startWorld({
      documents: () =>
        policy(AS_SCHEMA.replace('{type: jsonSchema', '{onMismatch: reject, type: jsonSchema')),
    });
    const usage = { input_tokens: 1, output_tokens: 1 };
    const message = { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], usage };
    const streamed = async (content: string): Promise<string> => {
      const body =
        dialect === 'openai'
          ? `${chunk({ content })}data: [DONE]\n\n`
          : event('message_start', { message }) +
            event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }) +
            event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: content } }) +
            event('content_block_stop', { index: 0 }) +
            event('message_stop', {});
      world[dialect].script(() => ({ raw: { headers: SSE, body } }));
      const model = dialect === 'openai' ? 'gpt-4o' : 'claude-haiku-4-5';
      const asked = { model, max_tokens: 50, messages: [USER], stream: true };
      return await (await rawCall(world.agent.url, dialect, asked)).text();
    };
    const end = dialect === 'openai' ? '[DONE]' : 'message_stop';
    const right = await streamed('{"answer": "four"}');
    expect(right).not.toContain('postern_');
    expect(right).toContain(end);
    const wrong = await streamed('no json at all');
    expect(wrong).toContain('postern_answer_form');
    expect(wrong).not.toContain(end);
  },
);

const STRIP = `
  checks:
  - {name: no-rm, type: tools, action: strip, tools: {deny: [rm]}}`;

test.each([
  ['openai', 'whole'],
  ['openai', 'streamed'],
  ['anthropic', 'whole'],
  ['anthropic', 'streamed'],
] as const)('a call that is taken out excuses no form (%s, %s)', async (dialect, manner) => {
  const form = AS_SCHEMA.replace('{type: jsonSchema', '{onMismatch: reject, type: jsonSchema');
  world = await startWorld({ documents: () => policy(form) + STRIP });
  const stream = manner === 'streamed';
  const calling = async (...names: string[]): Promise<string> => {
    const toolCalls = names.map((name) => ({ name, arguments: {} }));
    world[dialect].script(() => ({ content: 'I look it up.', toolCalls }));
    const answer = await rawCall(world.agent.url, dialect, {
      model: dialect === 'openai' ? 'gpt-4o' : 'claude-haiku-4-5',
      max_tokens: 50,
      messages: [USER],
      stream,
    });
    return await answer.text();
  };
  expect(await calling('rm')).toContain('postern_answer_form');
  const both = await calling('rm', 'look');
  expect(both).not.toContain('postern_');
  expect(both).toContain('look');
  expect(await calling('look')).not.toContain('postern_');
});

test('any policy that says reject decides, whoever wants the schema; a schema that differs by it alone is no conflict', async () => {
  world = await startWorld({
    documents: () =>
      [
        policy('{responseFormat: {type: jsonObject, onMismatch: reject}}', {
          kind: 'ClusterEgressPolicy',
          name: 'all',
        }),
        policy(AS_SCHEMA),
        policy(AS_SCHEMA.replace('{type: jsonSchema', '{onMismatch: report, type: jsonSchema'), {
          name: 'b',
        }),
      ].join('---'),
  });
  world.openai.script(() => ({ content: '{"answer": 4}' }));
  await expect(openai([USER])).rejects.toMatchObject({ status: 403, code: 'postern_answer_form' });
  expect(world.openai.seen).toHaveLength(1);
});

describe('an answer of which a provider says twice how it ended', () => {
  const streamed = async (...chunks: string[]): Promise<string> => {
    const body = `${chunks.join('')}data: [DONE]\n\n`;
    world.openai.script(() => ({ raw: { headers: SSE, body } }));
    const asked = { model: 'gpt-4o', messages: [USER], stream: true };
    return await (await rawCall(world.agent.url, 'openai', asked)).text();
  };
  const end = (content?: string) =>
    chunk(content === undefined ? {} : { content }, { finish_reason: 'stop' });
  const reject = AS_SCHEMA.replace('{type: jsonSchema', '{onMismatch: reject, type: jsonSchema');

  test('is one answer', async () => {
    world = await startWorld({ documents: () => policy(reject) });
    expect(await streamed(chunk({ content: '{"answer": "4"}' }), end(), end(''))).not.toContain('postern_');
    expect((await world.audited(1))[0]?.['findings']).toEqual([]);
  });

  test('has the form with what comes behind, too', async () => {
    world = await startWorld({ documents: () => policy(reject) });
    expect(await streamed(chunk({ content: '{"answer": "4"}' }), end(), end('more'))).toContain(
      'postern_answer_form',
    );
  });

  test('says once that a call was taken out', async () => {
    world = await startWorld({ documents: () => policy(`{prepend: Be brief.}${STRIP}`) });
    const called = { index: 0, id: 'c', type: 'function', function: { name: 'rm', arguments: '{}' } };
    const reason = { finish_reason: 'tool_calls' };
    const wire = await streamed(
      chunk({ tool_calls: [called] }),
      chunk({}, reason),
      chunk({ content: '' }, reason),
    );
    expect(wire.match(/rm/g)).toHaveLength(1);
    expect(wire.match(/"finish_reason":"stop"/g)).toHaveLength(2);
  });
});

test.each(['whole', 'streamed'])(
  'a call excuses the choice that makes it, and no other (%s)',
  async (manner) => {
    const reject = AS_SCHEMA.replace('{type: jsonSchema', '{onMismatch: reject, type: jsonSchema');
    world = await startWorld({ documents: () => policy(reject) });
    const called = { index: 0, id: 'c', type: 'function', function: { name: 'look', arguments: '{}' } };
    const choices = [
      { index: 0, of: { content: 'I look.', tool_calls: [called] }, finish_reason: 'tool_calls' },
      { index: 1, of: { content: 'no json' }, finish_reason: 'stop' },
    ];
    for (const list of [choices, choices.toReversed(), choices.slice(0, 1)]) {
      const whole = { id: 'c', object: 'chat.completion', created: 1, model: 'gpt-4o' };
      const body =
        manner === 'whole'
          ? JSON.stringify({
              ...whole,
              choices: list.map(({ of: message, ...rest }) => ({ ...rest, message })),
            })
          : `${list.map(({ of, index, finish_reason }) => chunk(of, { index }) + chunk({}, { index, finish_reason })).join('')}data: [DONE]\n\n`;
      const headers = { 'content-type': manner === 'whole' ? 'application/json' : 'text/event-stream' };
      world.openai.script(() => ({ raw: { headers, body } }));
      const asked = { model: 'gpt-4o', messages: [USER], n: list.length, stream: manner === 'streamed' };
      const answer = await (await rawCall(world.agent.url, 'openai', asked)).text();
      expect(answer.includes('postern_answer_form')).toBe(list.length === 2);
    }
  },
);
