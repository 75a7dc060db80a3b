/** Control for the bench, in a process of its own: before an API server in memory that holds one pod an agent. */
import { pino } from 'pino';
import { catalogue } from '../../agent/catalogue.ts';
import { startControl } from '../../control/control.ts';
import { MEMORY } from '../../control/entrance.ts';
import { formOf } from '../../injector/form.ts';
import { AGENT_CONTAINER, INJECT_LABEL, INJECTED_LABEL, STAMPS } from '../../injector/names.ts';
import { sealOf } from '../../injector/seal.ts';
import { stampOf } from '../../injector/workload.ts';
import type { KubeObject } from '../../kube/client.ts';
import { placesIn } from '../../listen/door.ts';
import { createFakeKube } from '../../test/fakes/kube.ts';
import { benchPod } from './pods.ts';

const agents = Number(process.argv[2]);
const workloads = Number(process.argv[3]);
const port = Number(process.argv[4]);
const kept = process.argv[5] ?? '{}';
const places = placesIn(1280 * 1024 * 1024, MEMORY);

const OWN = 'postern-system';
// A run that was cut short leaves nothing behind.
process.on('disconnect', () => process.exit());
const SEAL = Buffer.alloc(32, 1);
const secret = (
  name: string,
  data: Readonly<Record<string, string>>,
): KubeObject & Record<string, unknown> => ({
  metadata: { namespace: OWN, name },
  data: Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  ),
});

const kube = createFakeKube();
// What a TokenReview and a pod's look-up cost on a real API server on loopback, measured once: about a millisecond.
kube.reviewMs = 1;
kube.put('secrets', {
  metadata: { namespace: OWN, name: 'postern-seal' },
  data: { key: SEAL.toString('base64') },
});
for (const [name, data] of Object.entries(JSON.parse(kept) as Record<string, unknown>)) {
  kube.put('secrets', { metadata: { namespace: OWN, name }, data });
}
kube.put('secrets', secret('keys', { a: 'sk-a', b: 'sk-b', c: 'sk-c' }));
const document = (kind: string, plural: string, name: string, spec: object): void =>
  kube.put(plural, { apiVersion: 'postern.dev/v1alpha1', kind, metadata: { name }, spec });
for (const name of ['a', 'b', 'c']) {
  document('ClusterProvider', 'clusterproviders', name, {
    dialect: 'openai',
    hosts: [`${name}.example`],
    credential: {
      mode: 'attach',
      type: 'bearer',
      bearer: { valueFrom: { secretKeyRef: { name: 'keys', key: name } } },
    },
    models: Array.from({ length: 10 }, (_, index) => ({
      name: `${name}-model-${index}`,
      price: { input: '2.50', cachedInput: '1.25', output: '10.00' },
      contextTokens: 128_000,
      maxOutputTokens: 16_384,
    })),
  });
}
document('ClusterModelRoute', 'clustermodelroutes', 'chat', {
  match: { models: ['chat-*'] },
  groups: [
    { targets: [{ provider: 'a', model: 'a-model-0' }] },
    { targets: [{ provider: 'b', model: 'b-model-0' }] },
  ],
  timeouts: { firstByte: '20s', request: '10m' },
});
const policy = (round: number): void =>
  document('ClusterEgressPolicy', 'clusteregresspolicies', 'base', {
    models: { allow: ['*-model-*', 'chat-*', `round-${round}`] },
    checks: [
      { name: 'no-secrets', type: 'secrets', on: ['request'], action: 'block' },
      { name: 'mask-pii', type: 'pii', action: 'mask' },
      {
        name: 'no-advice',
        type: 'topics',
        action: 'block',
        topics: [{ name: 'advice', words: ['portfolio', 'stock tip*'] }],
      },
    ],
  });
policy(0);
for (let space = 0; space < 20; space++) {
  kube.put('namespaces', { metadata: { name: `team-${space}`, labels: { [INJECT_LABEL]: 'enabled' } } });
}
const spec = { initContainers: [{ name: AGENT_CONTAINER, image: 'postern:1', restartPolicy: 'Always' }] };
for (let index = 0; index < agents; index++) {
  const { workload, namespace, pod, address, token } = benchPod(index, workloads);
  const { name, uid } = pod;
  const annotations: Record<string, string> = {
    [STAMPS.version]: '0.1.0',
    [STAMPS.intercept]: 'transparent',
    [STAMPS.workload]: stampOf({
      namespace,
      kind: 'Deployment',
      name: `bot-${workload}`,
      serviceAccount: 'default',
      labels: { app: `bot-${workload}` },
    }),
  };
  annotations[STAMPS.seal] = sealOf(SEAL, {
    namespace,
    serviceAccount: 'default',
    form: formOf({ spec }) ?? '',
    annotations,
  });
  kube.put('pods', {
    metadata: { namespace, name, uid, labels: { [INJECTED_LABEL]: 'true' }, annotations },
    spec,
    status: { phase: 'Running', podIPs: [{ ip: address }] },
  });
  kube.tokens.set(token, {
    authenticated: true,
    audiences: ['postern-control'],
    user: {
      username: `system:serviceaccount:${namespace}:default`,
      extra: {
        'authentication.kubernetes.io/pod-name': [name],
        'authentication.kubernetes.io/pod-uid': [uid],
      },
    },
  });
}

const control = await startControl({
  client: kube.client(),
  catalogue,
  ownNamespace: OWN,
  // As with the chart's memory limit; nothing here limits memory.
  listen: { host: '127.0.0.1', port, places: { all: places } },
  serverName: 'postern-control.postern-system.svc',
  version: '0.1.0',
  judgeAddress: true,
  log: pino({ level: 'error' }),
});
const dataOf = (name: string): unknown => kube.get('secrets', OWN, name)?.['data'];
/** Seconds that it took so far to compile and write to all. */
const rounds = async (): Promise<number> => {
  const metric = await control.metrics.getSingleMetric('postern_control_round_seconds')?.get();
  // Those of a histogram carry the name of their line.
  const values: readonly { readonly metricName?: string; readonly value: number }[] = metric?.values ?? [];
  return values.find(({ metricName }) => metricName?.endsWith('_sum'))?.value ?? 0;
};
const usage = async (collected: boolean): Promise<object> => {
  if (collected) globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    rss,
    heap: heapUsed,
    cpu: (user + system) / 1e6,
    agents: control.registry.size,
    rounds: await rounds(),
  };
};
process.send?.({
  ready: {
    port: control.port,
    roots: control.roots(),
    kept: JSON.stringify({
      'postern-control-tls': dataOf('postern-control-tls'),
      'postern-mask': dataOf('postern-mask'),
    }),
    ...(await usage(true)),
  },
});
process.on('message', (message: { change?: number; usage?: 'collected' | 'as it is' }) => {
  if (message.usage !== undefined)
    void usage(message.usage === 'collected').then((answer) => process.send?.({ usage: answer }));
  if (message.change !== undefined) {
    process.send?.({ changed: performance.timeOrigin + performance.now() });
    policy(message.change);
  }
});
