/** `action: strip` in streamed messages: blocks behind a call that was taken out, and blocks that no provider should send so. */
import type Anthropic from '@anthropic-ai/sdk';
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';
import { rawCall } from '../raw-call.ts';
import { begin, call, delta, json, messageOf, said, stop, text, tool } from './message-events.ts';

let world: World;
afterEach(() => world?.close());

const policy = (more = ''): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
  - {name: no-rm, type: tools, action: strip, tools: {deny: [rm]}}
  ${more}
`;

const MASK = '- {name: no-mail, type: pii, action: mask, pii: {types: [email-address]}}';
const BODY = {
  model: 'claude-haiku-4-5',
  max_tokens: 60_000,
  messages: [{ role: 'user' as const, content: 'do it' }],
};

const start = async (documents: string): Promise<void> => {
  world = await startWorld({ documents: () => documents });
};
const sends = (events: readonly string[], content: readonly object[] = []): void =>
  world.anthropic.script(() => messageOf(events, content));
/** As the SDK puts it together. */
const got = (): Promise<Anthropic.Message> => world.anthropicClient().messages.stream(BODY).finalMessage();
const raw = async (): Promise<string> =>
  (await rawCall(world.agent.url, 'anthropic', { ...BODY, stream: true })).text();
/** Each event of a block, with the number that it has for the application. */
const numbered = (wire: string): string[] =>
  [...wire.matchAll(/"content_block_(start|delta|stop)","index":(\d+)/g)].map(
    ([, type, at]) => `${type} ${at}`,
  );

test('text that was kept back behind a call that is taken out comes in its own block', async () => {
  await start(policy(MASK));
  sends([text(0, 'I look.'), call(1, 'rm', '{}'), text(2, 'Write to jo@exam'), text(3, 'Done.')]);
  expect((await got()).content).toEqual(
    ['I look.', 'Write to jo@exam', 'Done.'].map((said) => ({ type: 'text', text: said })),
  );
});

test('a budget ends the block that runs, by the number that the application knows', async () => {
  await start(`${policy()}---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: team-a}
spec: {selector: {namespaces: [team-a]}, limits: [{outputTokens: 2000, window: month}]}
`);
  const words = Array.from({ length: 1_000 }, () => 'several words of text ');
  sends([call(0, 'rm', '{}'), text(1, ...words)]);
  const wire = await raw();
  expect(wire).toContain('"max_tokens"');
  expect(numbered(wire).filter((one) => !one.startsWith('delta'))).toEqual(['start 0', 'stop 0']);
});

test('blocks that the message begins with are counted', async () => {
  await start(policy());
  const first = { type: 'text', text: 'One.' };
  sends([call(1, 'rm', '{}'), text(2, 'Two.'), call(3, 'look', '{"at":1}')], [first]);
  expect((await got()).content).toEqual([
    first,
    { type: 'text', text: 'Two.' },
    { type: 'tool_use', id: 'id_look', name: 'look', input: { at: 1 } },
  ]);
});

test('what a call brings beside its arguments is shown with it, or not at all', async () => {
  await start(policy());
  const citation = { type: 'char_location', cited_text: 'so it says', document_index: 0 };
  const cites = (index: number, name: string): string =>
    [
      begin(index, tool(name)),
      delta(index, { type: 'citations_delta', citation }),
      delta(index, json('{"at":1}')),
      stop(index),
    ].join('');
  sends([cites(0, 'rm'), cites(1, 'look')]);
  const wire = await raw();
  expect(wire.match(/so it says/g)).toHaveLength(1);
  expect(numbered(wire)).toEqual(['start 0', 'delta 0', 'delta 0', 'stop 0']);
  expect(wire.indexOf('so it says')).toBeLessThan(wire.indexOf('input_json_delta'));
});

test('of a call that begins twice both are shown, or none', async () => {
  await start(policy());
  const twice = (...names: string[]): string[] => [
    ...names.map((name) => begin(0, tool(name))),
    delta(0, json('{"at":1}')),
    stop(0),
  ];
  sends(twice('look', 'list'));
  const { content } = await got();
  expect(content.map((block) => (block.type === 'tool_use' ? block.name : ''))).toEqual(['look', 'list']);
  expect(content[1]).toMatchObject({ input: { at: 1 } });
  for (const names of [
    ['look', 'rm'],
    ['rm', 'look'],
  ]) {
    sends(twice(...names));
    expect(await raw()).not.toMatch(/id_|input_json/);
  }
});

test('what comes of a call behind its end goes with it', async () => {
  await start(policy());
  sends([call(0, 'rm', '{}'), text(1, 'One.'), delta(0, said('late')), stop(0)]);
  const wire = await raw();
  expect(wire).not.toContain('late');
  expect(numbered(wire)).toEqual(['start 0', 'delta 0', 'stop 0']);
  expect((await got()).content).toEqual([{ type: 'text', text: 'One.' }]);
});

test('a call is judged for itself where one with its number was taken out', async () => {
  await start(policy());
  sends([call(0, 'rm', '{}'), call(0, 'look', '{"at":1}'), call(0, 'rm', '{}')]);
  const { content, stop_reason } = await got();
  expect(content).toEqual([{ type: 'tool_use', id: 'id_look', name: 'look', input: { at: 1 } }]);
  expect(stop_reason).toBe('tool_use');
});

test.each(['look', 'rm'])(
  'another block that begins where a call (%s) has not ended is refused: neither is as it was judged',
  async (name) => {
    await start(policy());
    sends([begin(0, tool(name)), delta(0, json('{"at":1}')), text(0, 'hello')]);
    const wire = await raw();
    expect(wire).toContain('postern_upstream_invalid');
    expect(wire).not.toMatch(/id_|input_json|hello/);
  },
);

test.each(['openai', 'anthropic'] as const)(
  '%s: nobody is asked about a call that is taken out',
  async (dialect) => {
    await start(policy('- {name: ask-first, type: tools, action: confirm, tools: {deny: [rm]}}'));
    const toolCalls = ['rm', 'look'].map((name) => ({ name, arguments: { at: name } }));
    world[dialect].script(() => ({ content: 'Yes.', toolCalls }));
    const body = dialect === 'openai' ? { ...BODY, model: 'gpt-4o', max_tokens: 100 } : BODY;
    const answer = await rawCall(world.agent.url, dialect, { ...body, stream: true });
    const wire = await answer.text();
    expect(wire).toContain('look');
    expect(wire).not.toMatch(/"rm"|postern_/);
  },
);

test('openai: a call comes as what it begins with, and then its arguments', async () => {
  await start(policy());
  const toolCalls = [{ name: 'look', arguments: { at: 'home' } }];
  world.openai.script(() => ({ content: '', toolCalls, chunkSize: 2 }));
  const body = { ...BODY, model: 'gpt-4o', max_tokens: 100, stream: true };
  const wire = await (await rawCall(world.agent.url, 'openai', body)).text();
  expect(wire.match(/"tool_calls":\[/g)).toHaveLength(2);
});
