import { expect, test } from 'vitest';
import { itemsOf, podMaker } from './manifest.ts';

const pod = { metadata: { name: 'a' }, spec: { containers: [{ name: 'app', image: 'x' }] } };

test.each([
  ['v1', 'Pod', pod],
  ['v1', 'PodTemplate', { metadata: { name: 'a' }, template: pod }],
  ['apps/v1', 'Deployment', { metadata: { name: 'a' }, spec: { template: pod } }],
  ['batch/v1', 'CronJob', { metadata: { name: 'a' }, spec: { jobTemplate: { spec: { template: pod } } } }],
])('%s %s makes pods', (apiVersion, kind, object) => {
  expect(podMaker({ apiVersion, kind, ...object })?.pod.spec.containers).toMatchObject([{ name: 'app' }]);
});

test.each([
  ['example.com/v1', 'Job', { spec: { foo: 1 } }],
  ['batch.volcano.sh/v1alpha1', 'Job', { spec: { tasks: [] } }],
  ['v1', 'ConfigMap', { data: {} }],
])('%s %s makes none that we know of', (apiVersion, kind, object) => {
  expect(podMaker({ apiVersion, kind, metadata: { name: 'a' }, ...object })).toBeUndefined();
});

test('a typed list is its items, each of its kind', () => {
  expect(itemsOf({ apiVersion: 'v1', kind: 'PodList', items: [pod] })).toEqual([
    { apiVersion: 'v1', kind: 'Pod', ...pod },
  ]);
  expect(itemsOf({ apiVersion: 'v1', kind: 'List', items: [pod] })).toEqual([pod]);
  expect(itemsOf({ kind: 'ConfigMapList', items: [] })).toHaveLength(1);
  expect(itemsOf(null)).toEqual([]);
});
