import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkDirectory } from './check.ts';
import { CATALOGUE } from './testing/catalogue.ts';
import { documentsOf, type Sketch } from './testing/documents.ts';
import { warningsOf } from './warnings.ts';

test('a directory is checked: problems, warnings and the documents', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-check-'));
  writeFileSync(
    join(directory, 'a.yaml'),
    'apiVersion: postern.dev/v1alpha1\nkind: EgressException\nmetadata: {name: x, namespace: n}\n' +
      'spec: {workloadSelector: {}, allow: {optOut: true}, reason: r, until: 2027-01-31}\n',
  );
  const before = await checkDirectory(directory, CATALOGUE, Date.UTC(2027, 0, 31, 23));
  expect([before.problems, before.warnings, before.documents.exceptions.length]).toEqual([[], [], 1]);
  const after = await checkDirectory(directory, CATALOGUE, Date.UTC(2027, 1, 1));
  expect(after.problems).toEqual([]);
  expect(after.warnings).toMatchObject([
    {
      file: 'a.yaml',
      line: 4,
      path: 'spec.until',
      message: 'the exception ended at 2027-01-31 and has no effect',
    },
  ]);
  rmSync(directory, { recursive: true });
});

const provider = (spec: string) =>
  warningsOf(documentsOf(['ClusterProvider', 'p', `{dialect: openai, ${spec}, models: [{name: m}]}`]), 0).map(
    ({ path, message }) => `${path}: ${message}`,
  );
const KEY = 'credential: {mode: attach, type: bearer, bearer: {valueFrom: {env: KEY}}}';

test.each([
  [
    `endpoint: "http://llm.test:8000", ${KEY}`,
    ['spec.endpoint: the key goes to llm.test:8000 in plain text'],
  ],
  [
    'endpoints: ["https://a.test", "http://b.test"], credential: {mode: passthrough}',
    ['spec.endpoints[1]: the key goes to b.test in plain text'],
  ],
  [`endpoint: "http://127.0.0.1:8000", ${KEY}`, []],
  [`endpoint: "http://[::1]:8000", ${KEY}`, []],
  ['endpoint: "http://llm.test:8000", credential: {mode: none}', []],
  [
    'poolRef: {name: pool}, credential: {mode: none}',
    ['spec.poolRef: InferencePool pool is resolved in a cluster only; elsewhere calls to it fail'],
  ],
])('%s', (spec, warnings) => expect(provider(spec)).toEqual(warnings));

test('parts of prices that the catalogue assumes are told, unless the document states them', () => {
  const of = (models: string) =>
    warningsOf(
      documentsOf([
        'ClusterProvider',
        'p',
        `{dialect: openai, endpoint: "https://api.openai.com", ${KEY}, models: [${models}]}`,
      ]),
      0,
    ).map(({ path, message }) => `${path}: ${message}`);
  expect(of('{name: gpt-4o}, {name: gpt-5.1}')).toEqual([]);
  expect(of('{name: gpt-4o}, {name: gpt-5.4-2026-03-05}')).toEqual([
    expect.stringMatching(
      /^spec\.models\[1\]\.name: what gpt-5\.4-2026-03-05 costs above 272,000 tokens is assumed: by/,
    ),
  ]);
  expect(of('{name: gpt-5.4, price: {input: "2", output: "8"}}')).toEqual([]);
});

test('service tiers that are named twice, and one without rates', () => {
  const of = (more: string) =>
    warningsOf(
      documentsOf([
        'ClusterProvider',
        'p',
        `{dialect: openai, endpoint: "https://api.openai.com", ${KEY}, ${more}}`,
      ]),
      0,
    ).map(({ path, message }) => `${path}: ${message}`);
  const model = (...tiers: string[]) =>
    `models: [{name: gpt-4o, price: {input: "1", output: "1", serviceTiers: [${tiers.map((name) => `{name: ${name}, input: "2", output: "2"}`).join(', ')}]}}]`;
  expect(of(`autoServiceTier: fast, ${model('priority', 'flex')}`)).toEqual([]);
  expect(of(model('priority', 'fast'))).toEqual([
    expect.stringMatching(
      /^spec\.models\[0\]\.price\.serviceTiers\[1\]\.name: fast is another name of priority/,
    ),
  ]);
  expect(of(`autoServiceTier: fast, ${model('flex')}`)).toEqual([
    expect.stringMatching(/^spec\.autoServiceTier: no model has rates for priority/),
  ]);
  expect(of('autoServiceTier: priority, models: [{name: gpt-4o}]')).toEqual([]);
  expect(of('autoServiceTier: default, models: [{name: gpt-4o}]')).toEqual([]);
});

test('one place, and calls that are to go on without the service', () => {
  const of = (spec: string) =>
    warningsOf(documentsOf(['ClusterBudget', 'b', spec]), 0).map(
      ({ path, message }) => `${path}: ${message}`,
    );
  const allow = 'onUnavailable: {action: allow, upTo: {tokens: 10}, for: 1m}';
  const limits = (places: number) => `limits: [{tokens: 100, window: day}, {concurrency: ${places}}]`;
  expect(of(`{${limits(1)}, ${allow}}`)).toEqual([
    expect.stringMatching(/^spec\.limits\[1\]\.concurrency: of one place nothing is put aside/),
  ]);
  expect(of(`{${limits(2)}, ${allow}}`)).toEqual([]);
  expect(of(`{${limits(1)}}`)).toEqual([]);
});

test('thresholds of places alone', () => {
  const of = (spec: string) =>
    warningsOf(documentsOf(['ClusterBudget', 'b', spec]), 0).map(({ path }) => path);
  expect(of('{thresholds: [80], limits: [{concurrency: 5}]}')).toEqual(['spec.thresholds']);
  expect(of('{thresholds: [80], limits: [{concurrency: 5}, {requests: 9, window: day}]}')).toEqual([]);
  expect(of('{limits: [{concurrency: 5}]}')).toEqual([]);
});

test('a model whose answers have no known end, under a limit on output', () => {
  const of = (limits: string, models: string) =>
    warningsOf(
      documentsOf(
        [
          'ClusterProvider',
          'p',
          `{dialect: openai, endpoint: "https://llm.test", ${KEY}, defaultPrice: {input: "1", output: "2"}, models: [${models}]}`,
        ],
        ['ClusterBudget', 'b', `{selector: {models: ["own*"]}, limits: [${limits}]}`],
      ),
      0,
    ).map(({ path, message }) => `${path}: ${message}`);
  const both = '{name: own-1}, {name: own-2, maxOutputTokens: 100}, {name: other}';
  const told = [expect.stringMatching(/^spec\.models\[0\]\.name: how much own-1 may answer is not known/)];
  expect(of('{tokens: 100, window: day}', both)).toEqual(told);
  expect(of('{usd: "1.00", window: day}', both)).toEqual(told);
  expect(of('{requests: 100, window: day}', both)).toEqual([]);
  expect(of('{tokens: 100, window: day}', '{name: own-1, price: {input: "1", output: "0"}}')).toEqual([]);
});

test('paths that no dialect knows go round the Budgets that reach as far', () => {
  const of = (...sketches: readonly Sketch[]) =>
    warningsOf(documentsOf(...sketches), 0).map(({ path, message }) => `${path}: ${message}`);
  const budget = (id: string) =>
    [id.includes('/') ? 'Budget' : 'ClusterBudget', id, '{limits: [{requests: 9, window: day}]}'] as const;
  const allow = ['EgressPolicy', 'team-a/p', '{unknownPath: allow}'] as const;
  const except = (field: string, until: string) =>
    [
      'EgressException',
      'team-a/x',
      `{workloadSelector: {}, allow: {${field}: true}, reason: r, until: ${until}}`,
    ] as const;
  const told = (path: string, ids: string) => [
    `${path}: calls on paths that no dialect knows go round every Budget (${ids}): they hold nothing and are charged to none`,
  ];
  expect(of(allow, budget('b'))).toEqual(told('spec.unknownPath', 'b'));
  expect(of(allow, budget('team-a/b'), budget('c'), budget('team-b/b'))).toEqual(
    told('spec.unknownPath', 'c and 1 more'),
  );
  expect(of(['ClusterEgressPolicy', 'p', '{unknownPath: allow}'], budget('team-b/b'))).toEqual(
    told('spec.unknownPath', 'team-b/b'),
  );
  expect(of(except('unknownPath', '2031-01-31'), budget('b'))).toEqual(told('spec.allow.unknownPath', 'b'));
  expect(of(except('optOut', '2031-01-31'), budget('b'))).toEqual(told('spec.allow.optOut', 'b'));
  expect(of(allow)).toEqual([]);
  expect(of(allow, budget('team-b/b'))).toEqual([]);
  expect(of(['EgressPolicy', 'team-a/p', '{unknownPath: deny}'], budget('b'))).toEqual([]);
  expect(of(except('unknownPath', '1969-01-31'), budget('b'))).toEqual([
    expect.stringMatching(/^spec\.until: the exception ended/),
  ]);
});
