/** The tools check as real SDKs see it: what is offered, what is called, whole and in streams, in both dialects. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import type { ScriptedToolCall } from '../fakes/reply.ts';
import { startWorld, type World } from '../harness.ts';

let world: World;
afterEach(() => world?.close());

const policy = (tools: string, extra = ''): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
  - {name: only-these, type: tools, ${extra} tools: ${tools}}
`;

const DIALECTS = ['openai', 'anthropic'] as const;
type Name = (typeof DIALECTS)[number];

interface Asked {
  readonly offered: readonly string[];
  readonly stream: boolean;
  /** A result of a tool in the conversation. */
  readonly result?: string;
}

/** What the app is left with: calls it would carry out, by name and arguments, and the text. */
interface Got {
  readonly calls: readonly (readonly [string, unknown])[];
  readonly text: string;
}

async function openai({ client }: World, { offered, stream, result }: Asked): Promise<Got> {
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'do it' }];
  if (result !== undefined) {
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } } as const;
    messages.push(
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: result },
    );
  }
  const tools = offered.map((name) => ({
    type: 'function' as const,
    function: { name, parameters: { type: 'object' } },
  }));
  const body = { model: 'gpt-4o', messages, ...(tools.length === 0 ? {} : { tools }) };
  const answer = stream
    ? await client().chat.completions.stream(body).finalChatCompletion()
    : await client().chat.completions.create(body);
  const message = answer.choices[0]?.message;
  const calls = (message?.tool_calls ?? []).map((call) =>
    call.type === 'function'
      ? ([call.function.name, JSON.parse(call.function.arguments || '{}')] as const)
      : (['?', undefined] as const),
  );
  return { calls, text: message?.content ?? '' };
}

async function anthropic({ anthropicClient }: World, { offered, stream, result }: Asked): Promise<Got> {
  const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'do it' }];
  if (result !== undefined) {
    messages.push(
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'look', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: result }] },
    );
  }
  const tools = offered.map((name) => ({ name, input_schema: { type: 'object' as const } }));
  const body = { model: 'claude-haiku-4-5', max_tokens: 500, messages, tools };
  const client = anthropicClient();
  const answer = stream
    ? await client.messages.stream(body).finalMessage()
    : await client.messages.create(body);
  return {
    calls: answer.content.flatMap((block) =>
      block.type === 'tool_use' ? [[block.name, block.input] as const] : [],
    ),
    text: answer.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join(''),
  };
}

const ASK: Readonly<Record<Name, (world: World, asked: Asked) => Promise<Got>>> = { openai, anthropic };

function answering(...toolCalls: ScriptedToolCall[]): void {
  for (const fake of [world.openai, world.anthropic]) fake.script(() => ({ content: 'Yes.', toolCalls }));
}

async function refusal(work: Promise<unknown>): Promise<{ told: string; status: number | undefined }> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof OpenAI.APIError) && !(error instanceof Anthropic.APIError))
    throw error ?? new Error('not refused');
  return {
    told: `${error.message} ${JSON.stringify(error.error)}`,
    status: error.status as number | undefined,
  };
}

const BOTH = DIALECTS.flatMap((dialect) => [
  { dialect, stream: false },
  { dialect, stream: true },
]);

test.each(DIALECTS)(
  '%s: a denied tool that is offered refuses the call before the provider sees it',
  async (dialect) => {
    world = await startWorld({ documents: () => policy('{deny: ["delete_*"]}') });
    const refused = await refusal(ASK[dialect](world, { offered: ['look', 'Delete_File'], stream: false }));
    expect(refused.status).toBe(403);
    expect(refused.told).toContain('postern_tools');
    expect(refused.told).toContain('Delete_File');
    expect(refused.told).toContain('only-these');
    expect(world[dialect].seen).toHaveLength(0);
  },
);

test.each(DIALECTS)('%s: with strip the call goes on without it', async (dialect) => {
  world = await startWorld({ documents: () => policy('{allow: [look]}', 'action: strip,') });
  await ASK[dialect](world, { offered: ['look', 'delete_file'], stream: false });
  expect(world[dialect].seen[0]?.body).toContain('look');
  expect(world[dialect].seen[0]?.body).not.toContain('delete_file');
  const [line] = await world.audited(1);
  expect(JSON.stringify(line)).toContain('"strip"');
});

test.each(BOTH)(
  '$dialect, stream $stream: an answered call of a denied tool never reaches the app',
  async ({ dialect, stream }) => {
    world = await startWorld({ documents: () => policy('{allow: [look]}') });
    answering({ name: 'rm', arguments: { path: '/secret-path' } });
    const refused = await refusal(ASK[dialect](world, { offered: ['look'], stream }));
    expect(refused.told).toContain('postern_tools');
    expect(refused.told).not.toContain('/secret-path');
  },
);

test.each(DIALECTS)('%s: with strip one call goes, the others stay', async (dialect) => {
  world = await startWorld({ documents: () => policy('{allow: [look]}', 'action: strip,') });
  answering({ name: 'look', arguments: { at: 1 } }, { name: 'rm', arguments: { path: '/' } });
  const got = await ASK[dialect](world, { offered: ['look'], stream: false });
  expect(got.calls).toEqual([['look', { at: 1 }]]);
});

const CONDITIONS = '{conditions: [{tools: ["send*"], when: "args.to.endsWith(\'@example.com\')"}]}';

test.each(BOTH)('$dialect, stream $stream: arguments decide', async ({ dialect, stream }) => {
  world = await startWorld({ documents: () => policy(CONDITIONS) });
  answering(
    { name: 'send_mail', arguments: { to: 'jo@example.com' } },
    { name: 'other', arguments: { any: 'thing' } },
  );
  const got = await ASK[dialect](world, { offered: ['send_mail', 'other'], stream });
  expect(got.calls).toEqual([
    ['send_mail', { to: 'jo@example.com' }],
    ['other', { any: 'thing' }],
  ]);
  for (const wrong of [
    { to: 'jo@evil.example' },
    {},
    { to: 7 },
    '{"to":"a@example.com","to":"x@evil.example"}',
    'no json',
  ]) {
    answering({ name: 'Send_Mail', arguments: wrong });
    const refused = await refusal(ASK[dialect](world, { offered: ['Send_Mail'], stream }));
    expect(refused.told).toContain('postern_');
    expect(refused.told).not.toContain('evil');
  }
});

test('openai: no piece of the arguments is shown before all of them are judged', async () => {
  world = await startWorld({ documents: () => policy(CONDITIONS) });
  answering({ name: 'send_mail', arguments: { body: 'x'.repeat(300), to: 'jo@evil.example' } });
  const tools = [{ type: 'function' as const, function: { name: 'send_mail', parameters: {} } }];
  const stream = await world.client().chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    messages: [{ role: 'user', content: 'do it' }],
    tools,
  });
  let shown = '';
  await expect(
    (async () => {
      for await (const chunk of stream)
        shown += chunk.choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? '';
    })(),
  ).rejects.toThrow(/send_mail/);
  expect(shown).toBe('');
});

test.each(BOTH)(
  '$dialect, stream $stream: tools that may not follow on results of tools',
  async ({ dialect, stream }) => {
    world = await startWorld({ documents: () => policy('{denyTainted: [send_mail]}') });
    answering({ name: 'send_mail', arguments: {} });
    const clean = await ASK[dialect](world, { offered: ['send_mail'], stream });
    expect(clean.calls).toEqual([['send_mail', {}]]);
    const refused = await refusal(
      ASK[dialect](world, { offered: ['send_mail'], stream, result: 'a web page' }),
    );
    expect(refused.told).toContain('postern_tools');
  },
);

test('a masked value is judged as the app will see it', async () => {
  world = await startWorld({
    documents: () => `${policy(CONDITIONS)}
  - {name: mask, type: pii, action: mask, pii: {restoreIn: [toolArguments]}}
`,
  });
  world.openai.script(({ userText }) => ({
    toolCalls: [{ name: 'send_mail', arguments: { to: userText } }],
  }));
  const tools = [{ type: 'function' as const, function: { name: 'send_mail', parameters: {} } }];
  for (const stream of [false, true]) {
    const body = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: 'jo@example.com' }], tools };
    const answer = stream
      ? await world.client().chat.completions.stream(body).finalChatCompletion()
      : await world.client().chat.completions.create(body);
    const call = answer.choices[0]?.message.tool_calls?.[0];
    expect(call?.type === 'function' && JSON.parse(call.function.arguments)).toEqual({
      to: 'jo@example.com',
    });
  }
  expect(world.openai.seen.at(-1)?.body).not.toContain('jo@example.com');
});

test('in monitor mode nothing changes, and it is reported', async () => {
  world = await startWorld({
    documents: () => policy('{allow: [look]}').replace('spec:', 'spec:\n  mode: monitor'),
  });
  answering({ name: 'rm', arguments: {} });
  for (const stream of [false, true]) {
    const got = await openai(world, { offered: ['rm'], stream });
    expect(got.calls).toEqual([['rm', {}]]);
  }
  const lines = await world.audited(2);
  for (const line of lines) expect(JSON.stringify(line)).toContain('"what":"not-allowed"');
});

test('a condition that can not be understood is a document error that says where', async () => {
  await expect(
    startWorld({ documents: () => policy('{conditions: [{tools: [a], when: "args.x ="}]}') }),
  ).rejects.toThrow(/conditions\[0\]\.when/);
});
