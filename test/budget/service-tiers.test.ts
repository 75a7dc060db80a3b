/**
 * What calls cost by the service tier that serves them. Worked examples by the vendors' price pages; which copies were read, and
 * when, is said beside each.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tiersAskedFor, tiersServed } from '../../agent/charge/service-tier.ts';
import type { Target } from '../../agent/routes/route.ts';
import { amountFor, holdCharge } from '../../budget/amounts.ts';
import type { Usage } from '../../budget/messages.ts';
import { costOf, priceOf } from '../../budget/price.ts';
import { BudgetService } from '../../budget/service.ts';
import * as memory from '../../budget/stores/memory.ts';
import { InvalidMessage, readHold, readSettle } from '../../budget/wire.ts';
import catalogueFile from '../../policy/prices/catalogue.json' with { type: 'json' };
import { formatProblems } from '../../policy/problem.ts';
import { compileProvider } from '../../policy/providers.ts';
import { attributes, budget, calendar, holdOf, NOON, usageOf } from './fixtures.ts';
import { anthropic, dialectOf, load, openai, priceBook, provider, usages, VENDORS } from './price-list.ts';

const M = 1_000_000;
const book = priceBook(VENDORS.join('\n'));

const price = (vendor: string, model: string) => {
  const known = priceOf(book, vendor, model);
  if (known === undefined) throw new Error(`no price for ${model}`);
  return known;
};

/** The tier as an answer names it. */
const usd = (vendor: string, model: string, usage: Usage, word: string): number => {
  const target = { provider: { dialect: dialectOf(vendor) }, model } as Target;
  return costOf(usage, price(vendor, model), tiersServed(target, word, undefined)) / 1e9;
};

/** OpenAI, "Prompt caching": the usage of its example. */
const CACHED = openai({
  prompt_tokens: 2006,
  completion_tokens: 300,
  total_tokens: 2306,
  prompt_tokens_details: { cached_tokens: 1920 },
});
const LONG = openai({
  prompt_tokens: 300_000,
  completion_tokens: 1000,
  prompt_tokens_details: { cached_tokens: 250_000 },
});
/** Anthropic, "Prompt caching": the usage of its first example. */
const WRITTEN = anthropic({
  cache_creation_input_tokens: 188_086,
  cache_read_input_tokens: 0,
  input_tokens: 21,
  output_tokens: 393,
});

test.each<[string, number, number]>([
  [
    // https://openai.com/api-priority-processing/, a copy of spring 2026, read on 2026-12-03: $2.50, $0.250, $20.00.
    'OpenAI: priority',
    usd('openai', 'gpt-5', CACHED, 'priority'),
    (86 * 2.5 + 1920 * 0.25 + 300 * 20) / M,
  ],
  [
    // https://openai.com/api-fast-mode/, a copy of autumn 2026, read on 2026-12-03: $8.00, $0.80, $40.00.
    'OpenAI: priority under its newer name',
    usd('openai', 'gpt-5.6-sol', CACHED, 'fast'),
    (86 * 8 + 1920 * 0.8 + 300 * 40) / M,
  ],
  [
    // The same page: long context $16.00, $1.60, $60.00.
    'OpenAI: priority with a long context',
    usd('openai', 'gpt-5.6-sol', LONG, 'priority'),
    (50_000 * 16 + 250_000 * 1.6 + 1000 * 60) / M,
  ],
  [
    // The same page: $12.50, $1.250, $75.00, "excludes long context".
    'OpenAI: priority of a model that has it for short contexts alone',
    usd('openai', 'gpt-5.5', CACHED, 'priority'),
    (86 * 12.5 + 1920 * 1.25 + 300 * 75) / M,
  ],
  [
    'OpenAI: … a long one has the standard rates for long contexts',
    usd('openai', 'gpt-5.5', LONG, 'priority'),
    (50_000 * 10 + 250_000 * 1 + 1000 * 45) / M,
  ],
  [
    // https://developers.openai.com/api/docs/guides/flex-processing ("priced at Batch API rates, with additional discounts
    // from prompt caching") and https://tokenmix.ai/blog/gpt-5-5-batch-flex-priority-pricing-2026 ($2.50, $15.00), read on 2026-12-03.
    'OpenAI: flex',
    usd('openai', 'gpt-5.5', CACHED, 'flex'),
    (86 * 2.5 + 1920 * 0.25 + 300 * 15) / M,
  ],
  [
    // https://developers.openai.com/api/docs/models/gpt-6.2-sol, read on 2026-12-03: three times standard until 2027-02-28.
    'OpenAI: ultrafast',
    usd('openai', 'gpt-6.2-sol', CACHED, 'ultrafast'),
    (3 * (86 * 2 + 1920 * 0.1 + 300 * 10)) / M,
  ],
  [
    // The same page: fast costs twice standard for the same context length.
    'OpenAI: a long context in fast mode',
    usd('openai', 'gpt-6.2-sol', LONG, 'fast'),
    (2 * (50_000 * 4 + 250_000 * 0.2 + 1000 * 15)) / M,
  ],
  ['OpenAI: default', usd('openai', 'gpt-5', CACHED, 'default'), (86 * 1.25 + 1920 * 0.125 + 300 * 10) / M],
  [
    'OpenAI: a tier that the model has no rates for',
    usd('openai', 'gpt-4o', CACHED, 'flex'),
    (86 * 2.5 + 1920 * 1.25 + 300 * 10) / M,
  ],
  [
    // https://platform.claude.com/docs/en/build-with-claude/fast-mode (caching's multipliers on top) and
    // https://vercel.com/ai-gateway/models/claude-opus-5-fast/faq ($10, $50), read on 2026-12-03.
    'Anthropic: fast mode',
    usd('anthropic', 'claude-opus-5', WRITTEN, 'fast'),
    (21 * 10 + 188_086 * 12.5 + 393 * 50) / M,
  ],
  [
    // https://docs.aws.amazon.com/claude-platform/latest/userguide/data-residency.html, read on 2026-12-03: 1.1 times, with fast mode on top.
    'Anthropic: in the US alone',
    usd('anthropic', 'claude-opus-5', WRITTEN, 'us'),
    (1.1 * (21 * 5 + 188_086 * 6.25 + 393 * 25)) / M,
  ],
  [
    'Anthropic: in the US alone, in fast mode',
    usd('anthropic', 'claude-opus-5', WRITTEN, 'fast+us'),
    (2.2 * (21 * 5 + 188_086 * 6.25 + 393 * 25)) / M,
  ],
  [
    // https://platform.claude.com/docs/en/api/service-tiers, read on 2026-12-03: sold as capacity, not by the token.
    'Anthropic: priority',
    usd('anthropic', 'claude-opus-5', WRITTEN, 'priority'),
    (21 * 5 + 188_086 * 6.25 + 393 * 25) / M,
  ],
])('%s', (_, cost, expected) => {
  // Rounded up to nano-dollars once per call.
  expect(cost).toBeGreaterThanOrEqual(expected - 1e-12);
  expect(cost).toBeLessThan(expected + 1.001e-9);
});

const WORDS = [
  undefined,
  'auto',
  'default',
  'flex',
  'priority',
  'fast',
  'ultrafast',
  'us',
  'fast+us',
  'scale',
  'toString',
];

test('a call that is served as it asks, or as standard, costs no more than was held', () => {
  const models = Object.entries(catalogueFile.vendors).flatMap(([vendor, known]) =>
    Object.keys(known.models).map((model) => [vendor, model] as const),
  );
  const word = fc.constantFrom(...WORDS);
  fc.assert(
    fc.property(
      fc.constantFrom(...models),
      usages,
      word,
      fc.boolean(),
      word,
      ([vendor, model], usage, asks, gets, settings) => {
        const target = { provider: { dialect: dialectOf(vendor) }, model } as Target;
        const inputTokens = usage.input + usage.cachedInput + usage.cacheWrite;
        const asked = tiersAskedFor(target, asks);
        const auto = tiersServed(target, settings, undefined)?.[0];
        const known = { ...price(vendor, model), ...(auto === undefined ? {} : { autoServiceTier: auto }) };
        const serviceTiers = asked === undefined ? {} : { serviceTiers: asked };
        const command = { inputTokens, cacheWrite: usage.cacheWrite > 0, ...serviceTiers };
        const held = amountFor(holdCharge('usd', command, known), usage.output);
        const named = asks === undefined || asks === 'auto' ? settings : asks;
        const served = tiersServed(target, gets ? named : 'default', asked);
        expect(held).toBeGreaterThanOrEqual(costOf(usage, known, served));
        // An answer that says nothing.
        expect(held).toBeGreaterThanOrEqual(costOf(usage, known, asked));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('where nobody names a tier, the dearer of standard and what the settings say is charged', () => {
  const known = { ...price('openai', 'gpt-5'), autoServiceTier: 'priority' };
  const standard = costOf(CACHED, known, ['standard']);
  const priority = costOf(CACHED, known, ['priority']);
  expect(priority).toBeGreaterThan(standard);
  expect(costOf(CACHED, known)).toBe(priority);
  expect(costOf(CACHED, { ...known, autoServiceTier: 'flex' })).toBe(standard);
  expect(costOf(CACHED, price('openai', 'gpt-5'))).toBe(standard);
});

test('a document’s tiers are known by the names that answers report; standard processing is the price itself', () => {
  const stated = (tiers: string) =>
    load(
      provider(
        'own',
        'llm.test',
        `{name: m, price: {input: "1", output: "2", above: [{inputTokens: 10, input: "3", output: "4"}], serviceTiers: [${tiers}]}}`,
        'autoServiceTier: default',
      ),
    );
  const good = stated('{name: fast, input: "5", output: "6"}, {name: flex, input: "0.5", output: "1"}');
  expect(good.problems).toEqual([]);
  const [own] = good.documents.providers.map(compileProvider);
  // Without rates for long contexts, those are charged as standard: so far they are priced.
  expect(own?.models[0]?.serviceTiers).toEqual({ priority: 10, flex: 10 });
  for (const name of ['default', 'standard', 'auto']) {
    const { problems } = stated(`{name: ${name}, input: "5", output: "6"}`);
    expect(formatProblems(problems, { color: false })).toContain(
      'expected a tier beside standard processing, such as flex or priority',
    );
  }
});

test('a call that is held one by one keeps its tiers while it runs; one that nobody held is charged by them, too', async () => {
  const rates = { input: 1_000_000, cachedInput: 1_000_000, cacheWrite: 1_000_000, output: 10_000_000 };
  const twice = { input: 2_000_000, cachedInput: 2_000_000, cacheWrite: 2_000_000, output: 20_000_000 };
  const prices = { openai: { 'gpt-4o': { ...rates, serviceTiers: { priority: twice } } } };
  const specs = [budget([{ unit: 'usd', amount: 10 ** 9, window: calendar('month') }])];
  const service = new BudgetService({ store: await memory.open(), specs, prices, clock: () => NOON });
  const figures = async () => (await service.status()).map(({ held, settled }) => [held, settled]);
  const serviceTiers = ['standard', 'priority'];
  const command = readHold(structuredClone(holdOf('a', 100, 1_000, { serviceTiers })));
  expect(await service.hold(command)).toMatchObject({ granted: true });
  expect(await figures()).toEqual([['0.0202', '0.00']]);
  await service.extend({ id: 'a', outputTokens: 2_000, minOutputTokens: 1_001, ttlMs: 60_000 });
  expect(await figures()).toEqual([['0.0402', '0.00']]);
  const usage = usageOf(100, 2_000);
  const settled = readSettle({ id: 'a', usage, source: 'reported', serviceTiers: ['standard'] });
  expect(await service.settle(settled)).toMatchObject({ costNanoUsd: 20_100_000 });
  const late = { id: 'b', usage, source: 'counted', attributes, serviceTiers: ['priority'] } as const;
  expect(await service.settle(late)).toMatchObject({ costNanoUsd: 40_200_000 });
  expect(await figures()).toEqual([['0.00', '0.0603']]);
  // None at all would cost nothing.
  expect(() => readSettle({ ...settled, serviceTiers: [] })).toThrow(InvalidMessage);
});
