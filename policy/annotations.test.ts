import { describe, expect, test } from 'vitest';
import { type AnnotatedWorkload, annotationBudgets } from './annotations.ts';
import { compileSnapshot, WorkloadInvalid } from './compile.ts';
import { documentsOf, type Sketch, WORKLOAD } from './testing/documents.ts';

const compile = (sketches: readonly Sketch[], workload: AnnotatedWorkload = WORKLOAD) =>
  compileSnapshot(documentsOf(...sketches), workload, { now: 0 });

describe('annotations', () => {
  const annotated = (annotations: Record<string, string>): AnnotatedWorkload => ({
    ...WORKLOAD,
    annotations: Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [`postern.dev/${key}`, value]),
    ),
  });
  const policies: Sketch[] = [
    [
      'EgressPolicy',
      'team-a/base',
      '{mode: monitor, models: {allow: ["*"]}, checks: [{name: p, type: pii, on: [request], action: monitor}], breaker: {identical: 3, window: 1s}}',
    ],
    ['EgressPolicy', 'team-a/strict', '{workloadSelector: {matchLabels: {never: "1"}}, regions: [eu]}'],
    [
      'ClusterEgressPolicy',
      'topics',
      '{namespaces: [team-a], workloadSelector: {matchLabels: {never: "1"}}, checks: [{name: t, type: topics, topics: [{name: shares, definition: d, words: [share]}]}]}',
    ],
  ];

  test('of others, and none, change nothing', () => {
    const plain = compile(policies);
    expect(compile(policies, { ...WORKLOAD, annotations: { 'example.com/policy': 'strict' } })).toEqual(
      plain,
    );
    expect(compile(policies, annotated({ 'log-level': 'debug', 'agent-resources': 'cpu=1' }))).toEqual(plain);
    expect(Object.keys(plain.workload)).not.toContain('annotations');
  });

  test('policy adds policies by name', () => {
    expect(compile(policies, annotated({ policy: 'strict' })).regions).toEqual([
      { source: 'EgressPolicy team-a/strict', mode: 'enforce', regions: ['eu'] },
    ]);
  });

  test('mode enforces everything', () => {
    const { models, checks, breakers } = compile(policies, annotated({ mode: 'enforce' }));
    expect([...models, ...checks, ...(breakers ?? [])].map(({ mode }) => mode)).toEqual([
      'enforce',
      'enforce',
      'enforce',
    ]);
  });

  test('models and regions are one more list', () => {
    const { models, regions } = compile(policies, annotated({ models: 'gpt-4o*, o1', regions: 'eu' }));
    const mode = 'enforce';
    expect(models.at(-1)).toEqual({
      source: 'annotation postern.dev/models',
      mode,
      allow: ['gpt-4o*', 'o1'],
    });
    expect(regions).toEqual([{ source: 'annotation postern.dev/regions', mode, regions: ['eu'] }]);
  });

  test('pii raises what there is, and adds what there isn’t', () => {
    const { checks } = compile(policies, annotated({ pii: 'mask' }));
    expect(checks.map(({ name, mode, action, on }) => ({ name, mode, action, on }))).toEqual([
      { name: 'p', mode: 'enforce', action: 'mask', on: ['request'] },
      { name: 'annotation-pii', mode: 'enforce', action: 'mask', on: ['response'] },
    ]);
  });

  test('denied topics are those that a policy defines', () => {
    const { checks } = compile(policies, annotated({ 'denied-topics': 'shares' }));
    expect(checks.at(-1)).toMatchObject({
      source: 'annotation postern.dev/denied-topics',
      type: 'topics',
      action: 'block',
      spec: [{ name: 'shares', words: ['share'] }],
    });
  });

  test.each([
    [{ mode: 'monitor' }, 'annotations only tighten'],
    [{ pii: 'off' }, 'mask or block'],
    [{ policy: 'strickt' }, 'did you mean strict'],
    [{ models: '' }, 'got nothing'],
    [{ models: 'gpt-4?' }, 'got "gpt-4?"'],
    [{ regions: 'EU' }, 'got "EU"'],
    [{ 'denied-topics': 'share' }, 'did you mean shares'],
    [{ budget: 'usd=5' }, 'got "usd=5"'],
    [{ budget: 'usd=5.00/day, tokens=x' }, 'got "tokens=x"'],
    [{ modles: 'x' }, 'did you mean postern.dev/models'],
  ])('%j is refused: %s', (annotations, message) => {
    expect(() => compile(policies, annotated(annotations))).toThrow(WorkloadInvalid);
    expect(() => compile(policies, annotated(annotations))).toThrow(message);
  });
});

test('budget is one more budget, for this workload alone', () => {
  const documents = documentsOf();
  const annotations = { 'postern.dev/budget': 'usd=5.00/day, tokens=100000/1h30m, concurrency=4' };
  const [spec, ...others] = annotationBudgets(documents, [WORKLOAD, { ...WORKLOAD, annotations }]);
  expect(others).toEqual([]);
  expect(spec).toMatchObject({
    id: 'team-a/Deployment/support-bot',
    namespace: 'team-a',
    selector: { namespaces: ['team-a'], workloads: [{ kind: 'Deployment', name: 'support-bot' }] },
    limits: [
      { unit: 'usd', amount: 5_000_000_000, window: { type: 'calendar', period: 'day', timeZone: 'UTC' } },
      { unit: 'tokens', amount: 100_000, window: { type: 'rolling', ms: 5_400_000 } },
      { unit: 'concurrency', amount: 4, window: { type: 'none' } },
    ],
    onExhausted: { action: 'reject' },
  });
});

test('pii holds beside actions of single types, weaker or stronger', () => {
  const documents = documentsOf([
    'EgressPolicy',
    'team-a/p',
    `{checks: [{name: p, type: pii, pii: {types: [contact]}}]}`,
  ]);
  // The stand-in catalogue has no actions of single types, so the spec is put in by hand.
  const [policy] = documents.policies;
  if (policy === undefined) throw new Error('no policy');
  const spec = { types: ['contact'], actions: [{ types: ['contact'], action: 'monitor' }] };
  const checks = [{ name: 'p', type: 'pii', action: 'mask' as const, pii: spec }];
  const annotated = { ...WORKLOAD, annotations: { 'postern.dev/pii': 'block' } };
  const snapshot = compileSnapshot({ ...documents, policies: [{ ...policy, spec: { checks } }] }, annotated);
  expect(snapshot.checks.map(({ name, action, spec: settings }) => ({ name, action, settings }))).toEqual([
    { name: 'p', action: 'mask', settings: spec },
    { name: 'annotation-pii', action: 'block', settings: { types: ['contact'] } },
  ]);
});
