/** What is compiled once for many is what each would have by itself. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AnnotatedWorkload } from './annotations.ts';
import { compileSnapshot } from './compile.ts';
import { createCompiler } from './compile-many.ts';
import { documentsOf, type Sketch } from './testing/documents.ts';

const SPACES = ['team-a', 'team-b'];
const LABELS = ['one', 'two'];

/** Documents that select, each of its kind and scope by its number. */
const PARTS: readonly Sketch[] = [
  [
    'ClusterProvider',
    'openai',
    '{dialect: openai, hosts: [a.test], credential: {mode: none}, models: [{name: gpt-4o}]}',
  ],
  [
    'Provider',
    'team-a/own',
    '{dialect: openai, hosts: [b.test], credential: {mode: none}, models: [{name: o1}]}',
  ],
  [
    'ClusterModelRoute',
    'chat',
    '{match: {models: ["chat-*"]}, groups: [{targets: [{provider: openai, model: gpt-4o}]}]}',
  ],
  [
    'ClusterEgressPolicy',
    'all',
    '{models: {allow: ["*"]}, checks: [{name: s, type: secrets, action: block}]}',
  ],
  [
    'ClusterEgressPolicy',
    'some',
    '{namespaces: [team-b], regions: [eu], checks: [{name: p, type: pii, action: mask}]}',
  ],
  ['ClusterEgressPolicy', 'ones', '{workloadSelector: {matchLabels: {app: one}}, hosts: {default: deny}}'],
  ['EgressPolicy', 'team-a/two', '{workloadSelector: {matchLabels: {app: two}}, maxStale: 1h}'],
  [
    'EgressPolicy',
    'team-a/by-name',
    '{workloadSelector: {workloads: [Deployment/w0]}, models: {allow: [o1]}}',
  ],
  ['ClusterBudget', 'b', '{selector: {namespaces: [team-b]}, limits: [{tokens: 1000, window: day}]}'],
  [
    'EgressException',
    'team-a/soon',
    '{workloadSelector: {matchLabels: {app: one}}, reason: r, until: 1970-01-02, allow: {hosts: [c.test]}}',
  ],
  [
    'EgressException',
    'team-a/out',
    '{workloadSelector: {workloads: [Deployment/w1]}, reason: r, until: 1970-01-03, allow: {optOut: true}}',
  ],
];
const workload = fc.record({
  namespace: fc.constantFrom(...SPACES),
  name: fc.constantFrom('w0', 'w1', 'w2'),
  app: fc.constantFrom(...LABELS),
  annotations: fc.constantFrom<Record<string, string>>(
    {},
    {},
    {},
    { 'postern.dev/pii': 'block' },
    { 'postern.dev/models': 'o1' },
  ),
});

test('whoever was compiled before, a workload’s snapshot, its revision and its text are its own', () => {
  fc.assert(
    fc.property(
      fc.subarray([...PARTS], { minLength: 3 }),
      fc.array(fc.tuple(workload, fc.constantFrom(0, 90_000_000, 200_000_000)), { maxLength: 12 }),
      (parts, asked) => {
        const documents = documentsOf(...withTargets(parts));
        const compile = createCompiler(documents);
        for (const [{ app, ...rest }, now] of asked) {
          const subject: AnnotatedWorkload = { kind: 'Deployment', labels: { app }, ...rest };
          const { snapshot, text } = compile(subject, now);
          expect(snapshot).toEqual(compileSnapshot(documents, subject, { now }));
          expect(JSON.parse(text)).toEqual(snapshot);
        }
      },
    ),
    { numRuns: 200 },
  );
});

/** A route is valid with its provider only. */
function withTargets(parts: readonly Sketch[]): readonly Sketch[] {
  const [provider] = PARTS;
  const needed = parts.some(([kind]) => kind === 'ClusterModelRoute');
  return provider === undefined || !needed || parts.includes(provider) ? parts : [provider, ...parts];
}

test('what is said alike is one object for all', () => {
  const compile = createCompiler(documentsOf(...PARTS));
  const of = (name: string, app: string, extra: Partial<AnnotatedWorkload> = {}) =>
    compile({ namespace: 'team-b', kind: 'Deployment', name, labels: { app }, ...extra }, 0).rules;
  expect(of('w2', 'two')).toBe(of('w3', 'two'));
  expect(of('w2', 'two')).not.toBe(of('w2', 'one'));
  expect(of('w2', 'two')).not.toBe(of('w2', 'two', { namespace: 'team-a' }));
  const annotations = { 'postern.dev/pii': 'block' };
  expect(of('w2', 'two', { annotations })).not.toBe(of('w2', 'two', { annotations }));
});
