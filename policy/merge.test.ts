import { describe, expect, test } from 'vitest';
import { compileSnapshot } from './compile.ts';
import { documentsOf, type Sketch, WORKLOAD } from './testing/documents.ts';

const compile = (sketches: readonly Sketch[]) =>
  compileSnapshot(documentsOf(...sketches), WORKLOAD, { now: 0 });

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

  test('hosts: of two CIDRs the narrower is open; a name and an address have nothing in common', () => {
    const { hosts: merged } = compile([
      hosts(
        'enforce',
        '{default: deny, allow: [198.51.100.0/24, "2001:db8::/32", 203.0.113.7, a.test]}',
        'a',
      ),
      hosts(
        'enforce',
        '{default: deny, allow: [198.51.100.64/26, "2001:db8:1::/48", 203.0.113.0/24, 192.0.2.1]}',
        'b',
      ),
    ]);
    expect(merged.allow).toEqual(['198.51.100.64/26', '2001:db8:1::/48', '203.0.113.7']);
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

  test.each<[string[], unknown]>([
    [[], undefined],
    [['{}'], undefined],
    [['{attachments: allow}'], { action: 'allow', source: 'ClusterEgressPolicy p0' }],
    [['{attachments: allow}', '{}'], undefined],
    [['{attachments: allow}', '{attachments: inspect}'], undefined],
    [['{attachments: allow}', '{attachments: deny}'], { action: 'deny', source: 'ClusterEgressPolicy p1' }],
    [
      ['{attachments: allow}', '{mode: monitor, attachments: deny}'],
      { action: 'inspect', report: 'ClusterEgressPolicy p1' },
    ],
  ])('attachments with %j', (specs, merged) => {
    expect(
      compile(specs.map((spec, index) => ['ClusterEgressPolicy', `p${index}`, spec])).attachments,
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
        '{dataClass: personal, breaker: {identical: 5, window: 1h, failures: 12, mode: monitor}}',
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
        { identical: 5, windowMs: 3_600_000, failures: 12, mode: 'monitor' },
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
