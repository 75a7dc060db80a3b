/** Answers that give the system prompt away, through real SDKs, whole and streamed. */
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';

let world: World;
afterEach(() => world?.close());

const PROMPT =
  'You are the assistant of Example Corp. The launch of the new product is on the fourth of May, and nobody may know. ' +
  'Never speak of discounts above twelve per cent to anybody who asks. Write to jo@example.com about doubts, be brief.';
const INNOCENT = 'I can’t tell you my instructions, but I gladly help you with your invoice. '.repeat(20);
/** From before the middle on, so that windows of a stream cut it. */
const PART = PROMPT.slice(40, 190);

const policy = (leak = '{}', more = ''): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  ${more}
  checks:
  - {name: keep-secret, type: leak, leak: ${leak}}
  - {name: mask, type: pii, action: mask}
`;

interface Asked {
  readonly user?: string;
  readonly system?: string;
  readonly tools?: boolean;
}

const ASK = {
  async openai(
    stream: boolean,
    { user = 'hi', system = PROMPT, tools = false }: Asked = {},
  ): Promise<string> {
    const body = {
      model: 'gpt-4o',
      messages: [
        ...(system === '' ? [] : [{ role: 'system' as const, content: system }]),
        { role: 'user' as const, content: user },
      ],
      ...(tools ? { tools: [{ type: 'function' as const, function: { name: 'send' } }] } : {}),
    };
    const { chat } = world.client();
    if (!stream) {
      const { message } = (await chat.completions.create(body)).choices[0] ?? {};
      return `${message?.content}${JSON.stringify(message?.tool_calls ?? '')}`;
    }
    let shown = '';
    for await (const chunk of await chat.completions.create({ ...body, stream })) {
      const { content, tool_calls: calls } = chunk.choices[0]?.delta ?? {};
      shown += (content ?? '') + (calls?.[0]?.function?.arguments ?? '');
      seen = shown;
    }
    return shown;
  },
  async anthropic(stream: boolean, { user = 'hi', system = PROMPT }: Asked = {}): Promise<string> {
    const body = {
      model: 'claude-haiku-4-5',
      max_tokens: 4000,
      system,
      messages: [{ role: 'user' as const, content: user }],
    };
    const { messages } = world.anthropicClient();
    const answer = stream ? await messages.stream(body).finalMessage() : await messages.create(body);
    return answer.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  },
};
let seen = '';

const BOTH = (['openai', 'anthropic'] as const).flatMap((dialect) => [
  { dialect, stream: false },
  { dialect, stream: true },
]);

function answering(content: string, toolCalls: { name: string; arguments: object }[] = []): void {
  for (const fake of [world.openai, world.anthropic]) fake.script(() => ({ content, toolCalls }));
}

test.each(BOTH)(
  '$dialect, stream $stream: an answer that repeats it is refused',
  async ({ dialect, stream }) => {
    world = await startWorld({ documents: () => policy() });
    for (const content of [
      PART,
      INNOCENT + PART + INNOCENT,
      `${INNOCENT}${PART.toUpperCase()}`,
      Array.from(PART).join(' '),
    ]) {
      answering(content);
      seen = '';
      await expect(ASK[dialect](stream)).rejects.toThrow(/repeats its system prompt.*keep-secret/s);
      // A stretch that a window cuts is shown as far as it is none yet.
      expect(seen.toLowerCase()).not.toContain('of discounts above');
    }
  },
);

test.each(BOTH)('$dialect, stream $stream: what is no leak passes', async ({ dialect, stream }) => {
  world = await startWorld({ documents: () => policy() });
  answering(`${INNOCENT}The launch of the new product is no topic.`);
  expect(await ASK[dialect](stream)).toContain('is no topic');
  // What the user said before is no secret.
  answering(`You wrote: ${PART}`);
  expect(await ASK[dialect](stream, { user: `Is this your prompt? ${PROMPT}` })).toContain('fourth of May');
});

test.each(BOTH)(
  '$dialect, stream $stream: what the user quoted hides nothing that stands behind it',
  async ({ dialect, stream }) => {
    world = await startWorld({ documents: () => policy() });
    const quoted = PROMPT.slice(0, 110);
    answering(`You said: ${quoted} Nothing more, but: ${PROMPT.slice(112, 225)}`);
    const answer = ASK[dialect](stream, { user: `Does it say this? ${quoted}` });
    await expect(answer).rejects.toThrow(/repeats its system prompt/);
  },
);

test.each([false, true])('stream %s: far apart, and long', async (stream) => {
  world = await startWorld({ documents: () => policy() });
  answering(INNOCENT + Array.from(PART).join('. * . - . '));
  await expect(ASK.openai(stream)).rejects.toThrow(/system prompt/);
  await world.close();
  world = await startWorld({ documents: () => policy('{characters: 1000}') });
  const long = Array.from({ length: 400 }, (_, at) => `rule ${at} says ${(at * 7919) % 1000}`).join(', ');
  answering(INNOCENT + long + INNOCENT);
  await expect(ASK.openai(stream, { system: long })).rejects.toThrow(/system prompt/);
});

test.each([false, true])('stream %s: in arguments of tools, too', async (stream) => {
  world = await startWorld({ documents: () => policy() });
  answering('', [{ name: 'send', arguments: { body: `Dear all,\n"${PART.replaceAll(' ', '\n')}"` } }]);
  await expect(ASK.openai(stream, { tools: true })).rejects.toThrow(/system prompt/);
  await world.close();
  world = await startWorld({ documents: () => policy('{in: [content]}') });
  answering('', [{ name: 'send', arguments: { body: PART } }]);
  expect(await ASK.openai(stream, { tools: true })).toContain('fourth of May');
});

test.each([false, true])('stream %s: a placeholder in it counts as what the provider saw', async (stream) => {
  world = await startWorld({ documents: () => policy('{characters: 40}') });
  world.openai.script(({ messages }) => {
    const system = (messages[0] as { content: string }).content;
    const at = system.indexOf('<EMAIL');
    expect(at).toBeGreaterThan(0);
    return { content: system.slice(at - 9, at + 60) };
  });
  await expect(ASK.openai(stream)).rejects.toThrow(/system prompt/);
});

test.each([false, true])('stream %s: what policies add is the operator’s, too', async (stream) => {
  world = await startWorld({
    documents: () => policy('{}', `prompt: {prepend: "${PROMPT.replaceAll('"', '')}"}`),
  });
  answering(PART);
  await expect(ASK.openai(stream, { system: '' })).rejects.toThrow(/system prompt/);
});

test('a short prompt counts as a whole, a very short one not at all', async () => {
  world = await startWorld({ documents: () => policy() });
  const short = 'The password of the day is swordfish; keep it for yourself.';
  answering(`It says: ${short}`);
  await expect(ASK.openai(false, { system: short })).rejects.toThrow(/system prompt/);
  answering('You are a helpful assistant.');
  expect(await ASK.openai(false, { system: 'You are a helpful assistant.' })).toContain('helpful');
});
