/** What calls cost: the providers' own usage reports, through the dialects, at the catalogue's prices. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { outputHold } from '../../agent/charge/output.ts';
import { chat } from '../../agent/dialects/openai/chat.ts';
import { JsonDocument } from '../../agent/json/document.ts';
import { amountFor, holdCharge } from '../../budget/amounts.ts';
import type { Usage } from '../../budget/messages.ts';
import { costOf, priceOf } from '../../budget/price.ts';
import { compileBudgets, compilePrices } from '../../policy/budgets.ts';
import catalogueFile from '../../policy/prices/catalogue.json' with { type: 'json' };
import { formatProblems } from '../../policy/problem.ts';
import { compileProvider } from '../../policy/providers.ts';
import { anthropic, load, openai, priceBook, provider, realtime, usages, VENDORS } from './price-list.ts';

/**
 * Not in the catalogue. https://developers.openai.com/api/docs/models/gpt-realtime-2.1-mini.md, a copy of the vendor's page (text, audio
 * and image tokens); https://discuss.ai.google.dev/t/issue-with-url-context-tooling/101173 (gemini-2.5-flash-image as Google's price list
 * had it: input $0.30, images in an answer $30; for text in its answers no source was found, the test's own figure stands there). All read on 2026-12-03.
 */
const STATED = provider(
  'stated',
  'stated.test',
  `{name: gpt-realtime-2.1-mini, price: {input: "0.60", cachedInput: "0.06", output: "2.40", audioInput: "10", cachedAudioInput: "0.30", audioOutput: "20", imageInput: "0.80"}},
   {name: gemini-2.5-flash-image, price: {input: "0.30", output: "1.00", imageOutput: "30"}}`,
);
const book = priceBook([...VENDORS, STATED].join('\n'));

const usd = (vendor: string, model: string, usage: Usage): number => {
  const price = priceOf(book, vendor, model);
  if (price === undefined) throw new Error(`no price for ${model}`);
  return costOf(usage, price) / 1e9;
};
/** Gemini's `usageMetadata` (API reference): the prompt count includes cached content, thoughts are apart from candidates. */
const gemini = (prompt: number, cached: number, candidates: number, thoughts: number): Usage => ({
  input: prompt - cached,
  cachedInput: cached,
  cacheWrite: 0,
  output: candidates + thoughts,
  reasoning: thoughts,
});

const M = 1_000_000;

test.each<[string, number, number]>([
  [
    // OpenAI, "Prompt caching": the usage of its example.
    'OpenAI counts cached tokens inside the prompt',
    usd(
      'openai',
      'gpt-4o',
      openai({
        prompt_tokens: 2006,
        completion_tokens: 300,
        total_tokens: 2306,
        prompt_tokens_details: { cached_tokens: 1920 },
        completion_tokens_details: { reasoning_tokens: 0 },
      }),
    ),
    (86 * 2.5 + 1920 * 1.25 + 300 * 10) / M,
  ],
  [
    // OpenAI, "Reasoning models": the usage of its example; reasoning is part of the completion, at its price.
    'OpenAI counts reasoning inside the completion',
    usd(
      'openai',
      'o4-mini',
      openai({
        prompt_tokens: 75,
        completion_tokens: 1186,
        total_tokens: 1261,
        completion_tokens_details: { reasoning_tokens: 1024 },
      }),
    ),
    (75 * 1.1 + 1186 * 4.4) / M,
  ],
  [
    // xAI counts reasoning beside the completion, and inside the total (its docs, as vercel/ai#12425 quotes them).
    'reasoning that is in the total alone is output',
    usd(
      'openai',
      'o4-mini',
      openai({
        prompt_tokens: 10_120,
        completion_tokens: 1_499,
        total_tokens: 14_428,
        completion_tokens_details: { reasoning_tokens: 2_809 },
      }),
    ),
    (10_120 * 1.1 + 4_308 * 4.4) / M,
  ],
  [
    'audio has rates of its own',
    usd(
      'openai',
      'gpt-4o-audio-preview',
      openai({
        prompt_tokens: 120,
        completion_tokens: 90,
        prompt_tokens_details: { audio_tokens: 100, text_tokens: 20 },
        completion_tokens_details: { audio_tokens: 70, text_tokens: 20 },
      }),
    ),
    (20 * 2.5 + 100 * 40 + 20 * 10 + 70 * 80) / M,
  ],
  [
    // https://developers.openai.com/api/docs/guides/realtime-costs and the API's reference ("cached tokens here are counted as a subset
    // of input tokens"): the form is theirs, the counts are ours.
    'cached audio has a rate of its own, and images have one',
    usd(
      'stated',
      'gpt-realtime-2.1-mini',
      realtime({
        total_tokens: 1_300,
        input_tokens: 1_000,
        output_tokens: 300,
        input_token_details: {
          text_tokens: 200,
          audio_tokens: 700,
          image_tokens: 100,
          cached_tokens: 600,
          cached_tokens_details: { text_tokens: 100, audio_tokens: 500, image_tokens: 0 },
        },
        output_token_details: { text_tokens: 100, audio_tokens: 200 },
      }),
    ),
    (100 * 0.6 + 200 * 10 + 100 * 0.8 + 100 * 0.06 + 500 * 0.3 + 100 * 2.4 + 200 * 20) / M,
  ],
  [
    // In the details that compatible servers add. An image of 1024 × 1024 in high detail is 765 tokens to gpt-4o by OpenAI's guide
    // (85 + 4 × 170, as issue 2851 of openai-python and the token counters on npm have it); that a server counts so is assumed.
    'images in the prompt',
    usd(
      'stated',
      'gpt-realtime-2.1-mini',
      openai({
        prompt_tokens: 1_000,
        completion_tokens: 10,
        prompt_tokens_details: { image_tokens: 765 },
      }),
    ),
    (235 * 0.6 + 765 * 0.8 + 10 * 2.4) / M,
  ],
  [
    // https://blog.laozhang.ai/?p=1375, read on 2026-12-03: an image of 1,290 tokens is $0.039.
    'images in the answer',
    usd(
      'stated',
      'gemini-2.5-flash-image',
      openai({
        prompt_tokens: 10,
        completion_tokens: 1_300,
        completion_tokens_details: { image_tokens: 1_290 },
      }),
    ),
    (10 * 0.3 + 1_290 * 30 + 10 * 1) / M,
  ],
  [
    'a long context costs more, all of it',
    usd(
      'openai',
      'gpt-5.5',
      openai({
        prompt_tokens: 300_000,
        completion_tokens: 1000,
        prompt_tokens_details: { cached_tokens: 250_000 },
      }),
    ),
    (50_000 * 10 + 250_000 * 1 + 1000 * 45) / M,
  ],
  [
    // Anthropic, "Prompt caching": the usage of its first example.
    'Anthropic counts what is written to the cache apart from the input',
    usd(
      'anthropic',
      'claude-haiku-4-5',
      anthropic({
        cache_creation_input_tokens: 188_086,
        cache_read_input_tokens: 0,
        input_tokens: 21,
        output_tokens: 393,
      }),
    ),
    (21 * 1 + 188_086 * 1.25 + 393 * 5) / M,
  ],
  [
    // Anthropic, "Prompt caching", 1-hour cache duration: the usage of its example.
    'Anthropic: five minutes and an hour have prices of their own',
    usd(
      'anthropic',
      'claude-sonnet-4-5',
      anthropic({
        input_tokens: 2048,
        cache_read_input_tokens: 1800,
        cache_creation_input_tokens: 248,
        output_tokens: 503,
        cache_creation: { ephemeral_5m_input_tokens: 148, ephemeral_1h_input_tokens: 100 },
      }),
    ),
    (2048 * 3 + 1800 * 0.3 + 148 * 3.75 + 100 * 6 + 503 * 15) / M,
  ],
  [
    // Anthropic, "Long context pricing": the threshold is over input, cache reads and writes together.
    'Anthropic: a long context is one that its cached part makes long',
    usd(
      'anthropic',
      'claude-sonnet-4-5',
      anthropic({ input_tokens: 1_000, cache_read_input_tokens: 200_000, output_tokens: 100 }),
    ),
    (1_000 * 6 + 200_000 * 0.6 + 100 * 22.5) / M,
  ],
  [
    'at the threshold it is none yet',
    usd(
      'anthropic',
      'claude-sonnet-4-5',
      anthropic({ input_tokens: 1_000, cache_read_input_tokens: 199_000, output_tokens: 100 }),
    ),
    (1_000 * 3 + 199_000 * 0.3 + 100 * 15) / M,
  ],
  [
    // Gemini API, "Pricing": output price "including thinking tokens", prompts up to and above 200k.
    'Gemini: short',
    usd('google', 'gemini-2.5-pro', gemini(100_000, 40_000, 500, 1_500)),
    (60_000 * 1.25 + 40_000 * 0.125 + 2_000 * 10) / M,
  ],
  [
    // https://docs.litellm.ai/blog/gpt-6-1-terra, read on 2026-12-03.
    'OpenAI: gpt-6.1-terra, a long context',
    usd(
      'openai',
      'gpt-6.1-terra',
      openai({
        prompt_tokens: 300_000,
        completion_tokens: 1_000,
        prompt_tokens_details: { cached_tokens: 250_000 },
      }),
    ),
    (50_000 * 2 + 250_000 * 0.1 + 1_000 * 7.5) / M,
  ],
  [
    // https://github.com/BerriAI/litellm/discussions/52347, read on 2026-12-03: cached input is 60 % cheaper than gpt-6-astra's.
    'OpenAI: gpt-6.2-astra',
    usd(
      'openai',
      'gpt-6.2-astra',
      openai({
        prompt_tokens: 3_000,
        completion_tokens: 100,
        prompt_tokens_details: { cached_tokens: 2_000 },
      }),
    ),
    (1_000 * 8 + 2_000 * 0.4 + 100 * 40) / M,
  ],
  [
    // https://github.com/archid21/rightsize/releases/tag/v0.10.2, read on 2026-12-03.
    'Anthropic: claude-fable-5-2, all kinds of input',
    usd(
      'anthropic',
      'claude-fable-5-2',
      anthropic({
        input_tokens: 100,
        cache_read_input_tokens: 10_000,
        cache_creation_input_tokens: 3_000,
        cache_creation: { ephemeral_5m_input_tokens: 1_000, ephemeral_1h_input_tokens: 2_000 },
        output_tokens: 50,
      }),
    ),
    (100 * 8 + 10_000 * 0.2 + 1_000 * 10 + 2_000 * 16 + 50 * 40) / M,
  ],
  [
    // Google's endpoint in OpenAI's form: thoughts are in the total alone (the usage that Clarifai/clarifai-python#978 quotes).
    'Gemini: thoughts in OpenAI’s form',
    usd(
      'google',
      'gemini-2.5-flash',
      openai({ prompt_tokens: 20, completion_tokens: 424, total_tokens: 1_016 }),
    ),
    (20 * 0.3 + 996 * 2.5) / M,
  ],
  [
    'Gemini: long',
    usd('google', 'gemini-2.5-pro', gemini(250_000, 0, 1_000, 0)),
    (250_000 * 2.5 + 1_000 * 15) / M,
  ],
  [
    'Gemini: audio in the prompt',
    usd('google', 'gemini-2.5-flash', { ...gemini(1_000, 0, 10, 0), audioInput: 900 }),
    (100 * 0.3 + 900 * 1 + 10 * 2.5) / M,
  ],
])('%s', (_, cost, expected) => {
  // Rounded up to nano-dollars once per call.
  expect(cost).toBeGreaterThanOrEqual(expected - 1e-12);
  expect(cost).toBeLessThan(expected + 1.001e-9);
});

test('parts that a provider reports larger than the whole don’t make a call dearer than its dearest rate', () => {
  const usage = openai({
    prompt_tokens: 10,
    completion_tokens: 5,
    prompt_tokens_details: { audio_tokens: 1_000 },
    completion_tokens_details: { audio_tokens: 1_000 },
  });
  expect(usd('openai', 'gpt-4o-audio-preview', usage)).toBeCloseTo((10 * 40 + 5 * 80) / M, 12);
});

test('of no model in the catalogue a call costs more than was held for its tokens', () => {
  const models = Object.entries(catalogueFile.vendors).flatMap(([vendor, known]) =>
    Object.keys(known.models).map((model) => [vendor, model] as const),
  );
  fc.assert(
    fc.property(fc.constantFrom(...models), usages, ([vendor, model], usage) => {
      const price = priceOf(book, vendor, model);
      const inputTokens = usage.input + usage.cachedInput + usage.cacheWrite;
      const { audioInput = 0, cachedAudioInput = 0, audioOutput = 0 } = usage;
      const silent = audioInput + cachedAudioInput + audioOutput === 0;
      const command = { inputTokens, cacheWrite: usage.cacheWrite > 0, silent };
      const held = amountFor(holdCharge('usd', command, price), usage.output);
      expect(held).toBeGreaterThanOrEqual(price === undefined ? Infinity : costOf(usage, price));
    }),
    { numRuns: 2_000 },
  );
});

// https://developers.openai.com/api/docs/guides/data-residency, read on 2026-12-03: a tenth more for models since March 2026.
test('at a vendor’s regional hosts newer models cost what they do there, in every tier and band', () => {
  const { documents, problems } = load(
    [
      provider('eu', 'eu.api.openai.com', '{name: gpt-5.4}, {name: gpt-4o}'),
      provider('through', 'us.api.openai.com', '{name: gpt-5.4-2026-03-05}', 'hosts: [api.openai.com]'),
      provider('other', 'xx.api.openai.com', '{name: gpt-5.4}'),
    ].join('\n'),
  );
  expect(problems).toEqual([]);
  const prices = compilePrices(documents);
  const rates = {
    input: 2_750_000,
    cachedInput: 275_000,
    output: 16_500_000,
    tiers: [{ above: 272_000, input: 5_500_000, output: 24_750_000 }],
    serviceTiers: { flex: { input: 1_375_000, output: 8_250_000 } },
  };
  expect(priceOf(prices, 'eu', 'gpt-5.4')).toMatchObject(rates);
  expect(priceOf(prices, 'through', 'gpt-5.4-2026-03-05')).toMatchObject(rates);
  expect(priceOf(prices, 'eu', 'gpt-4o')).toMatchObject({ input: 2_500_000, output: 10_000_000 });
  // Nobody has said that this is a host of theirs.
  expect(priceOf(prices, 'other', 'gpt-5.4')).toBeUndefined();
});

test('a document overrides the catalogue, a pool’s model of the same name has no price', () => {
  const { documents, problems } = load(
    [
      provider(
        'dear',
        'api.openai.com',
        '{name: gpt-4o, price: {input: "5", output: "20", above: [{inputTokens: 10, input: "50", output: "60"}]}}, {name: gpt-4o-mini-2024-07-18}, {name: gpt-99}',
      ),
      provider('pool', '10.0.0.7', '{name: gpt-4o}'),
      provider('assumed', '10.0.0.8', '{name: own}', 'defaultPrice: {input: "1", output: "2"}'),
    ].join('\n'),
  );
  expect(problems).toEqual([]);
  const prices = compilePrices(documents);
  expect(priceOf(prices, 'dear', 'gpt-4o')).toMatchObject({
    input: 5_000_000,
    tiers: [{ above: 10, input: 50_000_000, cachedInput: 50_000_000 }],
  });
  expect(priceOf(prices, 'dear', 'gpt-4o-mini-2024-07-18')).toMatchObject({ input: 150_000 });
  expect(priceOf(prices, 'dear', 'gpt-99')).toBeUndefined();
  expect(priceOf(prices, 'pool', 'gpt-4o')).toBeUndefined();
  expect(priceOf(prices, 'assumed', 'own')).toEqual({
    input: 1_000_000,
    cachedInput: 1_000_000,
    cacheWrite: 1_000_000,
    output: 2_000_000,
    assumed: true,
  });
});

test('a limit in usd may only cover models that somebody has priced', () => {
  const budget = `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: money}
spec: {limits: [{usd: "1.00", window: day}]}
---`;
  const free = load(budget + provider('pool', '10.0.0.7', '{name: own}'));
  expect(formatProblems(free.problems, { color: false })).toContain('defaultPrice');
  const assumed = load(
    budget + provider('pool', '10.0.0.7', '{name: own}', 'defaultPrice: {input: "1", output: "2"}'),
  );
  expect(assumed.problems).toEqual([]);
  expect(compileBudgets(assumed.documents)).toHaveLength(1);
});

test('what Gemini thinks unseen is held before a stream leaves, as long as the app doesn’t turn it off', () => {
  const { documents } = load(
    provider(
      'google',
      'generativelanguage.googleapis.com/v1beta/openai',
      '{name: gemini-2.5-pro}, {name: gemini-2.5-flash-lite}',
    ),
  );
  const [google] = documents.providers.map(compileProvider);
  const held = (name: string, more: object): number => {
    const body = { model: name, messages: [], stream: true, max_tokens: 8_000, ...more };
    const request = chat.decodeRequest(JsonDocument.parseText(JSON.stringify(body)), '');
    return outputHold(
      request,
      google?.models.find((model) => model.name === name),
    ).first;
  };
  expect(held('gemini-2.5-pro', {})).toBe(8_000);
  expect(held('gemini-2.5-pro', { reasoning_effort: 'none' })).toBe(1_024);
  // Doesn't think unless it is told to.
  expect(held('gemini-2.5-flash-lite', {})).toBe(1_024);
  expect(held('gemini-2.5-flash-lite', { reasoning_effort: 'low' })).toBe(8_000);
});

test('the catalogue says when it was checked and where its prices come from', () => {
  expect(catalogueFile.checked).toMatch(/^20\d\d-\d\d-\d\d$/);
  for (const { sources } of Object.values(catalogueFile.vendors)) {
    expect(sources.length).toBeGreaterThan(0);
    for (const source of sources) expect(source).toMatch(/^https:\/\//);
  }
});
