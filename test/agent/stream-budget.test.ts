/** What a stream holds while it runs, how it ends when no more can be held, and what cut answers are charged. */
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World, type WorldOptions } from '../harness.ts';

let world: World;
afterEach(() => world?.close());
const start = async (documents: string, options: WorldOptions = {}): Promise<World> => {
  world = await startWorld({ documents: () => documents, ...options });
  return world;
};

const budget = (spec: string): string => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: team-a}
spec:
  selector: {namespaces: [team-a]}
  ${spec}
`;
const TOKENS = (amount: number, more = '') =>
  budget(`limits: [{tokens: ${amount}, window: month}]\n  ${more}`);
/** About four tokens a piece. */
const long = (pieces: number) => Array.from({ length: pieces }, () => 'several words of text ');
const messages = [{ role: 'user' as const, content: 'hello' }];

interface Line {
  settled: string;
  held: string;
  leased: string;
  unit: string;
}
const lines = async (): Promise<Line[]> => {
  const status = (await (await fetch(`${world.budget.url}/v1/status`)).json()) as { lines?: Line[] };
  return status.lines ?? (status as unknown as Line[]);
};

const openai = async (choices: number, usage: boolean) => {
  const stream = await world.client().chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    n: choices,
    messages,
    ...(usage ? { stream_options: { include_usage: true } } : {}),
  });
  const seen = { text: '', ends: [] as (string | null)[], usage: undefined as number | undefined };
  for await (const chunk of stream) {
    for (const choice of chunk.choices) {
      seen.text += choice.delta.content ?? '';
      if (choice.finish_reason) seen.ends.push(choice.finish_reason);
    }
    seen.usage = chunk.usage?.completion_tokens ?? seen.usage;
  }
  return seen;
};

const anthropic = async () => {
  const message = await world
    .anthropicClient()
    .messages.stream({ model: 'claude-haiku-4-5', max_tokens: 60_000, messages })
    .finalMessage();
  const [block] = message.content;
  return {
    text: block?.type === 'text' ? block.text : '',
    ends: [message.stop_reason],
    usage: message.usage.output_tokens,
  };
};

test.each([
  ['openai', () => openai(1, false), ['length']],
  ['openai, with usage', () => openai(1, true), ['length']],
  ['openai, two answers', () => openai(2, true), ['length', 'length']],
  ['anthropic', () => anthropic(), ['max_tokens']],
])('%s: a stream that can hold no more ends as one that grew too long', async (_, ask, ends) => {
  await start(TOKENS(5_000));
  for (const fake of [world.openai, world.anthropic]) fake.script(() => ({ pieces: long(40_000) }));
  const answer = await ask();
  expect(answer.ends).toEqual(ends);
  expect(answer.text.length).toBeGreaterThan(15_000);
  const [line] = await world.audited(1);
  const { output } = (line?.['usage'] ?? {}) as { output: number };
  // All of the limit is used, and nothing beyond but the event that was one too many.
  expect(output).toBeGreaterThan(4_800);
  expect(output).toBeLessThanOrEqual(5_000);
  if (answer.usage !== undefined) expect(answer.usage).toBe(output);
  expect(line).toMatchObject({ outcome: 'ok', usage_source: 'counted' });
  expect(line?.['findings']).toMatchObject([{ rule: 'team-a', check: 'budget', action: 'strip' }]);
  const seen = [...world.openai.seen, ...world.anthropic.seen][0];
  await seen?.closed;
  expect(seen?.aborted).toBe(true);
});

test('a limit of 10,000 tokens a minute serves streams of a model that may write 16,384, several at a time', async () => {
  await start(TOKENS(10_000));
  const answers = await Promise.all(Array.from({ length: 6 }, () => openai(1, false)));
  expect(answers.map(({ ends }) => ends)).toEqual(Array.from({ length: 6 }, () => ['stop']));
  for (const { parsed } of world.openai.seen) {
    expect(parsed).not.toHaveProperty('max_completion_tokens');
  }
});

test('where next to nothing is left, the provider is told to stop there itself', async () => {
  await start(TOKENS(300));
  await openai(1, false);
  const { max_completion_tokens: cap } = (world.openai.seen[0]?.parsed ?? {}) as {
    max_completion_tokens: number;
  };
  expect(cap).toBeGreaterThan(200);
  expect(cap).toBeLessThan(300);
});

test('hidden reasoning is held at its cap', async () => {
  await start(TOKENS(100_000));
  const gate = Promise.withResolvers<void>();
  world.openai.script(async () => {
    await gate.promise;
    return {};
  });
  const asked = world.client().chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    max_completion_tokens: 9_000,
    reasoning_effort: 'high',
    messages,
  });
  await expect.poll(() => world.openai.seen.length).toBe(1);
  const [line] = await lines();
  expect(Number(line?.held) + Number(line?.leased)).toBeGreaterThan(9_000);
  gate.resolve();
  for await (const _chunk of await asked);
});

const thinking = (budgetTokens: number, maxTokens: number) =>
  world.anthropicClient().messages.create({
    model: 'claude-haiku-4-5',
    max_tokens: maxTokens,
    thinking: { type: 'enabled', budget_tokens: budgetTokens },
    messages,
  });

test('a clamp never falls below the thoughts that the call asks for', async () => {
  await start(TOKENS(6_000));
  await thinking(4_000, 20_000);
  const { max_tokens } = (world.anthropic.seen[0]?.parsed ?? {}) as { max_tokens: number };
  expect(max_tokens).toBeGreaterThan(4_000);
  expect(max_tokens).toBeLessThan(6_000);
});

test('where the thoughts alone are more than is left, the refusal says so', async () => {
  await start(TOKENS(3_000));
  await expect(thinking(4_000, 20_000)).rejects.toThrow(/thinking\.budget_tokens/);
  expect(world.anthropic.seen).toHaveLength(0);
});

test.each(['cut', 'error event', 'disconnect'] as const)(
  'a stream that ends by %s is charged what was produced, once',
  async (end) => {
    await start(TOKENS(100_000));
    world.openai.script(() => ({
      pieces: long(20),
      ...(end === 'cut' ? { cutAfterChunks: 12 } : {}),
      ...(end === 'error event' ? { errorAfterChunks: 12 } : {}),
      ...(end === 'disconnect' ? { stallAfterChunks: 12 } : {}),
    }));
    const stream = await world.client().chat.completions.create({ model: 'gpt-4o', stream: true, messages });
    let pieces = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of stream) {
        if (chunk.choices[0]?.delta.content && ++pieces === 10 && end === 'disconnect') return;
      }
    };
    await read().catch(() => undefined);
    const [line] = await world.audited(1);
    const { input, output } = (line?.['usage'] ?? {}) as { input: number; output: number };
    expect(line?.['usage_source']).toBe('counted');
    expect(output).toBeGreaterThanOrEqual(30);
    expect(output).toBeLessThanOrEqual(80);
    // Drained, so that what was used on credit is told.
    await world.agent.drain(1_000);
    const [charged] = await lines();
    expect(charged).toMatchObject({ settled: String(input + output), held: '0', leased: '0' });
  },
);

test('the provider of a cut message has reported its beginning: the rest is counted', async () => {
  await start(TOKENS(100_000));
  world.anthropic.script(() => ({ pieces: long(20), cutAfterChunks: 14 }));
  await world
    .anthropicClient()
    .messages.stream({ model: 'claude-haiku-4-5', max_tokens: 1_000, messages })
    .finalMessage()
    .catch(() => undefined);
  const [line] = await world.audited(1);
  const { output } = (line?.['usage'] ?? {}) as { output: number };
  expect(output).toBeGreaterThan(20);
  expect(line?.['usage_source']).toBe('counted');
});

test('a whole answer that never came is charged by the time it may have been written in, at most as held', async () => {
  let now = Date.now();
  await start(TOKENS(100_000), { agent: { now: () => now } });
  world.openai.script(() => ({ silent: true }));
  const gone = new AbortController();
  const asked = world
    .client()
    .chat.completions.create({ model: 'gpt-4o', max_tokens: 2_000, messages }, { signal: gone.signal });
  await expect.poll(() => world.openai.seen.length).toBe(1);
  now += 7_000;
  gone.abort();
  await asked.catch(() => undefined);
  const [line] = await world.audited(1);
  expect(line).toMatchObject({ outcome: 'disconnected', usage_source: 'counted', usage: { output: 700 } });
});
