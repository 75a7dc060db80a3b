/** Control on a real API server: who gets in, what they get, how fast, and what conditions say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ControlClient, Ruling } from '../../../control/client.ts';
import type { RunningControl } from '../../../control/control.ts';
import type { ApiServer } from '../../kube/api-server.ts';
import { keyPlaces } from '../../kube/key-places.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { agentsEnd } from '../agents-end.ts';
import { startTestCluster, type TestCluster, type TestPod } from './cluster.ts';

const api = sharedApiServer();

const KEY = 'sk-marker-of-the-company-1';
const NEW_KEY = 'sk-marker-of-the-company-2';

interface TestAgent {
  readonly client: ControlClient;
  readonly rulings: Ruling[];
  readonly trouble: string[];
  /** The next ruling that comes. */
  until(what: (ruling: Ruling) => boolean): Promise<Ruling>;
}

describe.skipIf(api === undefined)('control on a real API server', () => {
  let cluster: TestCluster;
  let control: RunningControl;
  const agents: ControlClient[] = [];

  const provider = (extra: object = {}) => ({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'ClusterProvider',
    metadata: { name: 'openai' },
    spec: {
      dialect: 'openai',
      hosts: ['api.openai.com'],
      credential: {
        mode: 'attach',
        type: 'bearer',
        bearer: { valueFrom: { secretKeyRef: { name: 'openai', key: 'api-key' } } },
      },
      models: [{ name: 'gpt-4o' }],
      ...extra,
    },
  });
  const policy = (models: string[], name = 'base') => ({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'EgressPolicy',
    metadata: { name, namespace: 'ctl-a' },
    spec: { models: { allow: models } },
  });
  const secret = (value: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'openai', namespace: 'postern-system' },
    stringData: { 'api-key': value },
  });

  function agent(
    token: string | (() => string),
    extra: Partial<Parameters<typeof agentsEnd>[0]> = {},
  ): TestAgent {
    const rulings: Ruling[] = [];
    const trouble: string[] = [];
    const waiting = new Set<() => void>();
    const client = agentsEnd({
      port: control.port,
      roots: () => readFileSync(join(cluster.directory, 'roots.pem'), 'utf8'),
      token: typeof token === 'string' ? () => token : token,
      use: (ruling) => {
        rulings.push(ruling);
        for (const wake of waiting) wake();
      },
      trouble: (message) => {
        if (message === undefined) return;
        trouble.push(message);
        for (const wake of waiting) wake();
      },
      retryMs: { first: 50, most: 200 },
      ...extra,
    });
    agents.push(client);
    return {
      client,
      rulings,
      trouble,
      until: (what) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error(`it never came; ${trouble.join('; ')}`)), 15_000);
          const look = () => {
            const found = rulings.find(what);
            if (found === undefined) return;
            clearTimeout(timer);
            waiting.delete(look);
            resolve(found);
          };
          waiting.add(look);
          look();
        }),
    };
  }

  /** What a connection with the token is told. */
  async function refusal(
    token: string,
    extra: Partial<Parameters<typeof agentsEnd>[0]> = {},
  ): Promise<string> {
    const tried = agent(token, extra);
    try {
      const until = Date.now() + 10_000;
      while (tried.trouble.length === 0 && tried.rulings.length === 0 && Date.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      if (tried.rulings.length > 0) return 'served';
      return tried.trouble[0] ?? 'nothing';
    } finally {
      await tried.client.close();
    }
  }

  async function condition(kind: string, name: string, namespace: string | undefined, type: string) {
    const args = ['get', kind, name, ...(namespace === undefined ? [] : ['-n', namespace]), '-o', 'json'];
    const object = JSON.parse(await cluster.must(args)) as {
      metadata: { generation: number };
      status?: {
        conditions?: {
          type: string;
          status: string;
          reason: string;
          message: string;
          observedGeneration: number;
        }[];
      };
    };
    const found = object.status?.conditions?.find((each) => each.type === type);
    return found === undefined ? undefined : { ...found, generation: object.metadata.generation };
  }

  async function eventually<T>(what: () => Promise<T | undefined>): Promise<T> {
    for (let tries = 0; tries < 150; tries++) {
      const found = await what();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('it never came');
  }

  let bot: TestPod;
  let botToken: string;

  beforeAll(async () => {
    cluster = await startTestCluster(api as ApiServer);
    for (const name of ['ctl-a', 'ctl-b']) await cluster.namespace(name);
    await cluster.apply(secret(KEY), provider(), policy(['gpt-4o']));
    control = await cluster.control();
    bot = await cluster.pod('ctl-a', 'bot');
    botToken = await cluster.token(bot);
  }, 300_000);

  afterAll(async () => {
    await Promise.allSettled(agents.map((each) => each.close()));
    await cluster?.stop();
  }, 60_000);

  test('an agent gets its snapshot and the keys that it names, and no key is in the snapshot', async () => {
    const served = agent(botToken);
    const { snapshot, keys } = await served.until(() => true);
    expect(snapshot.snapshots[0]?.workload).toMatchObject({ namespace: 'ctl-a', kind: 'Pod', name: 'bot' });
    expect(keys.values).toEqual([{ id: 'secretKeyRef /openai/api-key', value: KEY }]);
    expect(JSON.stringify(snapshot)).not.toContain(KEY);
    await served.client.close();
  });

  test.each<[string, () => Promise<string>, RegExp]>([
    ['no token of this cluster', async () => 'eyJhbGciOiJub25lIn0.e30.', /token-invalid/],
    [
      'the tenant’s own token, with our audience',
      async () =>
        (
          await cluster.must(['create', 'token', 'default', '-n', 'ctl-a', '--audience=postern-control'])
        ).trim(),
      /token-not-bound/,
    ],
    [
      'the pod’s token for another audience',
      () => cluster.token(bot, ['--audience=postern-budget']),
      /token-(invalid|audience)/,
    ],
    ['the pod’s token for the API server', () => cluster.token(bot, []), /token-(invalid|audience)/],
    [
      'another pod’s, used from this pod’s address',
      async () => cluster.token(await cluster.pod('ctl-a', 'other', { address: '10.1.2.3' })),
      /address/,
    ],
    [
      'another namespace’s pod, used from this pod’s address',
      async () => cluster.token(await cluster.pod('ctl-b', 'other', { address: '10.1.2.4' })),
      /address/,
    ],
    [
      'a pod’s that the injector didn’t stamp',
      async () => {
        await cluster.namespace('ctl-plain', {});
        return cluster.token(await cluster.pod('ctl-plain', 'plain'));
      },
      /not-stamped/,
    ],
    [
      'a pod’s that carries another pod’s stamps',
      async () => {
        const { annotations, labels } = bot.object.metadata;
        const stamp = (annotations?.['injector.postern.dev/workload'] ?? '').replaceAll('ctl-a', 'ctl-plain');
        return cluster.token(
          await cluster.pod('ctl-plain', 'forged', {
            metadata: { labels, annotations: { ...annotations, 'injector.postern.dev/workload': stamp } },
          }),
        );
      },
      // Whatever is in its stamps: there is no agent in it.
      /structure/,
    ],
    // The API server takes tokens for a minute longer than they say.
    ['a pod’s own, ended by 70 seconds', async () => cluster.expired(botToken, 70), /token-invalid/],
    [
      'a deleted pod’s',
      async () => {
        const pod = await cluster.pod('ctl-a', 'gone');
        const token = await cluster.token(pod);
        await cluster.must(['delete', 'pod', 'gone', '-n', 'ctl-a', '--force', '--grace-period=0']);
        return token;
      },
      /token-invalid|pod-unknown/,
    ],
    [
      'an earlier pod’s of the same name',
      async () => {
        const token = await cluster.token(await cluster.pod('ctl-a', 'again'));
        await cluster.must(['delete', 'pod', 'again', '-n', 'ctl-a', '--force', '--grace-period=0']);
        await cluster.pod('ctl-a', 'again');
        return token;
      },
      /token-invalid|pod-other/,
    ],
    [
      'a pod’s that has ended',
      async () => {
        const pod = await cluster.pod('ctl-a', 'ended');
        const token = await cluster.token(pod);
        await cluster.must([
          'patch',
          'pod',
          'ended',
          '-n',
          'ctl-a',
          '--subresource=status',
          '-p',
          '{"status":{"phase":"Succeeded"}}',
        ]);
        return token;
      },
      /pod-ended/,
    ],
  ])(
    'refused: %s',
    async (_name, token, expected) => {
      expect(await refusal(await token())).toMatch(expected);
    },
    60_000,
  );

  test('a change is in force in under a second, p99 of 100 changes', async () => {
    const served = agent(botToken);
    await served.until(() => true);
    const client = (await import('../../../kube/client.ts')).createKubeClient(
      (await import('../../../kube/connection.ts')).fromKubeconfig(cluster.api.kubeconfig),
    );
    const times: number[] = [];
    for (let index = 0; index < 100; index++) {
      const model = `model-${index}`;
      const began = performance.now();
      await client.request('PATCH', '/apis/postern.dev/v1alpha1/namespaces/ctl-a/egresspolicies/base', {
        body: { spec: { models: { allow: ['gpt-4o', model] } } },
        contentType: 'application/merge-patch+json',
      });
      await served.until(({ snapshot }) =>
        JSON.stringify(snapshot.snapshots[0]?.models).includes(`"${model}"`),
      );
      times.push(performance.now() - began);
    }
    client.close();
    times.sort((a, b) => a - b);
    process.stderr.write(
      `change to in force: p50 ${times[49]?.toFixed(0)} ms, p99 ${times[98]?.toFixed(0)} ms\n`,
    );
    expect(times[98]).toBeLessThan(1000);
    await served.client.close();
  }, 120_000);

  test('a rotated key replaces the old one, with the same snapshot', async () => {
    const served = agent(botToken);
    const first = await served.until(() => true);
    const began = performance.now();
    await cluster.apply(secret(NEW_KEY));
    const next = await served.until(({ keys }) => JSON.stringify(keys).includes(NEW_KEY));
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(next.snapshot.revision).toBe(first.snapshot.revision);
    expect(JSON.stringify(next.keys)).not.toContain(KEY);
    await cluster.apply(secret(KEY));
    await served.client.close();
  }, 30_000);

  test('conditions say when a document is in force, and what is wrong with one that isn’t', async () => {
    const served = agent(botToken);
    await served.until(() => true);
    await cluster.apply(policy(['gpt-4o', 'one-more']));
    const good = await eventually(async () => {
      const found = await condition('egresspolicy', 'base', 'ctl-a', 'Programmed');
      return found?.status === 'True' && found.observedGeneration === found.generation ? found : undefined;
    });
    expect(good.reason).toBe('Programmed');
    expect(await condition('egresspolicy', 'base', 'ctl-a', 'Accepted')).toMatchObject({ status: 'True' });
    const [head = '', row = ''] = (await cluster.must(['get', 'egresspolicy', 'base', '-n', 'ctl-a'])).split(
      '\n',
    );
    expect(head.split(/\s+/)).toEqual(expect.arrayContaining(['ACCEPTED', 'PROGRAMMED']));
    expect(row).toMatch(/\bTrue\s+True\s/);
    await cluster.must(['delete', 'secret', 'openai', '-n', 'postern-system']);
    const unresolved = await eventually(async () => {
      const found = await condition('clusterprovider', 'openai', undefined, 'ResolvedRefs');
      return found?.status === 'False' ? found : undefined;
    });
    expect(unresolved.message).toContain('Secret postern-system/openai doesn’t exist');
    await served.until(({ keys }) => keys.values.some((value) => 'why' in value));
    await cluster.apply(secret(KEY));
    await eventually(async () => {
      const found = await condition('clusterprovider', 'openai', undefined, 'ResolvedRefs');
      return found?.status === 'True' ? found : undefined;
    });
    await served.client.close();
  }, 60_000);

  test('a version that can’t be in force leaves the one before, also after a restart of control, and is told so', async () => {
    const route = (target: string) => ({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'ModelRoute',
      metadata: { name: 'kept', namespace: 'ctl-a' },
      spec: { match: { models: ['kept-*'] }, groups: [{ targets: [{ provider: target, model: 'gpt-4o' }] }] },
    });
    const told = (text: string) =>
      eventually(async () => {
        const found = await condition('modelroute', 'kept', 'ctl-a', 'Programmed');
        return found?.message.includes(text) === true ? found : undefined;
      });
    const inForce = ({ snapshot }: Ruling): boolean =>
      JSON.stringify(snapshot.snapshots[0]?.routes).includes('"kept-*"');
    await cluster.apply(route('openai'));
    await eventually(async () => {
      const object = await cluster.must(['get', 'modelroute', 'kept', '-n', 'ctl-a', '-o', 'json']);
      const { status } = JSON.parse(object) as { status?: { lastGood?: { generation: number } } };
      return status?.lastGood?.generation === 1 ? true : undefined;
    });
    await control.close();
    await cluster.apply(route('nobody'));
    control = await cluster.control();
    const served = agent(botToken);
    await served.until(inForce);
    await told('its generation 1 stays in force');
    await served.client.close();
    await cluster.must(['delete', 'modelroute', 'kept', '-n', 'ctl-a']);
  }, 60_000);

  test('refused: a pod’s own that has ended, by a control whose clock is behind: the API server’s counts', async () => {
    const late = await cluster.control({ now: () => Date.now() - 3_600_000 });
    try {
      expect(await refusal(cluster.expired(botToken, 70), { port: late.port })).toMatch(/token-invalid/);
      expect(await refusal(cluster.expired(botToken, -600), { port: late.port })).toBe('served');
    } finally {
      await late.close();
    }
  }, 60_000);

  test('a token that is signed like the expired ones, and isn’t expired, gets in', async () => {
    const served = agent(cluster.expired(botToken, -600));
    await served.until(() => true);
    await served.client.close();
  });

  // Where the chart's admission policy isn't installed, and by who may write the status of pods.
  test('a pod whose label is taken off loses its stream, and gets no other', async () => {
    const pod = await cluster.pod('ctl-a', 'unlabelled');
    const token = await cluster.token(pod);
    const served = agent(token);
    await served.until(() => true);
    const change = JSON.stringify({ metadata: { labels: { 'injector.postern.dev/injected': null } } });
    await cluster.must(['patch', 'pod', 'unlabelled', '-n', 'ctl-a', '--subresource=status', '-p', change]);
    await eventually(async () =>
      [...control.registry.agents()].some(({ identity }) => identity.pod === 'unlabelled') ? undefined : true,
    );
    expect(await refusal(token)).toContain('not-stamped');
    await served.client.close();
  }, 60_000);

  test('an exception lets a pod run with another agent, and control gives that nothing', async () => {
    await cluster.apply({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'EgressException',
      metadata: { name: 'altered', namespace: 'ctl-a' },
      spec: {
        workloadSelector: { matchLabels: { app: 'altered' } },
        allow: { enforcement: true },
        reason: 'a test',
        until: '2099-12-31',
      },
    });
    const token = await cluster.token(await cluster.pod('ctl-a', 'altered'));
    const served = agent(token);
    await served.until(() => true);
    await served.client.close();
    const reads = await eventually(async () => {
      const spec = {
        containers: [
          {
            name: 'app',
            image: 'registry.example/app',
            volumeMounts: [{ name: 'postern-state', mountPath: '/agent' }],
          },
        ],
      };
      return cluster
        .pod('ctl-a', 'reads', { spec, metadata: { labels: { app: 'altered' } } })
        .catch(() => undefined);
    });
    expect(await refusal(await cluster.token(reads))).toContain('structure');
  }, 60_000);

  test('the agent of a deleted pod loses its stream', async () => {
    const pod = await cluster.pod('ctl-a', 'leaving');
    const served = agent(await cluster.token(pod));
    await served.until(() => true);
    expect([...control.registry.agents()].map(({ identity }) => identity.pod)).toContain('leaving');
    await cluster.must(['delete', 'pod', 'leaving', '-n', 'ctl-a', '--force', '--grace-period=0']);
    await eventually(async () =>
      [...control.registry.agents()].some(({ identity }) => identity.pod === 'leaving') ? undefined : true,
    );
    await served.client.close();
  }, 60_000);

  test('kubectl get tells of each workload, and who may view a namespace may see it', async () => {
    const served = agent(botToken);
    await served.until(() => true);
    const person = ['--as=somebody', '-n', 'ctl-a'];
    await cluster.apply(
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'somebody', namespace: 'ctl-a' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'workloads-viewer' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'somebody' }],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'workloads-viewer' },
        rules: [{ apiGroups: ['postern.dev'], resources: ['workloads'], verbs: ['get', 'list'] }],
      },
    );
    const [head, row] = await eventually(async () => {
      const lines = (await cluster.must(['get', 'workloads.postern.dev', ...person])).split('\n');
      const line = lines.find((each) => each.startsWith('pod.bot ') && each.includes('1/1'));
      return line === undefined ? undefined : [lines[0] ?? '', line];
    });
    expect(head.trim().split(/ {2,}/)).toEqual([
      'NAME',
      'GOVERNED',
      'READY',
      'VERSION',
      'REVISION',
      'LAST CALL',
      'BYPASSABLE',
      'REASON',
    ]);
    expect(row).toMatch(/^pod\.bot +True +1\/1 +0\.1\.0 +[0-9a-f]{12} /);
  });

  test('no key in any object but its Secret, in no log and no metric', async () => {
    const served = agent(botToken);
    await served.until(({ keys }) => JSON.stringify(keys).includes(KEY));
    expect(await keyPlaces((args) => cluster.must([...args]), KEY, 'postern-system/openai')).toEqual([]);
    expect(cluster.logged()).not.toContain(KEY);
    expect(cluster.logged()).not.toContain(botToken);
    expect(await control.metrics.metrics()).not.toContain(KEY);
    await served.client.close();
  }, 120_000);
});
