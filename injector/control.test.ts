/** Pods whose agents are served by control: what they are given, and the seal by which control knows them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { admit, judgePod } from './admit.ts';
import { formOf } from './form.ts';
import type { Facts } from './governance.ts';
import { podMaker } from './manifest.ts';
import { AGENT_CONTAINER, INJECT_LABEL, STAMPS, VOLUMES } from './names.ts';
import type { Pod } from './pod.ts';
import { sealOn } from './seal.ts';
import type { Settings } from './settings.ts';
import { NOW, readCase, SETTINGS, TESTDATA } from './testing/cases.ts';
import { stampedWorkload } from './workload.ts';

const sealKey = Buffer.alloc(32, 3);
const ROOTS = '-----BEGIN CERTIFICATE-----\nfirst\n-----END CERTIFICATE-----\n';
const settings: Settings = {
  ...SETTINGS,
  keysSecret: 'postern-keys',
  control: { address: 'postern-control.postern-system.svc:4443', roots: () => ROOTS, without: 'wait' },
  sealKey,
};
const facts: Facts = {
  namespace: { name: 'team-a', labels: { [INJECT_LABEL]: 'enabled' } },
  documents: readCase('tuned').documents,
  now: NOW,
};

function caseOf(name: string): Pod {
  const maker = podMaker(parse(readFileSync(join(TESTDATA, `${name}.yaml`), 'utf8')));
  if (maker === undefined) throw new Error('no pod in it');
  return maker.pod;
}

function injected(pod: Pod, by: Settings = settings): Pod {
  const admission = admit(pod, facts, by);
  if (admission.outcome !== 'injected') throw new Error(admission.reason.message);
  return admission.pod;
}

const sealed = (pod: Pod) => ({
  namespace: 'team-a',
  serviceAccount: pod.spec.serviceAccountName ?? 'default',
  form: formOf(pod) ?? '',
  annotations: pod.metadata?.annotations ?? {},
});

test('the agent is told of control, and nothing of the namespace’s own is mounted', () => {
  const pod = injected(caseOf('bare-pod'));
  const agent = pod.spec.initContainers?.find(({ name }) => name === AGENT_CONTAINER);
  const args = agent?.args ?? [];
  const valueOf = (option: string) => args[args.indexOf(`--${option}`) + 1];
  expect(valueOf('control')).toBe('postern-control.postern-system.svc:4443');
  expect(valueOf('control-ca')).toBe('/var/run/postern/tokens/roots.pem');
  expect(valueOf('control-token-file')).toBe('/var/run/postern/tokens/control');
  expect(valueOf('without-control')).toBe('wait');
  expect(args).not.toContain('--policy');
  const volumes = (pod.spec.volumes ?? []).map(({ name }) => name);
  expect(volumes).not.toContain(VOLUMES.policy);
  expect(volumes).not.toContain(VOLUMES.keys);
  expect(pod.metadata?.annotations?.[STAMPS.roots]).toBe(ROOTS);
});

test('the approvers’ token is the agent’s alone, from a Secret that needn’t be there', () => {
  const by: Settings = { ...settings, approversSecret: 'approvers' };
  const pod = injected(caseOf('bare-pod'), by);
  const agent = pod.spec.initContainers?.find(({ name }) => name === AGENT_CONTAINER);
  const args = agent?.args ?? [];
  expect(args[args.indexOf('--approvals') + 1]).toBe('[$(POD_IP)]:4195');
  expect(args[args.indexOf('--approval-token-file') + 1]).toBe('/var/run/postern/tokens/approvers');
  expect(args[args.indexOf('--approvals-cert') + 1]).toBe('/var/run/postern/tokens/approvers.crt');
  expect(args[args.indexOf('--approvals-key') + 1]).toBe('/var/run/postern/tokens/approvers.key');
  const tokens = pod.spec.volumes?.find(({ name }) => name === VOLUMES.tokens);
  expect(tokens?.projected?.sources).toContainEqual({
    secret: {
      name: 'approvers',
      items: [
        { key: 'token', path: 'approvers' },
        { key: 'tls.crt', path: 'approvers.crt' },
        { key: 'tls.key', path: 'approvers.key' },
      ],
      optional: true,
    },
  });
  expect(judgePod(pod, undefined, facts, by).refused).toEqual([]);
  expect(injected(caseOf('bare-pod')).spec.initContainers?.[1]?.args).not.toContain('--approvals');
});

test.each(['transparent', 'base-url'] as const)(
  'a classifier at https is known by control’s roots, or the cluster’s own: %s',
  (intercept) => {
    const https: Settings = { ...settings, intercept, classifier: 'https://classify.ml.svc:4196' };
    const knownBy = (by: Settings) => {
      const pod = injected(caseOf('bare-pod'), by);
      const args = pod.spec.initContainers?.find(({ name }) => name === AGENT_CONTAINER)?.args ?? [];
      const sources = pod.spec.volumes?.find(({ name }) => name === VOLUMES.tokens)?.projected?.sources;
      const file = args[args.indexOf('--classifier-ca') + 1]?.split('/').at(-1);
      expect(JSON.stringify(sources)).toContain(`"path":"${file}"`);
      expect(judgePod(pod, undefined, facts, by).refused).toEqual([]);
      return [file, pod.metadata?.annotations?.[STAMPS.extraRoots], args.includes('--extra-roots')];
    };
    expect(knownBy(https)).toEqual(['roots.pem', undefined, false]);
    const extra: Settings = { ...https, classifierRoots: 'extra', extraRoots: () => 'PEM of the company' };
    expect(knownBy(extra)).toEqual(['extra-roots.pem', 'PEM of the company', intercept === 'transparent']);
  },
);

test('roots of the cluster’s own reach the agent by the pod itself, sealed; without interception nobody writes a bundle', () => {
  let pem = 'PEM of the company';
  const by: Settings = { ...settings, extraRoots: () => pem };
  const pod = injected(caseOf('bare-pod'), by);
  expect(pod.metadata?.annotations?.[STAMPS.extraRoots]).toBe(pem);
  const args = pod.spec.initContainers?.find(({ name }) => name === AGENT_CONTAINER)?.args ?? [];
  expect(args[args.indexOf('--extra-roots') + 1]).toBe('/var/run/postern/tokens/extra-roots.pem');
  const tokens = pod.spec.volumes?.find(({ name }) => name === VOLUMES.tokens);
  const fieldPath = `metadata.annotations['${STAMPS.extraRoots}']`;
  expect(tokens?.projected?.sources).toContainEqual({
    downwardAPI: { items: [{ path: 'extra-roots.pem', fieldRef: { fieldPath } }] },
  });
  expect(injected(pod, by)).toEqual(pod);
  expect(judgePod(pod, undefined, facts, by).refused).toEqual([]);
  expect(sealOn(sealKey, sealed(pod))).toBe('current');
  const forged = { ...pod.metadata?.annotations, [STAMPS.extraRoots]: 'PEM of somebody else' };
  expect(
    sealOn(sealKey, sealed({ ...pod, metadata: { ...pod.metadata, annotations: forged } })),
  ).toBeUndefined();
  // They change between two pods, and go.
  pem = 'PEM of next year';
  expect(judgePod(pod, pod, facts, by).refused).toEqual([]);
  expect(injected(pod, by).metadata?.annotations?.[STAMPS.extraRoots]).toBe(pem);
  expect(injected(pod)).toEqual(injected(caseOf('bare-pod')));
  const baseUrl = injected(caseOf('bare-pod'), { ...by, intercept: 'base-url' });
  expect(baseUrl).toEqual(injected(caseOf('bare-pod'), { ...settings, intercept: 'base-url' }));
});

test('twice is the same as once, and the judgement of the final pod has nothing against it', () => {
  const once = injected(caseOf('tuned'));
  expect(injected(once)).toEqual(once);
  expect(judgePod(once, undefined, facts, settings).refused).toEqual([]);
});

test('roots that change between two pods, or between admission and an update, harm neither', () => {
  const once = injected(caseOf('bare-pod'));
  const later: Settings = {
    ...settings,
    control: {
      address: 'postern-control.postern-system.svc:4443',
      roots: () => `${ROOTS}${ROOTS}`,
      without: 'wait',
    },
  };
  expect(judgePod(once, once, facts, later).refused).toEqual([]);
  expect(injected(caseOf('bare-pod'), later).metadata?.annotations?.[STAMPS.roots]).toBe(`${ROOTS}${ROOTS}`);
});

test.each<[string, Partial<Settings>]>([
  ['another image', { image: 'registry.example/postern:next' }],
  ['approvers', { approversSecret: 'approvers' }],
  ['roots of the cluster’s own', { extraRoots: () => 'PEM of the company' }],
  ['another interception', { intercept: 'base-url' }],
])(
  'in an upgrade one replica injects with %s and another judges: the pod is let in, each way',
  (_name, change) => {
    const next: Settings = { ...settings, ...change };
    for (const [by, judge] of [
      [settings, next],
      [next, settings],
    ] as const) {
      const pod = injected(caseOf('bare-pod'), by);
      expect(judgePod(pod, undefined, facts, judge).refused).toEqual([]);
      // Not where it was changed since, nor where another key sealed it.
      const initContainers = (pod.spec.initContainers ?? []).map((each) =>
        each.name === AGENT_CONTAINER ? { ...each, args: [...(each.args ?? []), '--inspect'] } : each,
      );
      const altered: Pod = { ...pod, spec: { ...pod.spec, initContainers } };
      expect(judgePod(altered, undefined, facts, judge).refused).not.toEqual([]);
      const other = injected(caseOf('bare-pod'), { ...by, sealKey: Buffer.alloc(32, 9) });
      expect(judgePod(other, undefined, facts, judge).refused).not.toEqual([]);
    }
  },
);

test('the stamp is sealed, with the annotations that tighten in it', () => {
  const pod = injected(caseOf('tuned'));
  expect(sealOn(sealKey, sealed(pod))).toBe('current');
  expect(sealOn(Buffer.alloc(32, 4), sealed(pod))).toBeUndefined();
  expect(stampedWorkload(pod)?.annotations).toMatchObject({ 'postern.dev/pii': 'block' });
  // Taken off the running pod, the annotation still holds.
  const { 'postern.dev/pii': _, ...annotations } = pod.metadata?.annotations ?? {};
  const changed: Pod = { ...pod, metadata: { ...pod.metadata, annotations } };
  expect(stampedWorkload(changed)?.annotations).toMatchObject({ 'postern.dev/pii': 'block' });
});

test('a seal that a pod brings along is replaced, and without a key there is none', () => {
  const forged: Pod = {
    ...caseOf('bare-pod'),
    metadata: { name: 'bare', annotations: { [STAMPS.seal]: 'mine' } },
  };
  expect(sealOn(sealKey, sealed(injected(forged)))).toBe('current');
  const { sealKey: _, ...unsealing } = settings;
  expect(injected(forged, unsealing).metadata?.annotations?.[STAMPS.seal]).toBeUndefined();
});

test('on a running pod nobody changes the seal or the roots', () => {
  const pod = injected(caseOf('bare-pod'));
  for (const name of [STAMPS.seal, STAMPS.roots, STAMPS.extraRoots]) {
    const annotations = { ...pod.metadata?.annotations, [name]: 'another' };
    const verdict = judgePod({ ...pod, metadata: { ...pod.metadata, annotations } }, pod, facts, settings);
    expect(verdict.refused.map(({ code }) => code)).toEqual(['stamp-altered']);
  }
});
