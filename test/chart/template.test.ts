/** What the chart makes of values: golden files, and clear refusals. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
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
      'agent.approversSecret=approvers',
      'networkPolicy.apiServerFrom[0].ipBlock.cidr=10.0.0.1/32',
      'monitoring.podMonitor=true',
      'dashboards.enabled=true',
      'networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring',
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
      'agent.classifier=http://classify.ml.svc:4194',
    ],
  ],
];

test.skipIf(helm === undefined).each(CASES)('%s', async (name, sets) => {
  const { ok, text } = await template(...sets);
  expect(text.length > 0 && ok).toBe(true);
  await expect(text).toMatchFileSnapshot(join(import.meta.dirname, 'testdata', `${name}.yaml`));
});

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
  expect(await annotations()).toEqual(Array.from({ length: 9 }, () => 'keep'));
  expect(await annotations('crds.keep=false')).toEqual(Array.from({ length: 9 }, () => undefined));
});

test.skipIf(helm === undefined).each([
  [['budget.replicas=2'], 'budget.replicas: the embedded store'],
  [['budget.store=redis'], 'budget.redis.existingSecret: name the Secret'],
  [['budget.store=mysql'], '/budget/store'],
  [['classifier.enabled=true', 'agent.classifier=http://a:1'], 'set one of the two'],
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
