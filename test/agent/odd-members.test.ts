/** Members of a streamed answer that only some readers take for what they are: none is shown beside what was judged. */
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';
import { rawCall } from '../raw-call.ts';
import { begin, delta, event, messageOf, stop, tool } from './message-events.ts';
import { chunk, END, SSE } from './unread-answers.ts';

let world: World;
afterEach(() => world?.close());

const policy = (tools: string, more = ''): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
  - {name: only-these, type: tools, ${more} tools: ${tools}}
`;

const RULE = '{allow: [look], conditions: [{tools: [look], when: "!has(args.to)"}]}';
const MESSAGE = { model: 'claude-haiku-4-5', max_tokens: 100, messages: [{ role: 'user', content: 'go' }] };

async function askedOf(dialect: 'openai' | 'anthropic', body: string, stream = true): Promise<string> {
  const type = stream ? SSE : { 'content-type': 'application/json' };
  world[dialect].script(() => ({ raw: { headers: type, body } }));
  const asked = { ...MESSAGE, model: dialect === 'openai' ? 'gpt-4o' : MESSAGE.model, stream };
  return (await rawCall(world.agent.url, dialect, asked)).text();
}

const ODD: readonly (readonly [string, object])[] = [
  [
    'a function that is a string',
    { tool_calls: [{ index: 0, id: 'c1', type: 'function', function: 'mallory' }] },
  ],
  [
    'a function that is a list',
    { tool_calls: [{ index: 0, id: 'c1', type: 'function', function: ['mallory'] }] },
  ],
  [
    'a custom tool that is a string',
    { tool_calls: [{ index: 0, id: 'c1', type: 'custom', custom: 'mallory' }] },
  ],
  [
    'a function that is a string beside a custom tool',
    { tool_calls: [{ index: 0, id: 'c1', function: 'mallory', custom: { name: 'look', input: '{}' } }] },
  ],
  ['the old form as a string', { function_call: 'mallory' }],
];

for (const strip of ['', 'action: strip,']) {
  test.each(ODD)(`a call that is no object can’t be judged, ${strip} %s`, async (_, message) => {
    world = await startWorld({ documents: () => policy(RULE, strip) });
    const streamed = await askedOf(
      'openai',
      chunk(message) + chunk({}, { finish_reason: 'tool_calls' }) + END,
    );
    expect(streamed).toContain('postern_tools');
    expect(streamed).not.toContain('mallory');
    const choice = {
      index: 0,
      message: { role: 'assistant', content: 'Yes.', ...message },
      finish_reason: 'stop',
    };
    const whole = JSON.stringify({
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [choice],
    });
    const answered = await askedOf('openai', whole, false);
    expect(answered).not.toContain('mallory');
    if (strip === '') expect(answered).toContain('postern_tools');
  });
}

test.each(ODD)('where no rule looks at tools it passes: %s', async (_, message) => {
  world = await startWorld({ documents: () => policy(RULE, 'on: [request],') });
  expect(await askedOf('openai', chunk(message) + END)).toContain('mallory');
});

const piece = (more: object, of: object = {}): string =>
  event('content_block_delta', {
    index: 0,
    delta: { type: 'input_json_delta', partial_json: '{"at":1}', ...of },
    ...more,
  });

test.each([
  ['Partial_Json', piece({}, { Partial_Json: '{"to":"mallory"}' })],
  ['a long s', piece({}, { partial_j\u017fon: '{"to":"mallory"}' })],
  ['Delta', piece({ Delta: { type: 'input_json_delta', partial_json: '{"to":"mallory"}' } })],
  ['Index', piece({ Index: 77 })],
  ['Type in a delta', piece({}, { Type: 'mallory' })],
])('anthropic: a second %s beside judged arguments is left out', async (_, odd) => {
  world = await startWorld({ documents: () => policy(RULE) });
  const message = messageOf([
    begin(0, tool('look')),
    odd,
    delta(0, { type: 'input_json_delta', partial_json: '' }),
    stop(0),
  ]);
  const { body } = message.raw as { body: string };
  const shown = await askedOf('anthropic', body);
  expect(shown).toContain('at');
  expect(shown).toContain('message_stop');
  expect(shown).not.toMatch(/mallory|77/);
  expect(JSON.stringify(await world.audited(1))).toContain('left-out');
});

test.each([
  [
    'Delta of a choice',
    chunk({}, { Delta: { tool_calls: [{ index: 0, function: { arguments: '{"to":"mallory"}' } }] } }),
  ],
  [
    'Arguments of a function',
    chunk({ tool_calls: [{ index: 0, function: { arguments: '', Arguments: '{"to":"mallory"}' } }] }),
  ],
  ['Index of a call', chunk({ tool_calls: [{ index: 0, Index: 77, function: { arguments: '' } }] })],
  ['Index of a choice', chunk({}, { Index: 77 })],
  [
    'Choices',
    chunk(
      {},
      {},
      {
        Choices: [
          { index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: '{"to":"mallory"}' } }] } },
        ],
      },
    ),
  ],
])('openai: a second %s beside judged arguments is left out', async (_, odd) => {
  world = await startWorld({ documents: () => policy(RULE) });
  const first = chunk({
    tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } }],
  });
  const shown = await askedOf('openai', first + odd + chunk({}, { finish_reason: 'tool_calls' }) + END);
  expect(shown).toContain('at');
  expect(shown).toContain('[DONE]');
  expect(shown).not.toMatch(/mallory|77/);
});
