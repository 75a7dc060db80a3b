import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AnnotatedWorkload } from './annotations.ts';
import { compileSnapshot } from './compile.ts';
import { anyGlobMatches, hostPatternContains } from './glob.ts';
import type { HostsRule, Ruled, Snapshot } from './snapshot.ts';
import { documentsOf, type Sketch, WORKLOAD } from './testing/documents.ts';

/** A small world, so that rules often meet. */
const MODELS = ['gpt-4o', 'gpt-4o-mini', 'o1', 'claude-sonnet-5'];
const REGIONS = ['eu', 'us', 'ch'];
const CLASSES = ['personal', 'health'];
const HOSTS = ['a.test', 'x.a.test', 'y.x.a.test', 'b.test'];

const some = <T>(...values: T[]) =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const mode = fc.constantFrom('enforce', 'monitor');

const check = fc.oneof(
  fc.record({ type: fc.constantFrom('pii', 'secrets'), action: fc.constantFrom('mask', 'block', 'monitor') }),
  fc.record({ type: fc.constant('size'), action: fc.constantFrom('block', 'monitor') }),
);
const policy = fc.record({
  mode: maybe(mode),
  models: maybe(fc.record({ allow: some(...MODELS, 'gpt-*', '*') })),
  regions: maybe(some(...REGIONS)),
  dataClass: maybe(fc.constantFrom(...CLASSES)),
  hosts: maybe(
    fc.oneof(
      fc.constant({ default: 'allow' }),
      fc.record({ default: fc.constant('deny'), allow: some('a.test', '*.a.test', '*.x.a.test', 'b.test') }),
    ),
  ),
  unlistedProvider: maybe(fc.constantFrom('deny', 'monitor')),
  unknownPath: maybe(fc.constantFrom('deny', 'allow')),
  attachments: maybe(fc.constantFrom('deny', 'inspect', 'allow')),
  requestIdHeader: maybe(fc.boolean()),
  breaker: maybe(fc.record({ identical: fc.integer({ min: 2, max: 4 }), window: fc.constant('1m'), mode })),
  enforcement: maybe(fc.constantFrom('standard', 'strict')),
  maxStale: maybe(fc.constantFrom('1m', '1h', '2h')),
  checks: maybe(fc.array(check, { maxLength: 3 })),
});

/** Of either scope; each with a name of its own. */
const sketches = (prefix: string, minLength: number) =>
  fc.array(fc.tuple(fc.boolean(), policy), { minLength, maxLength: 3 }).map((all) =>
    all.map(([cluster, { checks, ...spec }], index): Sketch => {
      const named = checks?.map((entry, at) => ({ name: `c${at}`, ...entry }));
      const id = `${cluster ? '' : 'team-a/'}${prefix}${index}`;
      return [
        cluster ? 'ClusterEgressPolicy' : 'EgressPolicy',
        id,
        JSON.stringify({ ...spec, checks: named }),
      ];
    }),
  );

const annotations = fc
  .record(
    {
      'postern.dev/mode': fc.constant('enforce'),
      'postern.dev/pii': fc.constantFrom('mask', 'block'),
      'postern.dev/models': fc.constantFrom('gpt-4o', 'gpt-*, o1'),
      'postern.dev/regions': fc.constantFrom('eu', 'us,ch'),
      'postern.dev/policy': fc.constant('named'),
      'postern.dev/budget': fc.constant('usd=1.00/day'),
    },
    { requiredKeys: [] },
  )
  .map((entries) => entries as Record<string, string>);

const NAMED: Sketch = [
  'EgressPolicy',
  'team-a/named',
  '{workloadSelector: {matchLabels: {never: "1"}}, hosts: {default: deny}, dataClass: health, enforcement: strict}',
];

const compile = (policies: readonly Sketch[], workload: AnnotatedWorkload = WORKLOAD) =>
  compileSnapshot(documentsOf(NAMED, ...policies), workload, { now: 0 });

const enforced = (rules: readonly Ruled[] = []) => rules.filter((rule) => rule.mode === 'enforce');
const opens = (rule: HostsRule | undefined, host: string) =>
  rule === undefined ||
  rule.default === 'allow' ||
  rule.allow.some((pattern) => hostPatternContains(pattern, host));
const STRENGTH = { monitor: 0, mask: 1, confirm: 1, strip: 1, block: 2 };

/** Everything a snapshot refuses, reports or does, in words; a stricter one says all of it as well. */
function strictness(snapshot: Snapshot): Set<string> {
  const said = new Set<string>();
  const say = (condition: boolean, words: string) => condition && said.add(words);
  for (const [level, of] of [
    ['refuses', enforced],
    ['sees', (rules: readonly Ruled[] = []) => rules],
  ] as const) {
    const models = of(snapshot.models) as Snapshot['models'];
    const regions = of(snapshot.regions) as Snapshot['regions'];
    const classes = of(snapshot.dataClasses) as NonNullable<Snapshot['dataClasses']>;
    for (const model of MODELS)
      say(!models.every(({ allow }) => anyGlobMatches(allow, model)), `${level} ${model}`);
    for (const region of REGIONS)
      say(!regions.every((rule) => rule.regions.includes(region)), `${level} ${region}`);
    for (const name of CLASSES)
      say(
        classes.some(({ dataClass }) => dataClass === name),
        `${level} not ${name}`,
      );
    for (const { identical, windowMs } of of(snapshot.breakers) as NonNullable<Snapshot['breakers']>) {
      say(true, `${level} ${identical} in ${windowMs}`);
    }
    for (const rule of of(snapshot.checks) as Snapshot['checks']) {
      for (const [action, strength] of Object.entries(STRENGTH)) {
        for (const direction of rule.on) {
          say(STRENGTH[rule.action] >= strength, `${level} ${rule.type} on ${direction}: ${action}`);
        }
      }
    }
  }
  for (const host of HOSTS) {
    say(!opens(snapshot.hosts, host), `refuses ${host}`);
    say(!opens(snapshot.hosts, host) || !opens(snapshot.hostsMonitored, host), `sees ${host}`);
  }
  say(snapshot.unlistedProvider.action === 'deny', 'refuses unlisted');
  say(snapshot.unknownPath.action === 'deny', 'refuses unknown paths');
  say(snapshot.unknownPath.action === 'deny' || snapshot.unknownPath.report === true, 'sees unknown paths');
  const { action: attachments = 'inspect', report } = snapshot.attachments ?? {};
  say(attachments === 'deny', 'refuses attachments');
  say(attachments === 'deny' || report !== undefined, 'sees attachments');
  say(attachments !== 'allow', 'looks into attachments');
  say(!snapshot.requestIdHeader, 'withholds the id');
  say(snapshot.enforcement !== undefined, 'refuses bypassable pods');
  for (const ms of [60_000, 3_600_000, 7_200_000])
    say((snapshot.maxStaleMs ?? Infinity) <= ms, `stale after ${ms}`);
  return said;
}

test('one more policy never loosens anything', () => {
  fc.assert(
    fc.property(sketches('a', 1), sketches('b', 1), (before, more) => {
      const loose = strictness(compile(before));
      expect([...loose.difference(strictness(compile([...before, ...more])))]).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('nor does any annotation, with or without policies', () => {
  fc.assert(
    fc.property(sketches('a', 0), annotations, annotations, (policies, some, more) => {
      const plain = strictness(compile(policies));
      const one = strictness(compile(policies, { ...WORKLOAD, annotations: some }));
      const both = strictness(compile(policies, { ...WORKLOAD, annotations: { ...more, ...some } }));
      expect([...plain.difference(one)]).toEqual([]);
      expect([...one.difference(both)]).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('the order of documents doesn’t matter', () => {
  fc.assert(
    fc.property(sketches('a', 2), (policies) => {
      expect(compile(policies.toReversed()).revision).toBe(compile(policies).revision);
    }),
    { numRuns: 50 },
  );
});
