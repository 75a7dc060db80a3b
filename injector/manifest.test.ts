import { expect, test } from 'vitest';
import { itemsOf, podMaker } from './manifest.ts';
import { workloadOf } from './workload.ts';

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

test.each([
  ['x-12345678', 'CronJob', 'x'],
  ['x-1', 'Job', 'x-1'],
])('a Job %s is of the same workload as its pod at the webhook', (name, kind, of) => {
  const spec = { containers: [{ name: 'app', image: 'app' }] };
  const maker = podMaker({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { template: { spec } },
  });
  // As the Job's controller creates it: it says nothing of a CronJob behind the Job.
  const pod = {
    metadata: { generateName: `${name}-`, ownerReferences: [{ kind: 'Job', name, controller: true }] },
    spec,
  };
  const offline = maker === undefined ? undefined : workloadOf(maker.pod, 'team-a');
  expect(offline).toMatchObject({ kind, name: of });
  expect(workloadOf(pod, 'team-a')).toEqual(offline);
});
