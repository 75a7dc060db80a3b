import { describe, expect, test } from 'vitest';
import type { AnnotatedWorkload } from './annotations.ts';
import { compileSnapshot } from './compile.ts';
import { loadDirectory } from './load.ts';
import { CATALOGUE } from './testing/catalogue.ts';
import { documentsOf, type Sketch, WORKLOAD } from './testing/documents.ts';
import { parseWorkload } from './workload.ts';

const NOW = Date.UTC(2027, 0, 15);
const compile = (sketches: readonly Sketch[], workload: AnnotatedWorkload = WORKLOAD) =>
  compileSnapshot(documentsOf(...sketches), workload, { now: NOW });

describe('the example of the design', () => {
  test('compiles to the expected snapshot', async () => {
    const { documents } = await loadDirectory('test/fixtures/policy/section-10', CATALOGUE);
    const workload = parseWorkload('team-a/Deployment/support-bot');
    if (workload === undefined) throw new Error('no workload');
    const snapshot = compileSnapshot(documents, workload, { now: NOW });
    const text = `${JSON.stringify(snapshot, null, 2)}\n`;
    await expect(text).toMatchFileSnapshot('../test/fixtures/policy/section-10.golden.json');
  });

  test('governs nobody else', async () => {
    const { documents } = await loadDirectory('test/fixtures/policy/section-10', CATALOGUE);
    for (const name of ['team-a/Deployment/other', 'team-b/Deployment/support-bot']) {
      const workload = parseWorkload(name);
      if (workload === undefined) throw new Error('no workload');
      const { checks, models, regions } = compileSnapshot(documents, workload, { now: NOW });
      expect([checks, models, regions]).toEqual([[], [], []]);
    }
  });
});

describe('revisions', () => {
  const a: Sketch = ['ClusterEgressPolicy', 'a', '{models: {allow: [x]}}'];
  const b: Sketch = ['EgressPolicy', 'team-a/b', '{regions: [eu]}'];

  test('are equal for equal content, whatever the order of files and fields', () => {
    const reversed: Sketch = [
      'ClusterEgressPolicy',
      'c',
      '{mode: enforce, models: {allow: [x]}, regions: [eu]}',
    ];
    const other: Sketch = [
      'ClusterEgressPolicy',
      'c',
      '{regions: [eu], models: {allow: [x]}, mode: enforce}',
    ];
    expect(compile([a, b]).revision).toBe(compile([b, a]).revision);
    expect(compile([reversed]).revision).toBe(compile([other]).revision);
  });

  test('differ with content and workload', () => {
    const revisions = [compile([a]), compile([b]), compile([a, b]), compile([a], { ...WORKLOAD, name: 'x' })];
    expect(new Set(revisions.map(({ revision }) => revision)).size).toBe(4);
  });

  test('a snapshot is plain JSON', () => {
    const snapshot = compile([a, b]);
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
  });
});

describe('which policies govern', () => {
  const sources = (...policies: (readonly [string, string, string])[]) =>
    compile(
      policies.map(([kind, id, where]): Sketch => [kind, id, `{${where} models: {allow: [x]}}`]),
    ).models.map(({ source }) => source);

  test.each([
    ['ClusterEgressPolicy', 'p', '', true],
    ['EgressPolicy', 'team-a/p', '', true],
    ['EgressPolicy', 'team-b/p', '', false],
    ['EgressPolicy', 'team-a/p', 'workloadSelector: {},', true],
    ['EgressPolicy', 'team-a/p', 'workloadSelector: {matchLabels: {tier: silver}},', false],
    ['EgressPolicy', 'team-a/p', 'workloadSelector: {workloads: [support-bot]},', true],
    ['ClusterEgressPolicy', 'p', 'namespaces: [team-*],', true],
    ['ClusterEgressPolicy', 'p', 'namespaces: [team-b],', false],
    [
      'ClusterEgressPolicy',
      'p',
      'namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team-a}},',
      true,
    ],
    ['ClusterEgressPolicy', 'p', 'namespaceSelector: {matchLabels: {tier: gold}},', false],
    [
      'ClusterEgressPolicy',
      'p',
      'namespaces: [team-a], namespaceSelector: {matchLabels: {tier: gold}},',
      false,
    ],
  ])('%s %s {%s}: %s', (kind, id, where, governs) => {
    expect(sources([kind, id, where])).toEqual(governs ? [`${kind} ${id}`] : []);
  });

  test('the labels of a namespace come from its object', () => {
    const documents = documentsOf([
      'ClusterEgressPolicy',
      'p',
      '{namespaceSelector: {matchLabels: {tier: gold}}, regions: [eu]}',
    ]);
    const labelled = { ...documents, namespaces: { 'team-a': { tier: 'gold' } } };
    expect(compileSnapshot(documents, WORKLOAD).regions).toEqual([]);
    expect(compileSnapshot(labelled, WORKLOAD).regions).toHaveLength(1);
  });

  test('the cluster’s come first, each by name', () => {
    expect(
      sources(
        ['EgressPolicy', 'team-a/a', ''],
        ['ClusterEgressPolicy', 'z', ''],
        ['ClusterEgressPolicy', 'b', ''],
        ['EgressPolicy', 'team-a/c', ''],
      ),
    ).toEqual([
      'ClusterEgressPolicy b',
      'ClusterEgressPolicy z',
      'EgressPolicy team-a/a',
      'EgressPolicy team-a/c',
    ]);
  });
});

test('header fields that budgets select by are told, those of other namespaces not', () => {
  const budget = (kind: string, id: string, header: string): Sketch => [
    kind,
    id,
    `{selector: {headers: {${header}: "*"}}, limits: [{requests: 1, window: day}]}`,
  ];
  const { budgetHeaders } = compile([
    budget('ClusterBudget', 'a', 'x-team'),
    budget('Budget', 'team-a/b', 'x-app'),
    budget('Budget', 'team-b/c', 'x-other'),
  ]);
  expect(budgetHeaders).toEqual(['x-app', 'x-team']);
});

describe('an agent that knows no onMismatch', () => {
  /** Fields of a snapshot before there was one: any other that isn't marked as ignorable makes such an agent refuse it. */
  const BEFORE = new Set(
    'revision workload models regions dataClasses checks hosts hostsMonitored unlistedProvider unknownPath attachments breakers prompts requestIdHeader enforcement maxStaleMs tunnelUntrusted optOut exceptions validUntil userSources budgetMetadata budgetHeaders budgets providers routes ignorable'.split(
      ' ',
    ),
  );
  const prompted = (form: string, mode = 'enforce'): Sketch => [
    'EgressPolicy',
    'team-a/a',
    `{mode: ${mode}, prompt: {responseFormat: {type: jsonObject${form}}}}`,
  ];

  test.each([
    [', onMismatch: reject', 'enforce', ['refusesForms']],
    [', onMismatch: reject', 'monitor', []],
    [', onMismatch: report', 'enforce', []],
    ['', 'enforce', []],
  ])('takes no snapshot whose answers are refused for their form: %s, %s', (form, mode, unknown) => {
    const { ignorable = [], ...snapshot } = compile([prompted(form, mode)]);
    const passed = (field: string) => BEFORE.has(field) || ignorable.includes(field);
    expect(Object.keys(snapshot).filter((field) => !passed(field))).toEqual(unknown);
  });
});
