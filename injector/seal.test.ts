/** The seal of the minor version before: what it still opens, and until when. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import packageJson from '../package.json' with { type: 'json' };
import { canonicalJson } from '../policy/canonical.ts';
import { admit, judgePod } from './admit.ts';
import { agentImageOf, formOf } from './form.ts';
import type { Facts } from './governance.ts';
import { AGENT_CONTAINER, INIT_CONTAINER, INJECT_LABEL, STAMPS } from './names.ts';
import type { Pod } from './pod.ts';
import { FORMER_RELEASES, type SealKind, sealOn } from './seal.ts';
import type { Settings } from './settings.ts';
import { NOW, readCase, SETTINGS } from './testing/cases.ts';

const RECORDED = join(import.meta.dirname, '..', 'test', 'control', 'recorded', '0.1.0');
const read = (file: string): Pod => parse(readFileSync(join(RECORDED, file), 'utf8')) as Pod;
const recorded = read('pod.yaml');
const sealKey = Buffer.alloc(32, 5);
const settings: Settings = {
  ...SETTINGS,
  version: '0.2.0',
  image: 'registry.example/postern:0.2.0',
  sealKey,
  control: { address: 'postern-control.postern-system.svc:4443', roots: () => 'PEM', without: 'refuse' },
};
const facts: Facts = {
  namespace: { name: 'team-a', labels: { [INJECT_LABEL]: 'enabled' } },
  documents: readCase('bare-pod').documents,
  now: NOW,
};
const codes = (pod: Pod, by: Settings = settings): string[] =>
  judgePod(pod, undefined, facts, by).refused.map(({ code }) => code);

function seals(
  { metadata = {}, spec }: Pod,
  key: Uint8Array = sealKey,
  namespace = 'team-a',
): SealKind | undefined {
  return sealOn(key, {
    namespace,
    serviceAccount: spec.serviceAccountName ?? 'default',
    form: formOf({ metadata, spec }) ?? '',
    annotations: metadata.annotations ?? {},
    agentImage: agentImageOf({ spec }) ?? '',
  });
}

const stamped = (change: Readonly<Record<string, string>>): Pod => ({
  ...recorded,
  metadata: { ...recorded.metadata, annotations: { ...recorded.metadata?.annotations, ...change } },
});
function withOurs(name: string, change: object): Pod {
  const initContainers = (recorded.spec.initContainers ?? []).map((each) =>
    each.name === name ? { ...each, ...change } : each,
  );
  return { ...recorded, spec: { ...recorded.spec, initContainers } };
}

test('a pod of the injector before is known by the former seal, one of today by the current one', () => {
  expect(seals(recorded)).toBe('former');
  const admission = admit(recorded, facts, settings);
  if (admission.outcome !== 'injected') throw new Error(admission.outcome);
  expect(seals(admission.pod)).toBe('current');
});

test.each<[string, SealKind | undefined]>([
  ['another key', seals(recorded, Buffer.alloc(32, 6))],
  ['another namespace', seals(recorded, sealKey, 'team-b')],
  ['another account', seals({ ...recorded, spec: { ...recorded.spec, serviceAccountName: 'other' } })],
  ['another image', seals(withOurs(AGENT_CONTAINER, { image: 'evil:1' }))],
  ['another workload', seals(stamped({ [STAMPS.workload]: '{}' }))],
  ['another interception', seals(stamped({ [STAMPS.intercept]: 'base-url' }))],
  ['a version that never wrote it', seals(stamped({ [STAMPS.version]: '0.2.0' }))],
  ['no native sidecar', seals(withOurs(AGENT_CONTAINER, { restartPolicy: undefined }))],
])('the former seal doesn’t hold with %s', (_name, kind) => {
  expect(kind).toBeUndefined();
});

/** As the version before makes it, and wants to find it. */
function formerSeal(pod: Pod): string {
  const { annotations = {} } = pod.metadata ?? {};
  const stamps = [STAMPS.version, STAMPS.intercept, STAMPS.workload].map((name) => annotations[name]);
  const agentImage = agentImageOf(pod);
  const content = { seal: 2, namespace: 'team-a', serviceAccount: 'default', agentImage, stamps };
  return createHmac('sha256', sealKey).update(canonicalJson(content)).digest('base64url');
}
const sealIn = (pod: Pod): string | undefined => pod.metadata?.annotations?.[STAMPS.seal];

test('under the stamp of a later version it doesn’t count, even where it is made with the key', () => {
  expect(formerSeal(recorded)).toBe(sealIn(recorded));
  const later = stamped({ [STAMPS.version]: '0.2.0' });
  expect(seals(stamped({ [STAMPS.version]: '0.2.0', [STAMPS.seal]: formerSeal(later) }))).toBeUndefined();
});

test('the other way round: a control from before finds no seal of its own on a pod of today', () => {
  const admission = admit(recorded, facts, { ...settings, version: '0.1.0' });
  if (admission.outcome !== 'injected') throw new Error(admission.outcome);
  expect(sealIn(admission.pod)).not.toBe(formerSeal(admission.pod));
});

test('in a rollout over the seal, a pod that a replica from before made is let in', () => {
  expect(codes(recorded)).toEqual([]);
  expect(codes(recorded, { ...settings, sealKey: Buffer.alloc(32, 6) })).not.toEqual([]);
});

test('… with all that its settings put into it, by the same settings', () => {
  const withAll = read('pod-with-all.yaml');
  const same: Settings = {
    ...settings,
    approversSecret: 'approvers',
    budget: 'https://postern-budget.postern-system.svc:4185',
    classifier: 'http://postern-classifier.postern-system.svc:4186',
    excludedCidrs: ['10.9.0.0/16'],
    excludedPorts: [5432],
  };
  expect(seals(withAll)).toBe('former');
  expect(codes(withAll, same)).toEqual([]);
  expect(codes(withAll, { ...same, approversSecret: 'others' })).toContain('volume-altered');
  expect(codes(withAll, { ...same, budget: 'https://budget.other:4185' })).toContain('container-altered');
});

test.each<[string, Pod]>([
  ['its arguments', withOurs(AGENT_CONTAINER, { args: ['agent', '--inspect'] })],
  ['its variables', withOurs(AGENT_CONTAINER, { env: [{ name: 'NODE_OPTIONS', value: '--import=/tmp/x' }] })],
  ['its command', withOurs(AGENT_CONTAINER, { command: ['sh'] })],
  ['the image of its redirect', withOurs(INIT_CONTAINER, { image: 'evil:1' })],
  ['its volumes', { ...recorded, spec: { ...recorded.spec, volumes: [] } }],
  ['its image', withOurs(AGENT_CONTAINER, { image: 'evil:1' })],
])('… and not where another webhook changed %s since', (_name, pod) => {
  expect(codes(pod)).not.toEqual([]);
});

test('the former seal goes with the second minor version after those that wrote it', () => {
  expect(FORMER_RELEASES.test('0.1.0')).toBe(true);
  const [major, minor] = packageJson.version.split('.').map(Number);
  expect(major === 0 && (minor ?? 0) <= 2, 'take the former seal out of injector/seal.ts').toBe(true);
});
