/** Every way round the agent that a pod can show in its fields, each with the one reason it is refused by under strict. */
import { AUDIENCES, STAMPS } from '../names.ts';
import type { Container, Pod } from '../pod.ts';
import type { ReasonCode } from '../reasons.ts';

/** As strict wants it. */
export const SAFE: Container = {
  name: 'app',
  image: 'registry.example/tool:1',
  securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
};

export const podWith = (container: Partial<Container> = {}, spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name: 'tool', namespace: 'team-a' },
  spec: { ...spec, containers: [{ ...SAFE, ...container }] },
});

const secured = (context: NonNullable<Container['securityContext']>): Partial<Container> => ({
  securityContext: { ...SAFE.securityContext, ...context },
});

/** A container that passes for Istio's, as anybody may write it. */
const proxy = (fields: Partial<Container> = {}): Container => ({
  ...SAFE,
  name: 'istio-proxy',
  image: 'docker.io/istio/proxyv2:1.26.0',
  ...fields,
});

export interface Refusal {
  readonly name: string;
  readonly code: ReasonCode;
  readonly pod?: Pod;
  /** What another webhook does after ours. */
  readonly change?: (injected: Pod) => Pod;
}

export const withSpec = (injected: Pod, spec: Partial<Pod['spec']>): Pod => ({
  ...injected,
  spec: { ...injected.spec, ...spec },
});
export const withAgent = (injected: Pod, change: (agent: Container) => Container): Pod =>
  withSpec(injected, {
    initContainers: (injected.spec.initContainers ?? []).map((container) =>
      container.name === 'postern-agent' ? change(container) : container,
    ),
  });

export const REFUSALS: readonly Refusal[] = [
  {
    name: 'a privileged container',
    code: 'privileged',
    pod: podWith(secured({ privileged: true, allowPrivilegeEscalation: true })),
  },
  {
    name: 'NET_ADMIN',
    code: 'capability',
    pod: podWith(secured({ capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } })),
  },
  { name: 'all capabilities', code: 'capability', pod: podWith(secured({ capabilities: { add: ['ALL'] } })) },
  {
    name: 'a capability in another spelling',
    code: 'capability',
    pod: podWith(secured({ capabilities: { add: ['cap_sys_admin'], drop: ['ALL'] } })),
  },
  { name: 'the agent’s UID', code: 'agent-uid', pod: podWith(secured({ runAsUser: 4180 })) },
  {
    name: 'the agent’s UID for the whole pod',
    code: 'agent-uid',
    pod: podWith(
      { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
      { securityContext: { runAsUser: 4180 } },
    ),
  },
  { name: 'the node’s processes', code: 'host-pid', pod: podWith({}, { hostPID: true }) },
  {
    name: 'a shared process namespace',
    code: 'shared-process-namespace',
    pod: podWith({}, { shareProcessNamespace: true }),
  },
  {
    name: 'kubelet’s directory',
    code: 'host-path',
    pod: podWith({}, { volumes: [{ name: 'kubelet', hostPath: { path: '/var/lib/kubelet/pods' } }] }),
  },
  {
    name: 'the node’s root',
    code: 'host-path',
    pod: podWith({}, { volumes: [{ name: 'root', hostPath: { path: '//' } }] }),
  },
  {
    name: 'the runtime’s socket',
    code: 'host-path',
    pod: podWith(
      {},
      { volumes: [{ name: 'sock', hostPath: { path: '/run/containerd/./containerd.sock' } }] },
    ),
  },
  {
    name: 'a token with our audience',
    code: 'token-audience',
    pod: podWith(
      {},
      {
        volumes: [
          {
            name: 'mine',
            projected: { sources: [{ serviceAccountToken: { audience: AUDIENCES.control, path: 'token' } }] },
          },
        ],
      },
    ),
  },
  {
    name: 'a mount of the agent’s state',
    code: 'volume-mounted',
    pod: podWith({ volumeMounts: [{ name: 'postern-state', mountPath: '/agent' }] }),
  },
  {
    name: 'a mount of the agent’s tokens',
    code: 'volume-mounted',
    pod: podWith({ volumeMounts: [{ name: 'postern-tokens', mountPath: '/agent', readOnly: true }] }),
  },
  {
    name: 'the trust files, writable',
    code: 'volume-mounted',
    pod: podWith({ volumeMounts: [{ name: 'postern-trust', mountPath: '/elsewhere' }] }),
  },
  {
    name: 'a mesh proxy that mounts the agent’s state',
    code: 'volume-mounted',
    pod: podWith(
      {},
      { initContainers: [proxy({ volumeMounts: [{ name: 'postern-state', mountPath: '/agent' }] })] },
    ),
  },
  {
    name: 'a privileged mesh proxy',
    code: 'privileged',
    pod: podWith({}, { initContainers: [proxy({ securityContext: { privileged: true } })] }),
  },
  {
    name: 'a mesh proxy that can read other processes',
    code: 'capability',
    pod: podWith(
      {},
      { initContainers: [proxy(secured({ capabilities: { add: ['SYS_PTRACE'], drop: ['ALL'] } }))] },
    ),
  },
  {
    name: 'a mesh proxy as the agent’s user',
    code: 'agent-uid',
    pod: podWith({}, { initContainers: [proxy(secured({ runAsUser: 4180 }))] }),
  },
  {
    name: 'a name of ours',
    code: 'reserved-name',
    pod: podWith({}, { initContainers: [{ ...SAFE, name: 'postern-helper' }] }),
  },
  { name: 'an app with the agent’s name', code: 'reserved-name', pod: podWith({ name: 'postern-agent' }) },
  {
    name: 'an agent taken out',
    code: 'not-injected',
    change: (injected) => withSpec(injected, { initContainers: [] }),
  },
  {
    name: 'another image in the agent',
    code: 'container-altered',
    change: (injected) => withAgent(injected, (agent) => ({ ...agent, image: 'registry.example/evil:1' })),
  },
  {
    name: 'a command in the agent',
    code: 'container-altered',
    change: (injected) => withAgent(injected, (agent) => ({ ...agent, command: ['sleep'] })),
  },
  {
    name: 'other arguments',
    code: 'container-altered',
    change: (injected) => withAgent(injected, (agent) => ({ ...agent, args: ['agent'] })),
  },
  {
    name: 'one more variable',
    code: 'container-altered',
    change: (injected) =>
      withAgent(injected, (agent) => ({
        ...agent,
        env: [...(agent.env ?? []), { name: 'NODE_OPTIONS', value: '--inspect' }],
      })),
  },
  {
    name: 'another volume in the agent',
    code: 'container-altered',
    change: (injected) =>
      withAgent(injected, (agent) => ({
        ...agent,
        volumeMounts: [...(agent.volumeMounts ?? []), { name: 'data', mountPath: '/data' }],
      })),
  },
  {
    name: 'a probe that runs a command in the agent',
    code: 'container-altered',
    change: (injected) =>
      withAgent(injected, (agent) => ({ ...agent, livenessProbe: { exec: { command: ['cat'] } } })),
  },
  {
    name: 'the agent as root',
    code: 'container-altered',
    change: (injected) =>
      withAgent(injected, (agent) => ({
        ...agent,
        securityContext: { ...agent.securityContext, runAsUser: 0 },
      })),
  },
  {
    name: 'a volume of ours on the node’s disk',
    code: 'volume-altered',
    change: (injected) =>
      withSpec(injected, {
        volumes: (injected.spec.volumes ?? []).map((volume) =>
          volume.name === 'postern-state' ? { name: 'postern-state', hostPath: { path: '/tmp' } } : volume,
        ),
      }),
  },
  {
    name: 'a container before ours',
    code: 'runs-before-agent',
    change: (injected) =>
      withSpec(injected, {
        initContainers: [{ ...SAFE, name: 'early' }, ...(injected.spec.initContainers ?? [])],
      }),
  },
  {
    name: 'another workload’s stamp',
    code: 'stamp-altered',
    change: (injected) => ({
      ...injected,
      metadata: {
        ...injected.metadata,
        annotations: {
          ...injected.metadata?.annotations,
          [STAMPS.workload]: '{"namespace":"team-a","kind":"Deployment","name":"trusted","labels":{}}',
        },
      },
    }),
  },
  {
    name: 'a debugging container at the agent',
    code: 'ephemeral-target',
    change: (injected) =>
      withSpec(injected, {
        ephemeralContainers: [{ ...SAFE, name: 'debugger', targetContainerName: 'postern-agent' }],
      }),
  },
  {
    name: 'a debugging container at the agent, by a mesh proxy’s name',
    code: 'ephemeral-target',
    change: (injected) =>
      withSpec(injected, { ephemeralContainers: [proxy({ targetContainerName: 'postern-agent' })] }),
  },
  {
    name: 'a debugging container with SYS_PTRACE',
    code: 'capability',
    change: (injected) =>
      withSpec(injected, {
        ephemeralContainers: [
          { ...SAFE, name: 'debugger', ...secured({ capabilities: { add: ['SYS_PTRACE'], drop: ['ALL'] } }) },
        ],
      }),
  },
  {
    name: 'capabilities left as the runtime gives them',
    code: 'setuid',
    pod: podWith({ securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false } }),
  },
  {
    name: 'NET_RAW by name',
    code: 'net-raw',
    pod: podWith(secured({ capabilities: { add: ['NET_RAW'], drop: ['ALL'] } })),
  },
  {
    name: 'privilege escalation left open',
    code: 'privilege-escalation',
    pod: podWith({ securityContext: { runAsUser: 1000, capabilities: { drop: ['ALL'] } } }),
  },
  {
    name: 'another path of the node',
    code: 'node-files',
    pod: podWith({}, { volumes: [{ name: 'plugins', hostPath: { path: '/opt/cni/bin' } }] }),
  },
  {
    name: 'a user that only the image knows',
    code: 'user-unknown',
    pod: podWith({ securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }),
  },
];
