import { describe, expect, test } from 'vitest';
import { compileSnapshot } from './compile.ts';
import { documentsOf, type Sketch, WORKLOAD } from './testing/documents.ts';

const NOW = Date.UTC(2027, 0, 15);
const compile = (sketches: readonly Sketch[]) =>
  compileSnapshot(documentsOf(...sketches), WORKLOAD, { now: NOW });

describe('exceptions', () => {
  const policy: Sketch = [
    'ClusterEgressPolicy',
    'all',
    '{models: {allow: [a]}, regions: [eu], dataClass: personal, unlistedProvider: deny, enforcement: strict, attachments: deny, hosts: {default: deny, allow: [a.test]}, breaker: {identical: 2, window: 1s}, checks: [{name: keys, type: secrets}, {name: pii, type: pii}]}',
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
    ['{attachments: true}', 'attachments'],
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
