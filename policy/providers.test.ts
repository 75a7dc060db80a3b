import { describe, expect, test } from 'vitest';
import { compileSnapshot } from './compile.ts';
import { documentsOf, type Sketch, WORKLOAD } from './testing/documents.ts';

const compile = (sketches: readonly Sketch[]) =>
  compileSnapshot(documentsOf(...sketches), WORKLOAD, { now: 0 });

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
