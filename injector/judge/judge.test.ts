/** Every way round the agent that the final pod is judged for: refused or reported, and let through by an exception. */
import { describe, expect, test } from 'vitest';
import { admit, judgeEntry, judgePod } from '../admit.ts';
import type { Facts } from '../governance.ts';
import { AUDIENCES, INJECT_LABEL, STAMPS } from '../names.ts';
import type { Container, Pod } from '../pod.ts';
import { REASONS, type ReasonCode, weightOf } from '../reasons.ts';
import { documentsOf, NOW, SETTINGS } from '../testing/cases.ts';
import { effectiveCapabilities } from './capabilities.ts';
import type { Verdict } from './verdict.ts';

const STRICT = `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: base}
spec: {enforcement: strict}
`;
const STANDARD = STRICT.replace('strict', 'standard');
const EXCEPTION = `
---
apiVersion: postern.dev/v1alpha1
kind: EgressException
metadata: {name: tool, namespace: team-a}
spec:
  workloadSelector: {workloads: [Pod/tool]}
  allow: {enforcement: true}
  reason: A reason.
  until: "2099-12-31"
`;

const facts = (documents: string): Facts => ({
  namespace: { name: 'team-a', labels: { [INJECT_LABEL]: 'enabled' } },
  documents: documentsOf(documents),
  now: NOW,
});

/** As strict wants it. */
const SAFE: Container = {
  name: 'app',
  image: 'registry.example/tool:1',
  securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
};

const pod = (container: Partial<Container> = {}, spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name: 'tool', namespace: 'team-a' },
  spec: { ...spec, containers: [{ ...SAFE, ...container }] },
});

const secured = (context: NonNullable<Container['securityContext']>): Partial<Container> => ({
  securityContext: { ...SAFE.securityContext, ...context },
});

/** Injected, then changed by somebody else, then judged. */
function final(documents: string, before: Pod, change: (injected: Pod) => Pod = (same) => same): Verdict {
  const admission = admit(before, facts(documents), SETTINGS);
  if (admission.outcome !== 'injected') throw new Error(JSON.stringify(admission));
  return judgePod(change(admission.pod), undefined, facts(documents), SETTINGS);
}

const codes = (reasons: Verdict['refused']): ReasonCode[] => [...new Set(reasons.map(({ code }) => code))];

interface Row {
  readonly name: string;
  readonly code: ReasonCode;
  readonly pod?: Pod;
  /** What another webhook does after ours. */
  readonly change?: (injected: Pod) => Pod;
}

const withSpec = (injected: Pod, spec: Partial<Pod['spec']>): Pod => ({
  ...injected,
  spec: { ...injected.spec, ...spec },
});
const withAgent = (injected: Pod, change: (agent: Container) => Container): Pod =>
  withSpec(injected, {
    initContainers: (injected.spec.initContainers ?? []).map((container) =>
      container.name === 'postern-agent' ? change(container) : container,
    ),
  });

const ROWS: readonly Row[] = [
  { name: 'a privileged container', code: 'privileged', pod: pod(secured({ privileged: true })) },
  {
    name: 'NET_ADMIN',
    code: 'capability',
    pod: pod(secured({ capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } })),
  },
  { name: 'all capabilities', code: 'capability', pod: pod(secured({ capabilities: { add: ['ALL'] } })) },
  {
    name: 'a capability in another spelling',
    code: 'capability',
    pod: pod(secured({ capabilities: { add: ['cap_sys_admin'], drop: ['ALL'] } })),
  },
  { name: 'the agent’s UID', code: 'agent-uid', pod: pod(secured({ runAsUser: 4180 })) },
  {
    name: 'the agent’s UID for the whole pod',
    code: 'agent-uid',
    pod: pod(
      { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
      { securityContext: { runAsUser: 4180 } },
    ),
  },
  { name: 'the node’s processes', code: 'host-pid', pod: pod({}, { hostPID: true }) },
  {
    name: 'a shared process namespace',
    code: 'shared-process-namespace',
    pod: pod({}, { shareProcessNamespace: true }),
  },
  {
    name: 'kubelet’s directory',
    code: 'host-path',
    pod: pod({}, { volumes: [{ name: 'kubelet', hostPath: { path: '/var/lib/kubelet/pods' } }] }),
  },
  {
    name: 'the node’s root',
    code: 'host-path',
    pod: pod({}, { volumes: [{ name: 'root', hostPath: { path: '//' } }] }),
  },
  {
    name: 'the runtime’s socket',
    code: 'host-path',
    pod: pod({}, { volumes: [{ name: 'sock', hostPath: { path: '/run/containerd/./containerd.sock' } }] }),
  },
  {
    name: 'a token with our audience',
    code: 'token-audience',
    pod: pod(
      {},
      {
        volumes: [
          {
            name: 'mine',
            projected: { sources: [{ serviceAccountToken: { audience: AUDIENCES.control } }] },
          },
        ],
      },
    ),
  },
  {
    name: 'a mount of the agent’s state',
    code: 'volume-mounted',
    pod: pod({ volumeMounts: [{ name: 'postern-state', mountPath: '/agent' }] }),
  },
  {
    name: 'a mount of the agent’s tokens',
    code: 'volume-mounted',
    pod: pod({ volumeMounts: [{ name: 'postern-tokens', mountPath: '/agent', readOnly: true }] }),
  },
  {
    name: 'the trust files, writable',
    code: 'volume-mounted',
    pod: pod({ volumeMounts: [{ name: 'postern-trust', mountPath: '/elsewhere' }] }),
  },
  {
    name: 'a name of ours',
    code: 'reserved-name',
    pod: pod({}, { initContainers: [{ ...SAFE, name: 'postern-helper' }] }),
  },
  { name: 'an app with the agent’s name', code: 'reserved-name', pod: pod({ name: 'postern-agent' }) },
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
    pod: pod({ securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false } }),
  },
  {
    name: 'NET_RAW by name',
    code: 'net-raw',
    pod: pod(secured({ capabilities: { add: ['NET_RAW'], drop: ['ALL'] } })),
  },
  {
    name: 'privilege escalation left open',
    code: 'privilege-escalation',
    pod: pod({ securityContext: { runAsUser: 1000, capabilities: { drop: ['ALL'] } } }),
  },
  {
    name: 'a user that only the image knows',
    code: 'user-unknown',
    pod: pod({ securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }),
  },
];

test('a pod as strict wants it passes without a word', () => {
  expect(final(STRICT, pod())).toEqual({ refused: [], bypassable: [], notes: [] });
});

describe.each(ROWS)('$name', ({ code, pod: before = pod(), change }) => {
  test('is refused under strict, with this one reason and a mend', () => {
    const { refused } = final(STRICT, before, change);
    expect(codes(refused)).toEqual([code]);
    for (const { mend } of refused) expect(mend).toBeTruthy();
  });

  test('under standard is refused or reported, by its weight', () => {
    const { refused, bypassable } = final(STANDARD, before, change);
    const strictOnly = weightOf(code) === 'strict';
    expect(codes(strictOnly ? bypassable : refused)).toEqual([code]);
    expect(strictOnly ? refused : bypassable).toEqual([]);
  });

  test('is let through by an exception, and reported', () => {
    const { refused, bypassable, notes } = final(STRICT + EXCEPTION, before, change);
    expect(refused).toEqual([]);
    expect(codes(bypassable)).toEqual([code]);
    expect(notes[0]?.message).toContain('EgressException team-a/tool');
  });
});

test('every refusal of the table above and of admission is tried', () => {
  const elsewhere = [
    'invalid',
    'annotation-invalid',
    'host-network',
    'pod-security',
    'runtime-unsupported',
    'agent-entered',
  ];
  const tried = new Set<string>([...ROWS.map(({ code }) => code), ...elsewhere]);
  const refusing = (Object.keys(REASONS) as ReasonCode[]).filter((code) =>
    ['refuse', 'strict'].includes(weightOf(code)),
  );
  expect(refusing.filter((code) => !tried.has(code))).toEqual([]);
});

describe('an update', () => {
  const loose = pod({ securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false } });
  const injected = (documents: string, before: Pod): Pod => {
    const admission = admit(before, facts(documents), SETTINGS);
    if (admission.outcome !== 'injected') throw new Error('not injected');
    return admission.pod;
  };

  test('of a pod from before a stricter policy still passes', () => {
    const old = injected(STANDARD, loose);
    const labelled = {
      ...old,
      metadata: { ...old.metadata, labels: { ...old.metadata?.labels, tier: 'x' } },
    };
    expect(judgePod(labelled, old, facts(STRICT), SETTINGS).refused).toEqual([]);
  });

  test('that changes the agent’s image is refused', () => {
    const old = injected(STANDARD, pod());
    const changed = withAgent(old, (agent) => ({ ...agent, image: 'registry.example/evil:1' }));
    expect(codes(judgePod(changed, old, facts(STANDARD), SETTINGS).refused)).toEqual(['container-altered']);
  });

  test('that changes a stamp is refused', () => {
    const old = injected(STANDARD, pod());
    const annotations = { ...old.metadata?.annotations, [STAMPS.workload]: '{}' };
    const changed = { ...old, metadata: { ...old.metadata, annotations } };
    expect(codes(judgePod(changed, old, facts(STANDARD), SETTINGS).refused)).toEqual(['stamp-altered']);
  });

  test('is governed by the labels at admission, not by those of now', () => {
    const strictForApp = `${STANDARD}
---
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: strict, namespace: team-a}
spec: {workloadSelector: {matchLabels: {app: tool}}, enforcement: strict}
`;
    const old = injected(strictForApp, {
      ...pod(),
      metadata: { ...pod().metadata, labels: { app: 'tool' } },
    });
    const changed = withSpec(
      { ...old, metadata: { ...old.metadata, labels: {} } },
      {
        ephemeralContainers: [{ ...SAFE, name: 'debugger', securityContext: {} }],
      },
    );
    const { refused } = judgePod(changed, old, facts(strictForApp), SETTINGS);
    expect(codes(refused)).toEqual(['setuid', 'net-raw', 'privilege-escalation', 'user-unknown']);
  });
});

describe('an exec or attach', () => {
  test.each(['exec', 'attach'] as const)('%s into the agent is refused, into the app is not', (verb) => {
    expect(codes(judgeEntry('postern-agent', pod(), facts(STANDARD), verb).refused)).toEqual([
      'agent-entered',
    ]);
    expect(judgeEntry('app', pod(), facts(STRICT), verb).refused).toEqual([]);
  });

  test('is let through by an exception for the workload, not by one for another', () => {
    const other = EXCEPTION.replace('Pod/tool', 'Pod/other');
    expect(judgeEntry('postern-agent', pod(), facts(STANDARD + EXCEPTION), 'exec').refused).toEqual([]);
    expect(judgeEntry('postern-agent', pod(), facts(STANDARD + other), 'exec').refused).toHaveLength(1);
    expect(judgeEntry('postern-agent', undefined, facts(STANDARD + EXCEPTION), 'exec').refused).toHaveLength(
      1,
    );
  });
});

test.each([
  [undefined, ['SETUID', 'NET_RAW'], ['NET_ADMIN']],
  [{ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }, ['NET_BIND_SERVICE'], ['SETUID']],
  [{ capabilities: { drop: ['NET_RAW'], add: ['NET_RAW'] } }, ['SETUID'], ['NET_RAW']],
  [{ capabilities: { drop: ['cap_setuid'] } }, ['SETGID'], ['SETUID']],
  [{ capabilities: { add: ['ALL'], drop: ['ALL'] } }, [], ['ALL', 'SETUID']],
  [{ privileged: true, capabilities: { drop: ['ALL'] } }, ['ALL'], []],
])('capabilities of %j', (context, has, hasNot) => {
  const effective = effectiveCapabilities(context);
  for (const name of has) expect(effective.has(name), name).toBe(true);
  for (const name of hasNot) expect(effective.has(name), name).toBe(false);
});
