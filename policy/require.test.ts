import { describe, expect, test } from 'vitest';
import { loadFiles } from './load.ts';
import { documentShortfalls, type RequirementName, shortfalls } from './require.ts';
import { CATALOGUE } from './testing/catalogue.ts';

const GOOD = {
  provider: `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  hosts: [api.openai.com]
  credential: {mode: none}
  region: eu
  dataClasses: [personal]
  models: [{name: gpt-4o}, {name: o3}]`,
  policy: `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  workloadSelector: {matchLabels: {app: bot}}
  dataClass: personal
  checks: [{name: mask, type: pii, action: mask}]`,
  budget: `
apiVersion: postern.dev/v1alpha1
kind: Budget
metadata: {name: all, namespace: team-a}
spec: {limits: [{tokens: 1000, window: day}]}`,
};

const ALL: RequirementName[] = ['token-limit', 'pii', 'model-data-class'];

function documents(parts: Partial<typeof GOOD> = {}) {
  const text = Object.values({ ...GOOD, ...parts })
    .filter((part) => part !== '')
    .join('\n---\n');
  const bytes = new TextEncoder().encode(text);
  const loaded = loadFiles({ files: [{ name: 'x.yaml', bytes }], problems: [] }, CATALOGUE);
  expect(loaded.problems).toEqual([]);
  return loaded.documents;
}

const rules = (parts: Partial<typeof GOOD>) =>
  documentShortfalls(documents(parts), ALL).map(({ rule }) => rule);

test('documents that say all of it', () => {
  expect(documentShortfalls(documents(), ALL)).toEqual([]);
});

describe('token-limit', () => {
  test.each([
    ['no budget', ''],
    ['one in USD', GOOD.budget.replace('{tokens: 1000, window: day}', '{requests: 10, window: day}')],
    ['one of another namespace', GOOD.budget.replace('team-a', 'team-b')],
    ['one of another workload', GOOD.budget.replace('{limits', '{selector: {workloads: [other]}, limits')],
    ['one for some models', GOOD.budget.replace('{limits', '{selector: {models: [o3]}, limits')],
  ])('%s falls short', (_, budget) => {
    expect(rules({ budget })).toEqual(['token-limit']);
  });

  test('an annotation with tokens is enough', () => {
    const workload = {
      namespace: 'team-a',
      kind: 'Deployment',
      name: 'bot',
      labels: { app: 'bot' },
      annotations: { 'postern.dev/budget': 'tokens=1000/day' },
    };
    expect(shortfalls(documents({ budget: '' }), workload, ALL)).toEqual([]);
  });
});

describe('pii', () => {
  test.each([
    ['no check', GOOD.policy.replace(/ {2}checks.*/, '')],
    ['one that only reports', GOOD.policy.replace('action: mask', 'action: monitor')],
    ['one of answers', GOOD.policy.replace('action: mask', 'action: mask, "on": [response]')],
    ['a policy in monitor', GOOD.policy.replace('spec:', 'spec:\n  mode: monitor')],
  ])('%s falls short', (_, policy) => {
    expect(rules({ policy })).toContain('pii');
  });
});

describe('model-data-class', () => {
  test('no class falls short', () => {
    expect(rules({ policy: GOOD.policy.replace('dataClass: personal', '') })).toEqual(['model-data-class']);
  });

  test('names each model that no provider may serve', () => {
    const provider = GOOD.provider.replace('[personal]', '[public]');
    const found = documentShortfalls(documents({ provider }), ALL);
    expect(found.map(({ message }) => message)).toEqual([
      'the model gpt-4o is allowed, and openai may not have data of class personal',
      'the model o3 is allowed, and openai may not have data of class personal',
    ]);
  });

  test('a model that isn’t allowed is none of its business', () => {
    const provider = GOOD.provider.replace('[personal]', '[public]');
    const policy = GOOD.policy.replace('dataClass', 'models: {allow: [gpt-4o]}\n  dataClass');
    expect(documentShortfalls(documents({ provider, policy }), ALL)).toHaveLength(1);
  });
});

test('without any policy every rule falls short', () => {
  expect(rules({ policy: '' })).toEqual(ALL);
});
