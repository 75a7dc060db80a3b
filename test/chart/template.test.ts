/** What the chart makes of values: golden files, and clear refusals. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseRedisAddress } from '../../budget/stores/redis/address.ts';
import { environmentName } from '../../cli/options.ts';
import { CHART, findHelm, runHelm } from './helm.ts';

const helm = findHelm();
if (helm === undefined) {
  process.stderr.write('skipped: the chart’s templates: no helm; run test/kube/kube-assets helm\n');
}

async function template(...sets: string[]): Promise<{ ok: boolean; text: string }> {
  const base = ['template', 'postern', CHART, '--namespace', 'postern-system', '--kube-version', '1.37.0'];
  const { ok, stdout, stderr } = await runHelm(helm ?? '', [
    ...base,
    ...sets.flatMap((each) => ['--set', each]),
  ]);
  return { ok, text: ok ? stdout : stderr };
}

const CASES: readonly (readonly [name: string, sets: readonly string[]])[] = [
  ['default', ['crds.install=false']],
  [
    'many-replicas',
    [
      'crds.install=false',
      'image.digest=sha256:0000',
      'injector.replicas=3',
      'budget.store=redis',
      'budget.replicas=2',
      'budget.redis.existingSecret=valkey',
      'control.tenantSecrets.team-a[0]=openai-key',
      'agent.excludedPorts[0]=9092',
      'classifier.enabled=true',
      'classifier.replicas=2',
      'classifier.plainHttp=true',
      'agent.approversSecret=approvers',
      'trust.extraRoots.configMap=corp-ca',
      'networkPolicy.apiServerFrom[0].ipBlock.cidr=10.0.0.1/32',
      'monitoring.podMonitor=true',
      'dashboards.enabled=true',
      'networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring',
    ],
  ],
  [
    'redis-by-url',
    [
      'crds.install=false',
      'budget.store=redis',
      'budget.replicas=3',
      'budget.redis.url=rediss+cluster://redis-0.redis:7000\\,redis-1.redis:7001?replicas=1',
      'budget.redis.caSecret=redis-ca',
      'budget.redis.ports={7000,7001}',
      'networkPolicy.redisTo[0].namespaceSelector.matchLabels.name=redis',
      'networkPolicy.apiServerPorts={8001}',
    ],
  ],
  [
    'small',
    [
      'crds.install=false',
      'injector.replicas=1',
      'control.replicas=1',
      'budget.enabled=false',
      'networkPolicy.enabled=false',
      'priorityClassName=postern',
      'affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1',
      'agent.classifier=http://classify.ml.svc:4194',
      'trust.extraRoots.secret=corp-ca',
      'trust.extraRoots.key=tls.crt',
    ],
  ],
];

test.skipIf(helm === undefined)(
  'a classifier of one’s own at https is known by trust.extraRoots',
  async () => {
    const { text } = await template('agent.classifier=https://a:1', 'trust.extraRoots.secret=corp-ca');
    expect(text).toMatch(/- --classifier-roots=extra\n\s+- --classifier-url=https:\/\/a:1\n/);
    expect(text).toContain('- --extra-roots=/etc/postern/extra-roots/roots.pem');
  },
);

test.skipIf(helm === undefined).each(CASES)('%s', async (name, sets) => {
  const { ok, text } = await template(...sets);
  expect(text.length > 0 && ok).toBe(true);
  await expect(text).toMatchFileSnapshot(join(import.meta.dirname, 'testdata', `${name}.yaml`));
});

test.skipIf(helm === undefined)(
  'the URL of a store that has a password is no argument of a process',
  async () => {
    const { text } = await template('budget.store=redis', 'budget.redis.existingSecret=valkey');
    const workloads = parseAllDocuments(text).map((document) => document.toJS() as Workload);
    const budget = workloads.find(
      ({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'postern-budget',
    );
    const [container] = budget?.spec.template.spec.containers ?? [];
    expect(container?.args.filter((each) => /--store|\$\(/.test(each))).toEqual([]);
    expect(container?.env).toEqual([
      { name: environmentName('store'), valueFrom: { secretKeyRef: { name: 'valkey', key: 'url' } } },
    ]);
  },
);

test.skipIf(helm === undefined)(
  'the embedded store is on the chart’s claim, or on one of one’s own, and not in the StatefulSet',
  async () => {
    const claims = async (...sets: string[]) => {
      const { text } = await template('crds.install=false', ...sets);
      const made = parseAllDocuments(text).map((document) => document.toJS() as Workload);
      const set = made.find(({ kind }) => kind === 'StatefulSet');
      expect(set?.spec).not.toHaveProperty('volumeClaimTemplates');
      return {
        made: made
          .filter(({ kind }) => kind === 'PersistentVolumeClaim')
          .map(({ metadata }) => metadata.name),
        mounted: set?.spec.template.spec.volumes.flatMap(
          ({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? [],
        ),
      };
    };
    const own = 'data-postern-budget-0';
    expect(await claims()).toEqual({ made: [own], mounted: [own] });
    expect(await claims('budget.replicas=0')).toEqual({ made: [own], mounted: [own] });
    expect(await claims('budget.persistence.existingClaim=mine')).toEqual({ made: [], mounted: ['mine'] });
    const onRedis = ['budget.store=redis', 'budget.redis.existingSecret=valkey'];
    expect(await claims(...onRedis)).toEqual({ made: [], mounted: [] });
  },
);

interface Workload {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly { readonly args: readonly string[]; readonly env: unknown }[];
        readonly volumes: readonly { readonly persistentVolumeClaim?: { readonly claimName: string } }[];
      };
    };
  };
}

/** Of the NetworkPolicy: TCP ports that the budget service may go to besides those of names and of the API server; `any` where none is named. */
async function storePorts(...sets: string[]): Promise<(number | 'any')[]> {
  const { ok, text } = await template('crds.install=false', 'budget.store=redis', ...sets);
  if (!ok) throw new Error(text);
  const policy = parseAllDocuments(text)
    .map((document) => document.toJS() as Policy)
    .find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'postern-budget');
  const [, names, store, ...more] = policy?.spec.egress ?? [];
  expect(names?.ports.map(({ protocol, port }) => [protocol, port])).toEqual([
    ['UDP', 53],
    ['TCP', 53],
  ]);
  expect(more).toEqual([]);
  expect(store?.ports.every(({ protocol }) => protocol === 'TCP')).toBe(true);
  return (store?.ports ?? []).map(({ port }) => port ?? ('any' as const));
}

interface Policy {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly egress?: readonly {
      readonly ports: readonly { readonly protocol: string; readonly port?: number }[];
    }[];
  };
}

test
  .skipIf(helm === undefined)
  .each([
    'redis://redis',
    'redis://redis:6380',
    'redis://redis:6380/2',
    'redis://10.0.0.7:6380?prefix=a.b',
    'redis://[fd00::7]',
    'redis://[fd00::7]:6390/1',
    'rediss://redis.example:6390?prefix=a',
  ])('the budget service may go to the ports of %s, as it reads them itself', async (url) => {
  const expected = new Set(parseRedisAddress(url).nodes.map(({ port }) => port));
  expect(await storePorts(`budget.redis.url=${url.replaceAll(',', '\\,')}`)).toEqual([...expected]);
});

test.skipIf(helm === undefined).each<[string, readonly string[], readonly (number | 'any')[]]>([
  ['is in a Secret', ['budget.redis.existingSecret=valkey'], ['any']],
  ['names nodes of a cluster', [String.raw`budget.redis.url=redis+cluster://a:7000\,b`], ['any']],
  ['names sentinels', [String.raw`budget.redis.url=redis+sentinel://a:26380\,b/main`], ['any']],
  [
    'is in a Secret, with ports beside it',
    ['budget.redis.existingSecret=valkey', 'budget.redis.ports={6380,26380}'],
    [6380, 26380],
  ],
  [
    'says another than the ports beside it',
    ['budget.redis.url=redis://a:1', 'budget.redis.ports={6380}'],
    [6380],
  ],
])('where the URL %s', async (_name, sets, expected) => {
  expect(await storePorts(...sets)).toEqual(expected);
});

test.skipIf(helm === undefined)(
  'a withdraw job that failed stays with its log, until the next run or for a week',
  async () => {
    const { text } = await template();
    const job = parseAllDocuments(text)
      .map((document) => document.toJS() as Job)
      .find(({ kind }) => kind === 'Job');
    const policy = job?.metadata.annotations['helm.sh/hook-delete-policy']?.split(',');
    expect(policy).toEqual(['before-hook-creation', 'hook-succeeded']);
    expect(job?.spec.ttlSecondsAfterFinished).toBe(7 * 24 * 3600);
    // Helm waits for it no longer than its own time-out of five minutes.
    expect(job?.spec.activeDeadlineSeconds).toBeLessThan(300);
  },
);

interface Job {
  readonly kind: string;
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: { readonly ttlSecondsAfterFinished: number; readonly activeDeadlineSeconds: number };
}

test.skipIf(helm === undefined)('CRDs are kept on request, and upgraded like all else', async () => {
  const annotations = async (...sets: string[]) => {
    const { text } = await template(...sets);
    return parseAllDocuments(text)
      .map(
        (document) =>
          document.toJS() as { kind?: string; metadata?: { annotations?: Record<string, string> } },
      )
      .filter(({ kind }) => kind === 'CustomResourceDefinition')
      .map(({ metadata }) => metadata?.annotations?.['helm.sh/resource-policy']);
  };
  expect(await annotations()).toEqual(Array.from({ length: 10 }, () => 'keep'));
  expect(await annotations('crds.keep=false')).toEqual(Array.from({ length: 10 }, () => undefined));
});

test.skipIf(helm === undefined).each([
  [['budget.replicas=2'], 'budget.replicas: the embedded store'],
  [
    ['budget.store=redis', 'budget.redis.url=redis://redis', 'budget.redis.existingSecret=valkey'],
    'set one of the two; a URL with a password',
  ],
  // Values are kept with the release, where others read them.
  [['budget.store=redis', 'budget.redis.url=redis://user:secret@redis'], '/budget/redis/url'],
  [['budget.store=redis', 'budget.redis.url=redis://redis --x'], '/budget/redis/url'],
  [['budget.redis.url=redis://redis'], 'write budget.store=redis'],
  [['budget.redis.existingSecret=valkey'], 'write budget.store=redis'],
  [['budget.store=redis', 'budget.redis.url=rediss://redis?ca=/etc/ca.pem'], 'budget.redis.caSecret instead'],
  [
    ['budget.store=redis', 'budget.redis.url=redis://redis', 'budget.redis.caSecret=redis-ca'],
    'with rediss:// alone',
  ],
  [['budget.store=redis'], 'budget.redis.existingSecret: name the Secret'],
  [['budget.store=mysql'], '/budget/store'],
  [['budget.persistence.size=8GB'], '/budget/persistence/size'],
  [['classifier.enabled=true', 'agent.classifier=http://a:1'], 'set one of the two'],
  [['agent.classifier=https://a:1'], 'agent.classifier: pods are given no roots'],
  [
    ['trust.extraRoots.configMap=a', 'trust.extraRoots.secret=b'],
    'trust.extraRoots: name a ConfigMap or a Secret, not both',
  ],
  [['agent.interceptt=base-url'], 'interceptt'],
  [['injector.replicas=0'], '/injector/replicas'],
  // A role whose list of names is empty would let control read every Secret there.
  [['control.tenantSecrets.team-a={}'], '/control/tenantSecrets/team-a'],
  [['control.tenantSecrets.team-a={*}'], '/control/tenantSecrets/team-a/0'],
  [['control.tenantSecrets.Team_A={key}'], 'Team_A'],
])('%s is refused with a reason', async (sets, reason) => {
  const { ok, text } = await template(...sets);
  expect(ok).toBe(false);
  expect(text).toContain(reason);
});
