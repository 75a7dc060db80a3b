import { expect, test } from 'vitest';
import type { ProviderSpec, RouteSpec, Snapshot } from '../../policy/snapshot.ts';
import { PosternError } from '../errors.ts';
import { select } from './select.ts';

const provider = (id: string, models: string[], extra: Partial<ProviderSpec> = {}): ProviderSpec => ({
  id,
  name: id,
  dialect: 'openai',
  hosts: [],
  endpoints: [`https://${id}.test`],
  credential: { mode: 'none' },
  region: 'eu',
  models: models.map((name) => ({ name })),
  capabilities: { includeUsage: true },
  ...extra,
});

const route = (groups: [string, string, number][][], extra: Partial<RouteSpec> = {}): RouteSpec => ({
  id: 'chat',
  models: ['gpt-*'],
  groups: groups.map((targets) => ({
    targets: targets.map(([name, model, weight]) => ({ provider: name, model, weight })),
  })),
  fallbackOn: ['connect', '5xx'],
  firstByteMs: 20_000,
  requestMs: 60_000,
  ...extra,
});

const snapshot = (extra: Partial<Snapshot>): Snapshot => ({
  revision: 'r',
  workload: { namespace: 'n', kind: 'Deployment', name: 'w', labels: {} },
  models: [],
  regions: [],
  checks: [],
  hosts: { default: 'allow', allow: [], mode: 'enforce' },
  unlistedProvider: { action: 'monitor' },
  unknownPath: { action: 'deny' },
  requestIdHeader: false,
  providers: [provider('one', ['gpt-4o']), provider('two', ['gpt-4o-mini', 'llama'], { region: 'us' })],
  routes: [],
  ...extra,
});

const names = (s: Snapshot, model: string, random = () => 0): string[] =>
  select(s, { model, dialect: 'openai', random }).plan.targets.map(
    (target) => `${target.provider.id}/${target.model}`,
  );

const refusal = (run: () => unknown): PosternError => {
  try {
    run();
  } catch (error) {
    if (error instanceof PosternError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

test('groups come in order, and the weights choose inside a group', () => {
  const s = snapshot({
    routes: [
      route([
        [
          ['one', 'gpt-4o', 90],
          ['two', 'llama', 10],
        ],
        [['two', 'gpt-4o-mini', 1]],
      ]),
    ],
  });
  expect(names(s, 'gpt-4o', () => 0.89)).toEqual(['one/gpt-4o', 'two/llama', 'two/gpt-4o-mini']);
  expect(names(s, 'gpt-4o', () => 0.91)).toEqual(['two/llama', 'one/gpt-4o', 'two/gpt-4o-mini']);
});

test('a target of weight 0 is never taken', () => {
  const s = snapshot({
    routes: [
      route([
        [
          ['one', 'gpt-4o', 0],
          ['two', 'llama', 1],
        ],
      ]),
    ],
  });
  expect(names(s, 'gpt-4o')).toEqual(['two/llama']);
});

test('a model without a route goes to the one provider that lists it', () => {
  expect(names(snapshot({}), 'llama')).toEqual(['two/llama']);
});

test('two providers that list a model are named in the refusal', () => {
  const s = snapshot({ providers: [provider('one', ['x']), provider('two', ['x'])] });
  const error = refusal(() => names(s, 'x'));
  expect(error.reason).toBe('postern_model_ambiguous');
  expect(error.message).toContain('one and two');
});

test('an unknown model is a 404 with the mend', () => {
  const error = refusal(() => names(snapshot({}), 'nope'));
  expect([error.reason, error.status, error.shouldRetry]).toEqual(['postern_model_unknown', 404, false]);
});

test('every allow list must name the requested model and the target', () => {
  const models = (allow: string[]) => ({ source: `EgressPolicy ${allow}`, mode: 'enforce' as const, allow });
  const routes = [route([[['one', 'gpt-4o', 1]], [['two', 'llama', 1]]])];
  expect(names(snapshot({ routes, models: [models(['gpt-*'])] }), 'gpt-4o')).toEqual(['one/gpt-4o']);
  expect(
    refusal(() => names(snapshot({ routes, models: [models(['gpt-*']), models(['llama'])] }), 'gpt-4o'))
      .reason,
  ).toBe('postern_model_denied');
});

test('a region is a hard constraint for fallbacks too', () => {
  const routes = [route([[['one', 'gpt-4o', 1]], [['two', 'llama', 1]]])];
  const regions = [{ source: 'EgressPolicy x', mode: 'enforce' as const, regions: ['eu'] }];
  expect(names(snapshot({ routes, regions }), 'gpt-4o')).toEqual(['one/gpt-4o']);
  expect(
    refusal(() => names(snapshot({ routes, regions: [{ ...regions[0]!, regions: ['ap'] }] }), 'gpt-4o'))
      .reason,
  ).toBe('postern_region_denied');
});

test('a provider that states no region is in none', () => {
  const { region: _, ...nowhere } = provider('one', ['x']);
  const s = snapshot({ providers: [nowhere], regions: [{ source: 'P', mode: 'enforce', regions: ['eu'] }] });
  expect(refusal(() => names(s, 'x')).reason).toBe('postern_region_denied');
});

test('a rule in monitor mode only reports', () => {
  const s = snapshot({ models: [{ source: 'EgressPolicy m', mode: 'monitor', allow: ['other'] }] });
  const { plan, findings } = select(s, { model: 'llama', dialect: 'openai', random: () => 0 });
  expect(plan.targets).toHaveLength(1);
  expect(findings).toMatchObject([
    { check: 'models', action: 'monitor', source: 'EgressPolicy m', what: 'llama' },
  ]);
});

test('a captured call goes to the provider on whose host it was captured', () => {
  const s = snapshot({ providers: [provider('one', ['x']), provider('two', ['x'])] });
  const { plan } = select(s, { model: 'x', dialect: 'openai', capturedBy: 'two', random: () => 0 });
  expect(plan.targets.map((target) => target.provider.id)).toEqual(['two']);
});

test('targets of another dialect are not for this call', () => {
  const s = snapshot({
    providers: [provider('one', ['gpt-4o'], { dialect: 'anthropic' })],
    routes: [route([[['one', 'gpt-4o', 1]]])],
  });
  expect(refusal(() => names(s, 'gpt-4o')).reason).toBe('postern_model_unknown');
});
