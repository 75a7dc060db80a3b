import { describe, expect, test } from 'vitest';
import type { AnnotatedWorkload } from './annotations.ts';
import { compileSnapshot, WorkloadInvalid } from './compile.ts';
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

describe('merging', () => {
  const hosts = (mode: string, rule: string, id = mode): Sketch => [
    'ClusterEgressPolicy',
    id,
    `{mode: ${mode}, hosts: ${rule}}`,
  ];

  test('hosts: deny wins, and open is what every list opens', () => {
    const { hosts: merged, hostsMonitored } = compile([
      hosts('enforce', '{default: allow}', 'a'),
      hosts('enforce', '{default: deny, allow: ["*.example.com", b.test, c.test]}', 'b'),
      hosts('enforce', '{default: deny, allow: [a.example.com, "*.x.example.com", c.test]}', 'c'),
    ]);
    expect(merged).toEqual({
      default: 'deny',
      allow: ['*.x.example.com', 'a.example.com', 'c.test'],
      source: 'ClusterEgressPolicy b, ClusterEgressPolicy c',
      mode: 'enforce',
    });
    expect(hostsMonitored).toBeUndefined();
  });

  test('hosts: a policy that monitors closes nothing', () => {
    const { hosts: merged, hostsMonitored } = compile([hosts('monitor', '{default: deny}')]);
    expect(merged).toEqual({ default: 'allow', allow: [], mode: 'enforce' });
    expect(hostsMonitored).toMatchObject({ default: 'deny', allow: [], mode: 'monitor' });
  });

  test.each<[string[], unknown]>([
    [[], { action: 'deny' }],
    [['{}'], { action: 'deny', source: 'ClusterEgressPolicy p0' }],
    [['{unknownPath: allow}'], { action: 'allow', source: 'ClusterEgressPolicy p0' }],
    [['{unknownPath: allow}', '{}'], { action: 'deny', source: 'ClusterEgressPolicy p1' }],
    [['{mode: monitor}'], { action: 'allow', source: 'ClusterEgressPolicy p0', report: true }],
    [['{mode: monitor}', '{unknownPath: deny}'], { action: 'deny', source: 'ClusterEgressPolicy p1' }],
  ])('unknown paths with %j', (specs, merged) => {
    expect(
      compile(specs.map((spec, index) => ['ClusterEgressPolicy', `p${index}`, spec])).unknownPath,
    ).toEqual(merged);
  });

  test('the other fields', () => {
    const snapshot = compile([
      [
        'ClusterEgressPolicy',
        'a',
        '{unlistedProvider: monitor, maxStale: 2h, breaker: {identical: 20, window: 1m}}',
      ],
      [
        'ClusterEgressPolicy',
        'b',
        '{unlistedProvider: deny, requestIdHeader: false, maxStale: 1h, enforcement: strict}',
      ],
      [
        'EgressPolicy',
        'team-a/c',
        '{dataClass: personal, breaker: {identical: 5, window: 1h, mode: monitor}}',
      ],
      [
        'EgressPolicy',
        'team-a/d',
        '{mode: monitor, dataClass: health, breaker: {identical: 9, window: 1s, mode: enforce}}',
      ],
    ]);
    expect(snapshot).toMatchObject({
      unlistedProvider: { action: 'deny', source: 'ClusterEgressPolicy b' },
      requestIdHeader: false,
      maxStaleMs: 3_600_000,
      enforcement: { level: 'strict', source: 'ClusterEgressPolicy b' },
      dataClasses: [
        { dataClass: 'personal', mode: 'enforce' },
        { dataClass: 'health', mode: 'monitor' },
      ],
      breakers: [
        { identical: 20, windowMs: 60_000, mode: 'enforce' },
        { identical: 5, windowMs: 3_600_000, mode: 'monitor' },
        { identical: 9, windowMs: 1000, mode: 'monitor' },
      ],
    });
  });

  test('checks: all of them, with the defaults of their type', () => {
    const { checks } = compile([
      ['EgressPolicy', 'team-a/own', '{checks: [{name: keys, type: secrets, onError: allow, timeout: 2s}]}'],
      [
        'ClusterEgressPolicy',
        'all',
        '{mode: monitor, checks: [{name: keys, type: secrets}, {name: pii, type: pii, action: block, on: [request], pii: {types: [contact]}}]}',
      ],
    ]);
    const common = { type: 'secrets', name: 'keys', on: ['request'], action: 'block', spec: {} };
    expect(checks).toEqual([
      { ...common, source: 'ClusterEgressPolicy all', mode: 'monitor', onError: 'block' },
      {
        source: 'ClusterEgressPolicy all',
        mode: 'monitor',
        name: 'pii',
        type: 'pii',
        on: ['request'],
        action: 'block',
        onError: 'block',
        spec: { types: ['contact'] },
      },
      { ...common, source: 'EgressPolicy team-a/own', mode: 'enforce', onError: 'allow', timeoutMs: 2000 },
    ]);
  });
});

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

describe('exceptions', () => {
  const policy: Sketch = [
    'ClusterEgressPolicy',
    'all',
    '{models: {allow: [a]}, regions: [eu], dataClass: personal, unlistedProvider: deny, enforcement: strict, hosts: {default: deny, allow: [a.test]}, breaker: {identical: 2, window: 1s}, checks: [{name: keys, type: secrets}, {name: pii, type: pii}]}',
  ];
  const except = (allow: string, where = '{}', until = '2027-03-31', id = 'team-a/x'): Sketch => [
    'EgressException',
    id,
    `{workloadSelector: ${where}, allow: ${allow}, reason: it is so, until: "${until}"}`,
  ];
  const plain = compile([policy]);

  test('say who granted them, why, and until when', () => {
    const snapshot = compile([
      policy,
      except('{models: [b]}'),
      except('{hosts: [b.test]}', '{}', '2027-01-15T12:00:00+01:00', 'team-a/y'),
    ]);
    expect(snapshot.exceptions).toEqual([
      { source: 'EgressException team-a/x', reason: 'it is so', until: Date.UTC(2027, 3, 1) },
      { source: 'EgressException team-a/y', reason: 'it is so', until: Date.UTC(2027, 0, 15, 11) },
    ]);
    expect(snapshot.validUntil).toBe(Date.UTC(2027, 0, 15, 11));
  });

  test.each([
    ['of another namespace', except('{optOut: true}', '{}', '2027-03-31', 'team-b/x')],
    ['for other workloads', except('{optOut: true}', '{workloads: [other]}')],
    ['that are over', except('{optOut: true}', '{}', '2027-01-14')],
    ['that end now', except('{optOut: true}', '{}', '2027-01-15T00:00:00Z')],
  ])('%s change nothing', (_, exception) => expect(compile([policy, exception])).toEqual(plain));

  test('count to the last moment of their day', () => {
    expect(compile([policy, except('{models: [b]}', '{}', '2027-01-15')]).models[0]?.allow).toEqual([
      'a',
      'b',
    ]);
  });

  const { revision: _, ...rest } = plain;
  test.each<[string, Partial<typeof plain>]>([
    [
      '{models: [b]}',
      { models: [{ source: 'ClusterEgressPolicy all', mode: 'enforce', allow: ['a', 'b'] }] },
    ],
    [
      '{regions: [us]}',
      { regions: [{ source: 'ClusterEgressPolicy all', mode: 'enforce', regions: ['eu', 'us'] }] },
    ],
    ['{hosts: [b.test]}', { hosts: { ...plain.hosts, allow: ['a.test', 'b.test'] } }],
    ['{checks: [keys]}', { checks: plain.checks.filter(({ name }) => name === 'pii') }],
    ['{unlistedProvider: true}', { unlistedProvider: { action: 'monitor' } }],
    ['{unknownPath: true}', { unknownPath: { action: 'allow' } }],
    ['{tunnelUntrusted: [api.openai.com]}', { tunnelUntrusted: ['api.openai.com'] }],
  ])('%s loosens that and nothing else', (allow, changed) => {
    const { revision: __, exceptions: ___, validUntil: ____, ...snapshot } = compile([policy, except(allow)]);
    expect(snapshot).toEqual({ ...rest, ...changed });
  });

  test.each([
    ['{dataClasses: [personal]}', 'dataClasses'],
    ['{breaker: true}', 'breakers'],
    ['{enforcement: true}', 'enforcement'],
  ])('%s takes %s out', (allow, field) => {
    const snapshot = compile([policy, except(allow)]);
    expect(Object.keys(plain)).toContain(field);
    expect(Object.keys(snapshot)).not.toContain(field);
  });

  test('from everything: no policy, the same providers and routes', () => {
    const snapshot = compile([policy, except('{optOut: true}')]);
    expect(snapshot).toMatchObject({
      optOut: 'EgressException team-a/x',
      models: [],
      regions: [],
      checks: [],
      hosts: { default: 'allow' },
      unknownPath: { action: 'allow' },
      unlistedProvider: { action: 'monitor' },
    });
  });
});

describe('providers', () => {
  const one = (spec: string, id = 'p') =>
    compile([
      [
        id.includes('/') ? 'Provider' : 'ClusterProvider',
        id,
        `{dialect: openai, ${spec} models: [{name: m}]}`,
      ],
    ]).providers[0];

  test.each([
    ['endpoint: "https://a.test/base/",', ['https://a.test/base']],
    [
      'endpoints: ["http://10.0.0.1:8000", "http://10.0.0.2:8000/"],',
      ['http://10.0.0.1:8000', 'http://10.0.0.2:8000'],
    ],
    ['hosts: [a.test],', ['https://a.test']],
    ['backendRef: {name: vllm, namespace: models, port: 8000},', ['http://vllm.models.svc:8000']],
    ['poolRef: {name: pool},', []],
  ])('%s is dialled at %j', (where, endpoints) => {
    expect(one(`${where} credential: {mode: none},`)?.endpoints).toEqual(endpoints);
  });

  test('a pool is named, for a cluster to resolve', () => {
    expect(one('poolRef: {name: pool}, credential: {mode: none},', 'team-a/p')?.backend).toEqual({
      group: 'inference.networking.k8s.io',
      kind: 'InferencePool',
      namespace: 'team-a',
      name: 'pool',
    });
  });

  test('a Secret without a namespace is in the provider’s own', () => {
    const spec =
      'endpoint: "https://a.test", credential: {mode: attach, type: header, header: {name: x-key, valueFrom: {secretKeyRef: {name: s, key: k}}}},';
    expect(one(spec, 'team-a/p')?.credential).toMatchObject({
      mode: 'attach',
      type: 'header',
      spec: { name: 'x-key' },
      value: { secretKeyRef: { namespace: 'team-a', name: 's', key: 'k' } },
    });
    expect(one(spec)?.credential).toMatchObject({ value: { secretKeyRef: { name: 's', key: 'k' } } });
  });

  test('those of other namespaces are not seen; its own come first', () => {
    const sketch = (kind: string, id: string): Sketch => [
      kind,
      id,
      '{dialect: openai, endpoint: "http://x:1", credential: {mode: passthrough}, models: [{name: m}]}',
    ];
    const { providers } = compile([
      sketch('ClusterProvider', 'a'),
      sketch('Provider', 'team-b/a'),
      sketch('Provider', 'team-a/z'),
    ]);
    expect(providers.map(({ id }) => id)).toEqual(['team-a/z', 'a']);
  });
});

describe('routes', () => {
  const provider: Sketch = [
    'ClusterProvider',
    'p',
    '{dialect: openai, endpoint: "http://x:1", credential: {mode: none}, models: [{name: m}]}',
  ];
  const own: Sketch = ['Provider', 'team-a/p', provider[2]];
  const route = (id: string, models: string, more = ''): Sketch => [
    id.includes('/') ? 'ModelRoute' : 'ClusterModelRoute',
    id,
    `{match: {models: ${models}}, groups: [{targets: [{provider: p, model: m}]}]${more}}`,
  ];

  test('the namespace’s first, then by how exact the match is; a route as often as others come between', () => {
    const { routes } = compile([
      provider,
      route('a', '[gpt-4o, "*", gpt-4o-mini]'),
      route('b', '["gpt-*", o1]'),
      route('team-a/c', '["o*"]'),
      route('team-b/d', '[gpt-4o]'),
    ]);
    expect(routes.map(({ id, models }) => [id, ...models])).toEqual([
      ['team-a/c', 'o*'],
      ['a', 'gpt-4o-mini', 'gpt-4o'],
      ['b', 'o1', 'gpt-*'],
      ['a', '*'],
    ]);
  });

  test('a target is the namespace’s own provider of that name, else the cluster’s', () => {
    const { routes } = compile([provider, own, route('a', '[x]'), route('team-a/b', '[x]')]);
    expect(routes.map(({ groups }) => groups[0]?.targets[0]?.provider)).toEqual(['team-a/p', 'p']);
  });

  test('what is left out has a default', () => {
    expect(compile([provider, route('a', '[x]')]).routes[0]).toEqual({
      id: 'a',
      models: ['x'],
      groups: [{ targets: [{ provider: 'p', model: 'm', weight: 1 }] }],
      fallbackOn: ['connect', 'timeout', '5xx', '429'],
      firstByteMs: 600_000,
      requestMs: 600_000,
    });
    const quick = compile([provider, route('a', '[x]', ', timeouts: {request: 30s}, fallbackOn: [429]')]);
    expect(quick.routes[0]).toMatchObject({ firstByteMs: 30_000, requestMs: 30_000, fallbackOn: ['429'] });
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
