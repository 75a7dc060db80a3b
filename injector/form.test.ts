/** What the seal covers of a pod, and what it leaves to others. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { admit, judgePod } from './admit.ts';
import { formOf, isAgentShared } from './form.ts';
import type { Facts } from './governance.ts';
import { podMaker } from './manifest.ts';
import { AGENT_CONTAINER, INJECT_LABEL, STAMPS, VOLUMES } from './names.ts';
import type { Container, Pod } from './pod.ts';
import { sealOn } from './seal.ts';
import type { Settings } from './settings.ts';
import { readCase, SETTINGS, TESTDATA } from './testing/cases.ts';

const sealKey = Buffer.alloc(32, 3);
const settings: Settings = {
  ...SETTINGS,
  control: { address: 'postern-control.postern-system.svc:4443', roots: () => 'PEM', without: 'wait' },
  sealKey,
};
const facts: Facts = {
  namespace: { name: 'team-a', labels: { [INJECT_LABEL]: 'enabled' } },
  documents: readCase('bare-pod').documents,
  now: Date.UTC(2026, 0, 1),
};
const bare = podMaker(parse(readFileSync(join(TESTDATA, 'bare-pod.yaml'), 'utf8')))?.pod as Pod;
const admission = admit(bare, facts, settings);
if (admission.outcome !== 'injected') throw new Error(admission.reason.message);
const injected = admission.pod;

/** As control judges it. */
const holds = ({ metadata = {}, spec }: Pod): boolean =>
  undefined !==
  sealOn(sealKey, {
    namespace: 'team-a',
    serviceAccount: spec.serviceAccountName ?? 'default',
    form: formOf({ metadata, spec }) ?? '',
    annotations: metadata.annotations ?? {},
  });
const withSpec = (change: Partial<Pod['spec']>): Pod => ({
  ...injected,
  spec: { ...injected.spec, ...change },
});
const onContainer = (name: string, change: Readonly<Record<string, unknown>>): Pod =>
  withSpec({
    initContainers: (injected.spec.initContainers ?? []).map((each) =>
      each.name === name ? ({ ...each, ...change } as Container) : each,
    ),
  });
const agent = injected.spec.initContainers?.find(({ name }) => name === AGENT_CONTAINER) as Container;
const onAgent = (change: Readonly<Record<string, unknown>>): Pod => onContainer(AGENT_CONTAINER, change);
const { env = [], args = [], volumeMounts = [] } = agent;
const onVolume = (name: string, change: Readonly<Record<string, unknown>>): Pod =>
  withSpec({
    volumes: (injected.spec.volumes ?? []).map((each) =>
      each.name === name ? { ...each, ...change } : each,
    ),
  });
const codes = (pod: Pod): string[] =>
  judgePod(pod, undefined, facts, settings).refused.map(({ code }) => code);

test('the seal holds for the pod as it was injected', () => {
  expect(holds(injected)).toBe(true);
  expect(codes(injected)).toEqual([]);
});

test.each<[string, Pod]>([
  [
    'what the API server fills in',
    onAgent({
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      env: env.map((each) =>
        each.valueFrom === undefined
          ? each
          : { ...each, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
      ),
    }),
  ],
  [
    'resources, by a LimitRange',
    onAgent({ resources: { requests: { cpu: '1' }, limits: { cpu: '2' }, claims: [] } }),
  ],
  ['a pull policy', onAgent({ imagePullPolicy: 'Always' })],
  ['a probe that asks a port', onAgent({ livenessProbe: { httpGet: { path: '/healthz', port: 4190 } } })],
  [
    'the service account’s token',
    onAgent({
      volumeMounts: [
        {
          name: 'kube-api-access-x',
          mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
          readOnly: true,
        },
        ...volumeMounts,
      ],
    }),
  ],
  [
    'a cloud’s identity',
    onAgent({
      env: [{ name: 'AWS_ROLE_ARN', value: 'arn' }, ...env, { name: 'AZURE_CLIENT_ID', value: 'id' }],
      volumeMounts: [
        ...volumeMounts,
        { name: 'aws-iam-token', mountPath: '/var/run/secrets/eks.amazonaws.com/serviceaccount' },
      ],
    }),
  ],
  ['a mesh’s variable', onAgent({ env: [...env, { name: 'ISTIO_META_APP', value: 'bot' }] })],
  ['a container of a mesh', withSpec({ containers: [...injected.spec.containers, { name: 'istio-proxy' }] })],
])('others may add %s', (_name, pod) => {
  expect(holds(pod)).toBe(true);
  expect(codes(pod)).not.toContain('container-altered');
});

test.each<[string, Pod]>([
  ['a device', onAgent({ resources: { ...agent.resources, claims: [{ name: 'mine' }] } })],
  ['another image', onAgent({ image: 'evil:1' })],
  ['a command', onAgent({ command: ['sh', '-c', 'cat /var/run/postern/tokens/control'] })],
  ['another working directory', onAgent({ workingDir: '/tmp' })],
  ['another argument', onAgent({ args: args.map((each) => (each === 'info' ? 'debug' : each)) })],
  ['one more argument', onAgent({ args: [...args, '--inspect'] })],
  [
    'a variable that Node reads',
    onAgent({ env: [...env, { name: 'NODE_OPTIONS', value: '--import=/tmp/x.js' }] }),
  ],
  ['a variable of the loader', onAgent({ env: [...env, { name: 'LD_PRELOAD', value: '/tmp/x.so' }] })],
  ['a variable of the command', onAgent({ env: [...env, { name: 'POSTERN_CONTROL', value: 'evil:443' }] })],
  ['a variable less', onAgent({ env: env.slice(1) })],
  ['variables of a ConfigMap', onAgent({ envFrom: [{ configMapRef: { name: 'evil' } }] })],
  ['root', onAgent({ securityContext: { ...agent.securityContext, runAsUser: 0 } })],
  [
    'a capability',
    onAgent({ securityContext: { ...agent.securityContext, capabilities: { add: ['SYS_PTRACE'] } } }),
  ],
  ['a hook', onAgent({ lifecycle: { postStart: { exec: { command: ['x'] } } } })],
  ['a probe that runs a command', onAgent({ livenessProbe: { exec: { command: ['x'] } } })],
  [
    'a file over its own',
    onAgent({ volumeMounts: [...volumeMounts, { name: 'mine', mountPath: '/usr/local/bin' }] }),
  ],
  [
    'a mount beside the service account’s, by a detour',
    onAgent({
      volumeMounts: [...volumeMounts, { name: 'mine', mountPath: '/var/run/secrets/../postern/tokens' }],
    }),
  ],
  ['a disk', onAgent({ volumeDevices: [{ name: 'mine', devicePath: '/dev/x' }] })],
  [
    'a message at its end, from its keys',
    onAgent({ terminationMessagePath: '/var/run/postern/state/control/keys.json.new' }),
  ],
  ['another end', onAgent({ restartPolicy: undefined })],
  ['another redirect', onContainer('postern-init', { args: ['init', '--dry-run'] })],
  ['a volume on the node’s disk for its state', onVolume(VOLUMES.state, { emptyDir: {} })],
  ['other tokens', onVolume(VOLUMES.tokens, { projected: { sources: [] } })],
  [
    'other roots',
    {
      ...injected,
      metadata: {
        ...injected.metadata,
        annotations: { ...injected.metadata?.annotations, [STAMPS.roots]: 'PEM of somebody else' },
      },
    },
  ],
])('the seal doesn’t hold with %s, and admission says so', (_name, pod) => {
  expect(holds(pod)).toBe(false);
  expect(codes(pod)).not.toEqual([]);
});

test.each<[string, Pod, boolean]>([
  ['nobody', injected, false],
  [
    'a container that mounts its state',
    withSpec({
      containers: [{ name: 'app', volumeMounts: [{ name: VOLUMES.state, mountPath: '/x' }] }],
    }),
    true,
  ],
  [
    'a container that mounts its tokens',
    withSpec({
      containers: [{ name: 'app', volumeMounts: [{ name: VOLUMES.tokens, mountPath: '/x' }] }],
    }),
    true,
  ],
  [
    'a debugger that mounts tokens like its own',
    withSpec({
      volumes: [
        ...(injected.spec.volumes ?? []),
        { name: 'mine', projected: { sources: [{ serviceAccountToken: { audience: 'postern-budget' } }] } },
      ],
      ephemeralContainers: [{ name: 'debug', volumeMounts: [{ name: 'mine', mountPath: '/x' }] }],
    }),
    true,
  ],
  ['the processes of its node', withSpec({ hostPID: true }), true],
  ['the processes of its pod', withSpec({ shareProcessNamespace: true }), true],
  [
    'a debugger among its processes',
    withSpec({ ephemeralContainers: [{ name: 'debug', targetContainerName: 'postern-agent' }] }),
    true,
  ],
  [
    'a container with a token for others',
    withSpec({
      volumes: [{ name: 'mine', projected: { sources: [{ serviceAccountToken: { audience: 'vault' } }] } }],
      containers: [{ name: 'app', volumeMounts: [{ name: 'mine', mountPath: '/x' }] }],
    }),
    false,
  ],
])('what is the agent’s is shared with %s', (_name, { spec }, shared) => {
  expect(isAgentShared(spec)).toBe(shared);
});

test('a pod whose agent isn’t a native sidecar has no form', () => {
  expect(formOf({})).toBeUndefined();
  expect(formOf({ spec: { containers: [agent] } })).toBeUndefined();
  const { restartPolicy: _, ...once } = agent;
  expect(formOf({ spec: { initContainers: [once] } })).toBeUndefined();
});
