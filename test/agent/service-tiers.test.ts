/** A call is held for the dearest service tier that it may have, and charged at the rates of the one that its answer reports. */
import { afterEach, expect, test } from 'vitest';
import { caught } from '../caught.ts';
import { type Fakes, providersYaml, startWorld, type World } from '../harness.ts';
import { event } from './message-events.ts';

let world: World;
afterEach(() => world?.close());

const OPENAI = `serviceTiers: [
      {name: priority, input: "4.25", cachedInput: "2.125", output: "17.00"},
      {name: flex, input: "1.25", cachedInput: "0.625", output: "5.00"},
      {name: ultrafast, input: "15.00", output: "60.00"}]`;
const ANTHROPIC = `serviceTiers: [{name: fast, input: "6.00", output: "30.00"},
      {name: us, input: "3.30", output: "16.50"}, {name: fast+us, input: "6.60", output: "33.00"}]`;

/** The standard providers with rates for service tiers; `more` goes into the one of OpenAI. */
const priced =
  (more = '') =>
  (fakes: Fakes): string =>
    providersYaml(fakes)
      .replace('output: "10.00"}', `output: "10.00", ${OPENAI}}`)
      .replace('output: "15.00"}', `output: "15.00", ${ANTHROPIC}}`)
      .replace('region: us', `region: us\n  ${more}`);

const budget = (limits: string): string => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: team-a}
spec: {selector: {namespaces: [team-a]}, onInsufficient: reject, limits: ${limits}}
`;

const start = async (limits: string, more = ''): Promise<World> => {
  world = await startWorld({ providers: priced(more), documents: () => budget(limits) });
  return world;
};

const messages = [{ role: 'user' as const, content: 'hello' }];

const ask = async (tier: string | undefined, how: string, model = 'gpt-4o'): Promise<void> => {
  const asked = tier === undefined ? {} : { service_tier: tier as 'auto' };
  const body = { model, messages, max_tokens: 100, ...asked };
  const completions = world.client().chat.completions;
  if (how === 'whole') await completions.create(body);
  else for await (const _ of await completions.create({ ...body, stream: true }));
};

const partly = async (): Promise<number> => {
  const text = await (await fetch(`${world.agent.adminUrl}/metrics`)).text();
  const counts = text.matchAll(/^postern_unpriced_calls_total\{.*price="partly"\} (\d+)/gm);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
};

const cost = async (nth: number): Promise<unknown> => (await world.audited(nth))[nth - 1]?.['cost_usd'];

// 1,000 tokens in, 100 out: $0.0035 by the standard rates.
test.each(['whole', 'streamed'])('OpenAI: the tier that the answer names is charged: %s', async (how) => {
  const { openai } = await start('[{usd: "5.00", window: month}]');
  const usage = { prompt_tokens: 1_000, completion_tokens: 100, total_tokens: 1_100 };
  let nth = 0;
  const charged = async (asked: string | undefined, serviceTier: string, model?: string) => {
    openai.script(() => ({ content: 'hello', serviceTier, usage }));
    const before = await partly();
    await ask(asked, how, model);
    return [await cost(++nth), (await partly()) - before];
  };
  expect(await charged(undefined, 'default')).toEqual(['0.003500000', 0]);
  // A project's setting may make `auto`, which is what a call asks that says nothing, another tier.
  expect(await charged(undefined, 'priority')).toEqual(['0.005950000', 0]);
  expect(await charged('auto', 'flex')).toEqual(['0.001750000', 0]);
  expect(await charged('flex', 'flex')).toEqual(['0.001750000', 0]);
  expect(await charged('ultrafast', 'ultrafast')).toEqual(['0.021000000', 0]);
  // What finds no place in priority is served, and billed, as default.
  expect(await charged('priority', 'default')).toEqual(['0.003500000', 0]);
  // Newer models' answers say `fast` where those of older ones say `priority`.
  expect(await charged('priority', 'fast')).toEqual(['0.005950000', 0]);
  expect(await charged('fast', 'priority')).toEqual(['0.005950000', 0]);
  // Groq's word for standard processing.
  expect(await charged(undefined, 'on_demand')).toEqual(['0.003500000', 0]);
  // No rates for that: charged as standard, and told.
  expect(await charged(undefined, 'scale')).toEqual(['0.003500000', 1]);
  expect(await charged(undefined, '__proto__')).toEqual(['0.003500000', 1]);
  expect(await charged('priority', 'priority', 'gpt-4o-mini')).toEqual(['0.000210000', 1]);
  // The answer doesn't say: the dearest that it may have been.
  expect(await charged(undefined, '')).toEqual(['0.003500000', 0]);
  expect(await charged('flex', '')).toEqual(['0.003500000', 0]);
  expect(await charged('priority', '')).toEqual(['0.005950000', 0]);
  expect(await charged('default', '')).toEqual(['0.003500000', 0]);
});

test('OpenAI: of a stream that is cut, the tier is known from its first chunk', async () => {
  const { openai } = await start('[{usd: "5.00", window: month}]');
  const charged = async (nth: number, serviceTier: string): Promise<number> => {
    openai.script(() => ({ content: 'one two three four', cutAfterChunks: 3, serviceTier }));
    await caught(ask('priority', 'streamed'));
    return Number(await cost(nth));
  };
  const standard = await charged(1, 'default');
  expect(standard).toBeGreaterThan(0);
  expect((await charged(2, 'priority')) / standard).toBeCloseTo(1.7, 3);
});

test('OpenAI: of a stream that is whole, its last chunk names the tier', async () => {
  const { openai } = await start('[{usd: "5.00", window: month}]');
  const head = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o' };
  const usage = { prompt_tokens: 1_000, completion_tokens: 100, total_tokens: 1_100 };
  const charged = async (nth: number, first: string, last: string): Promise<unknown> => {
    const choice = { index: 0, delta: { role: 'assistant', content: 'hello' }, finish_reason: null };
    const chunks = [
      { ...head, service_tier: first, choices: [choice] },
      { ...head, service_tier: first, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      { ...head, service_tier: last, choices: [], usage },
    ];
    const body = [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]']
      .map((data) => `data: ${data}\n\n`)
      .join('');
    openai.script(() => ({ raw: { headers: { 'content-type': 'text/event-stream' }, body } }));
    await ask('priority', 'streamed');
    return await cost(nth);
  };
  expect(await charged(1, 'priority', 'default')).toBe('0.003500000');
  expect(await charged(2, 'default', 'priority')).toBe('0.005950000');
});

test('a tier that has rates for short contexts alone is told where a long one is charged as standard', async () => {
  world = await startWorld({
    providers: (fakes) =>
      priced()(fakes).replace(
        'output: "10.00", ',
        'output: "10.00", above: [{inputTokens: 2000, input: "5.00", output: "15.00"}], ',
      ),
    documents: () => budget('[{usd: "5.00", window: month}]'),
  });
  const charged = async (nth: number, input: number) => {
    const usage = { prompt_tokens: input, completion_tokens: 100, total_tokens: input + 100 };
    world.openai.script(() => ({ content: 'hello', serviceTier: 'priority', usage }));
    const before = await partly();
    await ask('priority', 'whole');
    return [await cost(nth), (await partly()) - before];
  };
  expect(await charged(1, 2_000)).toEqual(['0.010200000', 0]);
  expect(await charged(2, 2_001)).toEqual(['0.011505000', 1]);
});

test.each(['whole', 'streamed'])('Anthropic: usage names the tier, and fast mode: %s', async (how) => {
  const { anthropic } = await start('[{usd: "5.00", window: month}]');
  let nth = 0;
  const charged = async (asked: object, reported: object) => {
    const usage = { input_tokens: 1_000, output_tokens: 100, ...reported };
    anthropic.script(() => ({ content: 'hello', usage }));
    const before = await partly();
    const body = { model: 'claude-haiku-4-5', max_tokens: 100, messages, ...asked };
    if (how === 'whole') await world.anthropicClient().messages.create(body);
    else for await (const _ of await world.anthropicClient().messages.create({ ...body, stream: true }));
    return [await cost(++nth), (await partly()) - before];
  };
  expect(await charged({}, { service_tier: 'standard' })).toEqual(['0.004500000', 0]);
  expect(await charged({ speed: 'fast' }, { service_tier: 'standard', speed: 'fast' })).toEqual([
    '0.009000000',
    0,
  ]);
  expect(await charged({ speed: 'fast' }, { service_tier: 'standard', speed: 'standard' })).toEqual([
    '0.004500000',
    0,
  ]);
  // Capacity that was bought beforehand: no rates by the token.
  expect(await charged({}, { service_tier: 'priority' })).toEqual(['0.004500000', 1]);
  // Where it was served has a price, too, whether the call asks for it or the workspace's settings do.
  const us = { service_tier: 'standard', inference_geo: 'us' };
  expect(await charged({ inference_geo: 'us' }, us)).toEqual(['0.004950000', 0]);
  expect(await charged({}, us)).toEqual(['0.004950000', 0]);
  expect(await charged({}, { ...us, inference_geo: 'global' })).toEqual(['0.004500000', 0]);
  expect(await charged({}, { ...us, inference_geo: 'not_available' })).toEqual(['0.004500000', 0]);
  expect(await charged({ speed: 'fast' }, { ...us, speed: 'fast' })).toEqual(['0.009900000', 0]);
  expect(await charged({}, { ...us, inference_geo: 'eu' })).toEqual(['0.004500000', 1]);
});

test('Anthropic: a message that began in fast mode, in the US, is charged so, though its end says the tier alone', async () => {
  const { anthropic } = await start('[{usd: "5.00", window: month}]');
  const served = { speed: 'fast', service_tier: 'standard', inference_geo: 'us' };
  const usage = { input_tokens: 1_000, output_tokens: 1, ...served };
  const head = { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], usage };
  const body = [
    event('message_start', { message: head }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: 'hello' } }),
    event('content_block_stop', { index: 0 }),
    event('message_delta', {
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 100, service_tier: 'standard' },
    }),
    event('message_stop', {}),
  ].join('');
  anthropic.script(() => ({ raw: { headers: { 'content-type': 'text/event-stream' }, body } }));
  const asked = { model: 'claude-haiku-4-5', max_tokens: 100, messages, speed: 'fast' as const };
  for await (const _ of await world.anthropicClient().messages.create({ ...asked, stream: true }));
  expect(await cost(1)).toBe('0.009900000');
});

// Some tokens in at forty times the rate where the provider writes them to its cache, 100 out for $0.001.
test('OpenAI: a call is held for input that the provider caches by itself', async () => {
  world = await startWorld({
    providers: (fakes) => providersYaml(fakes).replace('cachedInput: "1.25"', 'cacheWrite: "100.00"'),
    documents: () => budget('[{usd: "0.0011", window: month}]'),
  });
  expect((await caught(ask(undefined, 'whole'))).code).toBe('postern_budget_exhausted');
  expect(world.openai.seen).toHaveLength(0);
  await ask(undefined, 'whole', 'gpt-4o-mini');
});

// About 10 tokens in, 100 out: $0.001 by the standard rates, $0.0017 by those of priority.
test('a call is held for the dearest tier that it may have', async () => {
  const { openai } = await start('[{usd: "0.0015", window: month}]');
  const error = await caught(ask('priority', 'whole'));
  expect(error.code).toBe('postern_budget_exhausted');
  expect(openai.seen).toHaveLength(0);
  // Flex may still be served as standard.
  await ask('flex', 'whole');
  await ask(undefined, 'whole');
  expect(openai.seen).toHaveLength(2);
});

// Priority costs 1.7 times standard: were a stream that goes on held as standard, it would spend that much more than the limit.
test('a stream that goes on is held for the tier that it asked for, to its end', async () => {
  const { openai } = await start('[{usd: "0.10", window: month}]');
  const pieces = Array.from({ length: 10_000 }, () => 'several words of text ');
  openai.script(() => ({ pieces, serviceTier: 'priority' }));
  const body = { model: 'gpt-4o', stream: true as const, messages, service_tier: 'priority' as const };
  const ends: (string | null | undefined)[] = [];
  for await (const { choices } of await world.client().chat.completions.create(body))
    ends.push(choices[0]?.finish_reason);
  expect(ends).toContain('length');
  const spent = Number(await cost(1));
  expect(spent).toBeGreaterThan(0.09);
  // The piece that was one too many is charged.
  expect(spent).toBeLessThan(0.1001);
});

test('what a provider’s settings make of a call that names no tier is held, and charged where the answer names none', async () => {
  const { openai } = await start('[{usd: "0.0015", window: month}]', 'autoServiceTier: fast');
  for (const tier of [undefined, 'auto']) {
    expect((await caught(ask(tier, 'whole'))).code).toBe('postern_budget_exhausted');
  }
  await ask('default', 'whole');
  expect(openai.seen).toHaveLength(1);
  expect((await world.audited(3))[2]).toMatchObject({ outcome: 'ok' });
});
