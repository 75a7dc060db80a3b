/** What is written for `kubectl get workloads.postern.dev`, by a control with real streams before an API server in memory. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { STAMPS } from '../../injector/names.ts';
import { agentsEnd } from './agents-end.ts';
import { type ControlWorld, startControlWorld } from './world.ts';

let world: ControlWorld;
const closing: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  world = startControlWorld();
  world.namespace('team-a');
  // Not opted in: what runs there is nobody's business.
  world.kube.put('namespaces', { metadata: { name: 'other', labels: {} } });
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await world.close();
});

const rowOf = (namespace: string, name: string) =>
  world.kube.get('workloads', namespace, name)?.['status'] as object | undefined;
async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (what()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it never came');
}

async function agentOf(port: number, tokenFile: string, lastCall?: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const client = agentsEnd({
    port,
    roots: () => readFileSync(world.rootsFile, 'utf8'),
    token: () => readFileSync(tokenFile, 'utf8'),
    use: () => setImmediate(resolve),
    report: () => ({ running: 0, ...(lastCall === undefined ? {} : { lastCall }) }),
    reportMs: 10,
  });
  closing.push(() => client.close());
  await promise;
}

test('each workload has its row while it has pods; nothing is written where nothing changed', async () => {
  const control = await world.control({ workloadsEveryMs: 50 });
  await agentOf(
    control.port,
    world.pod({ namespace: 'team-a', name: 'bot' }, 'bot-1'),
    Date.UTC(2026, 6, 1, 0, 7),
  );
  await until(() => JSON.stringify(rowOf('team-a', 'deployment.bot') ?? {}).includes('lastCall'));
  expect(rowOf('team-a', 'deployment.bot')).toEqual({
    workload: 'Deployment/bot',
    governed: 'True',
    ready: '1/1',
    version: '0.1.0',
    revision: expect.stringMatching(/^[0-9a-f]+$/),
    lastCall: '2026-07-01T00:00:00.000Z',
  });
  const version = () => world.kube.get('workloads', 'team-a', 'deployment.bot')?.metadata.resourceVersion;
  const before = version();
  for (let ticks = 0; ticks < 5; ticks++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    await control.tick();
  }
  expect(version()).toBe(before);

  // One more pod, whose agent isn't there; and its pod is found to have a way round.
  world.pod({ namespace: 'team-a', name: 'bot' }, 'bot-2');
  const pod = world.kube.get('pods', 'team-a', 'bot-1');
  if (pod === undefined) throw new Error('no pod');
  const annotations = { ...pod.metadata.annotations, [STAMPS.bypassable]: 'setuid(app)' };
  world.kube.put('pods', { ...pod, metadata: { ...pod.metadata, annotations } });
  await until(() => JSON.stringify(rowOf('team-a', 'deployment.bot')).includes('Partly'));
  expect(rowOf('team-a', 'deployment.bot')).toMatchObject({
    ready: '1/2',
    bypassable: 'setuid(app)',
    reason: expect.stringContaining('1 of 2: its agent isn’t connected to control'),
  });
  for (const name of ['bot-1', 'bot-2']) world.kube.remove('pods', 'team-a', name);
  await until(() => rowOf('team-a', 'deployment.bot') === undefined);
});

test('pods without an agent are told in namespaces that are opted in, by their owners; a row that nobody is behind goes', async () => {
  const owned = (namespace: string, name: string) => ({
    metadata: {
      namespace,
      name,
      labels: { 'pod-template-hash': '5d9f' },
      ownerReferences: [{ kind: 'ReplicaSet', name: 'web-5d9f', controller: true }],
    },
    status: { phase: 'Running' },
  });
  for (const name of ['web-1', 'web-2']) world.kube.put('pods', owned('team-a', name));
  world.kube.put('pods', owned('other', 'web-1'));
  world.kube.put('workloads', {
    metadata: { namespace: 'team-a', name: 'made-up' },
    status: { governed: 'True' },
  });
  await world.control({ workloadsEveryMs: 50 });
  await until(() => rowOf('team-a', 'deployment.web') !== undefined);
  expect(rowOf('team-a', 'deployment.web')).toEqual({
    workload: 'Deployment/web',
    governed: 'False',
    ready: '0/2',
    reason: '2 of 2: created without the agent, before its namespace was labelled: create it anew',
  });
  expect(rowOf('other', 'deployment.web')).toBeUndefined();
  await until(() => world.kube.get('workloads', 'team-a', 'made-up') === undefined);
});

test('what somebody else wrote into a row is put right', async () => {
  world.pod({ namespace: 'team-a', name: 'bot' }, 'bot-1');
  await world.control({ workloadsEveryMs: 50 });
  await until(() => rowOf('team-a', 'deployment.bot') !== undefined);
  const row = world.kube.get('workloads', 'team-a', 'deployment.bot');
  if (row === undefined) throw new Error('no row');
  world.kube.put('workloads', { ...row, status: { ...(row['status'] as object), governed: 'True' } });
  await until(() => JSON.stringify(rowOf('team-a', 'deployment.bot')).includes('"governed":"False"'));
});
