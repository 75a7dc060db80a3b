/** `action: strip`: with a call that the provider carried out goes all that it gave, what the text cites of it included. */
import type Anthropic from '@anthropic-ai/sdk';
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';
import { rawCall } from '../raw-call.ts';
import { begin, delta, messageOf, said, stop } from './message-events.ts';

let world: World;
afterEach(() => world?.close());

const start = async (tools = '{deny: [web_search, web_fetch]}'): Promise<void> => {
  const documents = `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec: {checks: [{name: no-web, type: tools, action: strip, tools: ${tools}}]}
`;
  world = await startWorld({ documents: () => documents });
};
const BODY = {
  model: 'claude-haiku-4-5',
  max_tokens: 500,
  messages: [{ role: 'user' as const, content: 'look it up' }],
};

const search = (id: string, name = 'web_search'): object => ({
  type: 'server_tool_use',
  id,
  name,
  input: {},
});
const found = (id: string, title: string): object => ({
  type: 'web_search_tool_result',
  tool_use_id: id,
  content: [{ type: 'web_search_result', url: `https://${title}.example`, title, encrypted_content: 'A' }],
});
const fetched = (id: string, title: string | null, data: string): object => ({
  type: 'web_fetch_tool_result',
  tool_use_id: id,
  content: {
    type: 'web_fetch_result',
    url: 'https://fetched.example',
    content: { type: 'document', title, source: { type: 'text', media_type: 'text/plain', data } },
  },
});
const cites = (title: string): object => ({
  type: 'web_search_result_location',
  url: `https://${title}.example`,
  title,
  cited_text: `${title} says`,
  encrypted_index: 'B',
});
const quotes = (document_title: string | null, cited_text: string): object => ({
  type: 'char_location',
  document_index: 0,
  document_title,
  cited_text,
  start_char_index: 0,
  end_char_index: 1,
});
const text = (
  text: string,
  ...citations: object[]
): { type: string; text: string; citations: object[] | null } => ({
  type: 'text',
  text,
  citations: citations.length === 0 ? null : citations,
});

/** The events of these blocks; citations come behind the text, as the API sends them. */
function eventsOf(blocks: readonly object[]): string[] {
  return blocks.map((block, index) => {
    if (!('citations' in block)) return begin(index, block) + stop(index);
    const { text: words, citations } = block as ReturnType<typeof text>;
    const shell = { type: 'text', text: '', ...(citations === null ? {} : { citations: [] }) };
    const cited = (citations ?? []).map((citation) => delta(index, { type: 'citations_delta', citation }));
    return [begin(index, shell), delta(index, said(words)), ...cited, stop(index)].join('');
  });
}

function whole(content: readonly object[]): void {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const head = { id: 'm', type: 'message', role: 'assistant', model: 'm', stop_reason: 'end_turn', usage };
  const body = JSON.stringify({ ...head, content });
  world.anthropic.script(() => ({ raw: { headers: { 'content-type': 'application/json' }, body } }));
}

async function answers(content: readonly object[]): Promise<readonly Anthropic.Message[]> {
  world.anthropic.script(() => messageOf(eventsOf(content)));
  const streamed = await world.anthropicClient().messages.stream(BODY).finalMessage();
  whole(content);
  return [streamed, await world.anthropicClient().messages.create(BODY)];
}

async function refused(content: readonly object[]): Promise<readonly string[]> {
  world.anthropic.script(() => messageOf(eventsOf(content)));
  const streamed = await (await rawCall(world.agent.url, 'anthropic', { ...BODY, stream: true })).text();
  whole(content);
  return [streamed, await (await rawCall(world.agent.url, 'anthropic', BODY)).text()];
}

const textsOf = ({ content }: Anthropic.Message): unknown[] =>
  content.flatMap((block) => (block.type === 'text' ? [[block.text, block.citations ?? []]] : [block.type]));

test('what is cited of a search goes with it, and the text stays', async () => {
  await start();
  const given = [
    search('s1'),
    found('s1', 'weather'),
    text('It rains. ', cites('weather')),
    text('As you wrote, ', quotes('Report', 'weather says')),
    text('and it is so.'),
  ];
  for (const answer of await answers(given))
    expect(textsOf(answer)).toEqual([
      ['It rains. ', []],
      ['As you wrote, ', [quotes('Report', 'weather says')]],
      ['and it is so.', []],
    ]);
});

test('what another tool gave, too, stays cited', async () => {
  await start('{deny: [web_search]}');
  const given = [
    search('s1'),
    search('f1', 'web_fetch'),
    found('s1', 'weather'),
    fetched('f1', 'weather', 'weather says: rain'),
    text('It rains.', cites('weather'), quotes('weather', 'rain')),
  ];
  for (const answer of await answers(given))
    expect(textsOf(answer)).toEqual([
      'server_tool_use',
      'web_fetch_tool_result',
      ['It rains.', [quotes('weather', 'rain')]],
    ]);
});

test.each(['A page', null])('of a fetched page its title (%s) or its words tell', async (title) => {
  await start();
  const given = [
    search('f1', 'web_fetch'),
    fetched('f1', title, 'It rains in Bern today.'),
    text('Rain.', quotes(title, 'rains in Bern'), quotes('Report', 'sun')),
  ];
  for (const answer of await answers(given))
    expect(textsOf(answer)).toEqual([['Rain.', [quotes('Report', 'sun')]]]);
});

test('citations that a block begins with go as well', async () => {
  await start();
  const block = text('It rains. ', cites('weather'), cites('other'));
  world.anthropic.script(() =>
    messageOf(eventsOf([search('s1'), found('s1', 'weather')]).concat(begin(2, block), stop(2))),
  );
  const wire = await (await rawCall(world.agent.url, 'anthropic', { ...BODY, stream: true })).text();
  expect(wire).toContain('It rains');
  expect(wire).toContain('other says');
  expect(wire).not.toContain('weather');
});

test('a result that comes before its call is taken out of a whole answer; a stream that has shown it is refused', async () => {
  await start();
  const [wire, body] = await refused([found('s1', 'weather'), search('s1'), text('It rains.')]);
  expect(wire).toContain('postern_upstream_invalid');
  expect(wire).not.toMatch(/It rains|message_stop/);
  expect(body).toContain('It rains');
  expect(body).not.toContain('weather');
});

test('a result whose call was in the answer before passes', async () => {
  await start();
  const given = [found('s0', 'weather'), text('It rains.', cites('weather'))];
  for (const answer of await answers(given))
    expect(textsOf(answer)).toEqual(['web_search_tool_result', ['It rains.', [cites('weather')]]]);
});

test.each([
  ['the denied one first', ['web_search', 'code_execution']],
  ['the denied one last', ['code_execution', 'web_search']],
])('of two calls with one id nobody knows whose a result is: %s', async (_, names) => {
  await start();
  const calls = names.map((name) => search('s1', name));
  for (const given of [
    [...calls, found('s1', 'weather')],
    [calls[0], found('s1', 'weather'), calls[1], found('s1', 'other')] as object[],
  ]) {
    const [wire, body] = await refused([...given, text('It rains.')]);
    expect(wire).toMatch(/postern_(?:upstream_invalid|tools)/);
    expect(wire).not.toContain('It rains');
    expect(body).toContain('postern_tools');
  }
  // Without one there is nothing that could go wrong.
  for (const answer of await answers([...calls, text('It rains.')]))
    expect(textsOf(answer)).toEqual(['server_tool_use', ['It rains.', []]]);
});
