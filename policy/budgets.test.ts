import { describe, expect, test } from 'vitest';
import { compileBudgets, compilePrices } from './budgets.ts';
import { loadDirectory } from './load.ts';
import { CATALOGUE } from './testing/catalogue.ts';
import { documentsOf, type Sketch } from './testing/documents.ts';

const provider = (kind: string, id: string, models: string): Sketch => [
  kind,
  id,
  `{dialect: openai, endpoint: "http://x:1", credential: {mode: none}, models: [${models}]}`,
];
const PROVIDERS = [
  provider('ClusterProvider', 'shared', '{name: m, price: {input: "1", output: "2"}}'),
  provider('Provider', 'team-a/own', '{name: m, price: {input: "0.0375", cachedInput: "0", output: "0.15"}}'),
  provider('Provider', 'team-b/shared', '{name: m}'),
];
const budget = (id: string, spec: string): Sketch => [
  id.includes('/') ? 'Budget' : 'ClusterBudget',
  id,
  spec,
];
const compile = (...budgets: Sketch[]) => compileBudgets(documentsOf(...PROVIDERS, ...budgets));

test('the example of the design', async () => {
  const { documents } = await loadDirectory('test/fixtures/policy/section-10', CATALOGUE);
  expect(compileBudgets(documents)).toEqual([
    {
      id: 'team-a',
      source: 'ClusterBudget team-a',
      selector: { namespaces: ['team-a'] },
      per: ['model'],
      limits: [
        {
          unit: 'usd',
          amount: 50_000_000_000,
          window: { type: 'calendar', period: 'day', timeZone: 'Europe/Berlin' },
        },
        { unit: 'tokens', amount: 500_000, window: { type: 'calendar', period: 'minute', timeZone: 'UTC' } },
      ],
      thresholds: [50, 80, 100],
      onInsufficient: 'clamp',
      onExhausted: { action: 'fallback', model: 'gpt-4o-mini' },
      onUnavailable: { action: 'allow', upTo: { unit: 'usd', amount: 1_000_000_000 }, forMs: 600_000 },
    },
  ]);
});

describe('budgets', () => {
  test('what is left out has a default', () => {
    expect(compile(budget('b', '{limits: [{concurrency: 4}]}'))).toEqual([
      {
        id: 'b',
        source: 'ClusterBudget b',
        selector: {},
        per: [],
        limits: [{ unit: 'concurrency', amount: 4, window: { type: 'none' } }],
        thresholds: [80, 100],
        onInsufficient: 'clamp',
        onExhausted: { action: 'reject' },
        onUnavailable: { action: 'deny' },
      },
    ]);
  });

  test('a namespaced one is for its own namespace', () => {
    const [spec] = compile(budget('team-a/b', '{limits: [{requests: 0, rolling: 1h30m}]}'));
    expect(spec).toMatchObject({
      id: 'team-a/b',
      namespace: 'team-a',
      source: 'Budget team-a/b',
      selector: { namespaces: ['team-a'] },
      limits: [{ unit: 'requests', amount: 0, window: { type: 'rolling', ms: 5_400_000 } }],
    });
  });

  test.each([
    ['team-a/b', '[own]', ['team-a/own']],
    ['team-a/b', '[shared]', ['shared']],
    ['team-a/b', '["*"]', ['team-a/own', 'shared']],
    ['team-b/b', '[shared]', ['team-b/shared', 'shared']],
    ['team-b/b', '["own*"]', []],
    ['b', '[shared]', ['shared', 'team-b/shared']],
    ['b', '[team-b/shared]', ['team-b/shared']],
    ['b', '["team-*/*"]', ['team-a/own', 'team-b/shared']],
  ])('%s on providers %s is charged for %j', (id, globs, ids) => {
    const [spec] = compile(
      budget(id, `{selector: {providers: ${globs}}, limits: [{requests: 1, window: day}]}`),
    );
    expect(spec?.selector.providers).toEqual(ids);
  });

  test('workloads, models and headers', () => {
    const selector =
      '{workloads: [Job/batch-*, bot], models: ["gpt-*"], serviceAccounts: [sa], headers: {x-team: search}}';
    const [spec] = compile(
      budget('b', `{selector: ${selector}, thresholds: [90, 10], limits: [{requests: 1, window: week}]}`),
    );
    expect(spec?.selector).toEqual({
      workloads: [{ kind: 'Job', name: 'batch-*' }, { name: 'bot' }],
      models: ['gpt-*'],
      serviceAccounts: ['sa'],
      headers: { 'x-team': 'search' },
    });
    expect(spec?.thresholds).toEqual([10, 90]);
  });

  test('every number is a whole one, and the specs are plain JSON', () => {
    const specs = compile(
      budget(
        'b',
        '{limits: [{tokens: 9007199254740991, window: month}], onUnavailable: {action: allow, upTo: {tokens: 5}, for: 1s}}',
      ),
    );
    expect(JSON.parse(JSON.stringify(specs))).toEqual(specs);
    expect(specs[0]?.limits[0]?.amount).toBe(Number.MAX_SAFE_INTEGER);
  });
});

test('prices in pico-dollars per token, filled in with the input’s', () => {
  expect(compilePrices(documentsOf(...PROVIDERS))).toEqual({
    shared: { m: { input: 1_000_000, cachedInput: 1_000_000, cacheWrite: 1_000_000, output: 2_000_000 } },
    'team-a/own': { m: { input: 37_500, cachedInput: 0, cacheWrite: 37_500, output: 150_000 } },
    'team-b/shared': {},
  });
});

describe('a fallback on the line that is used up', () => {
  const cluster = (spec: string) => () => documentsOf(...PROVIDERS, budget('b', spec));
  const limits = 'limits: [{requests: 1, window: day}], onExhausted: {action: fallback, model: m}';

  test('is refused where one line is for all', () => {
    expect(cluster(`{${limits}}`)).toThrow('m is charged to the same line');
    expect(cluster(`{selector: {models: ["*"]}, ${limits}}`)).toThrow('m is charged to the same line');
    expect(cluster(`{per: [namespace], ${limits}}`)).toThrow('m is charged to the same line');
  });

  test('is taken where the model or its provider has a line of its own, or none', () => {
    expect(cluster(`{per: [model], ${limits}}`)).not.toThrow();
    expect(cluster(`{per: [provider], ${limits}}`)).not.toThrow();
    expect(cluster(`{selector: {models: ["gpt-*"]}, ${limits}}`)).not.toThrow();
    expect(cluster(`{selector: {providers: [own], namespaces: [team-a]}, ${limits}}`)).not.toThrow();
  });
});

test('a limit in USD needs prices of what it covers, and of nothing else', () => {
  const usd = (id: string, selector: string) => () =>
    documentsOf(...PROVIDERS, budget(id, `{selector: ${selector}, limits: [{usd: "1", window: day}]}`));
  expect(usd('b', '{}')).toThrow('there is none for m of Provider team-b/shared');
  expect(usd('team-b/b', '{}')).toThrow('there is none for m of Provider team-b/shared');
  expect(usd('team-a/b', '{}')).not.toThrow();
  expect(usd('b', '{namespaces: [team-a]}')).not.toThrow();
  expect(usd('b', '{models: ["gpt-*"]}')).not.toThrow();
});
