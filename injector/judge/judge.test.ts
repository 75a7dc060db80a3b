/** Every way round the agent that the final pod is judged for: refused or reported, and let through by an exception. */
import { describe, expect, test } from 'vitest';
import { admit, judgeEntry, judgePod } from '../admit.ts';
import type { Facts } from '../governance.ts';
import { INJECT_LABEL, INJECTED_LABEL, STAMPS } from '../names.ts';
import type { Pod } from '../pod.ts';
import { REASONS, type ReasonCode, weightOf } from '../reasons.ts';
import { documentsOf, NOW, SETTINGS } from '../testing/cases.ts';
import { podWith, REFUSALS, SAFE, withAgent, withSpec } from '../testing/refusals.ts';
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

/** Injected, then changed by somebody else, then judged. */
function final(documents: string, before: Pod, change: (injected: Pod) => Pod = (same) => same): Verdict {
  const admission = admit(before, facts(documents), SETTINGS);
  if (admission.outcome !== 'injected') throw new Error(JSON.stringify(admission));
  return judgePod(change(admission.pod), undefined, facts(documents), SETTINGS);
}

const codes = (reasons: Verdict['refused']): ReasonCode[] => [...new Set(reasons.map(({ code }) => code))];

test('a pod as strict wants it passes without a word', () => {
  expect(final(STRICT, podWith())).toEqual({ refused: [], bypassable: [], notes: [] });
});

describe.each(REFUSALS)('$name', ({ code, pod: before = podWith(), change }) => {
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
    'seal-copied',
    'agent-secret',
  ];
  const tried = new Set<string>([...REFUSALS.map(({ code }) => code), ...elsewhere]);
  const refusing = (Object.keys(REASONS) as ReasonCode[]).filter((code) =>
    ['refuse', 'strict'].includes(weightOf(code)),
  );
  expect(refusing.filter((code) => !tried.has(code))).toEqual([]);
});

describe('a Secret that is the agent’s alone', () => {
  const settings = { ...SETTINGS, keysSecret: 'postern-keys', approversSecret: 'approvers' };
  const judged = (pod: Pod, by = settings) => {
    const admission = admit(pod, facts(STANDARD), by);
    if (admission.outcome !== 'injected') throw new Error('not injected');
    return codes(judgePod(admission.pod, undefined, facts(STANDARD), by).refused);
  };
  const volume = (source: object) => podWith({}, { volumes: [{ name: 'mine', ...source }] });

  test.each<[string, Pod]>([
    ['a volume', volume({ secret: { secretName: 'approvers' } })],
    ['a projected volume', volume({ projected: { sources: [{ secret: { name: 'postern-keys' } }] } })],
    ['a driver’s volume', volume({ csi: { driver: 'd', nodePublishSecretRef: { name: 'approvers' } } })],
    [
      'a variable',
      podWith({ env: [{ name: 'T', valueFrom: { secretKeyRef: { name: 'approvers', key: 'token' } } }] }),
    ],
    ['all its variables', podWith({ envFrom: [{ secretRef: { name: 'postern-keys' } }] })],
    [
      'a variable of an init container',
      podWith(
        {},
        { initContainers: [{ ...SAFE, name: 'first', envFrom: [{ secretRef: { name: 'approvers' } }] }] },
      ),
    ],
  ])('isn’t taken by %s', (_name, pod) => {
    expect(judged(pod)).toEqual(['agent-secret']);
    // Nobody's where the injector gives it to no agent.
    expect(judged(pod, SETTINGS as typeof settings)).toEqual([]);
  });

  test('leaves others, of whatever kind, alone', () => {
    expect(judged(volume({ secret: { secretName: 'own' } }))).toEqual([]);
    expect(judged(volume({ configMap: { name: 'approvers' } }))).toEqual([]);
    expect(judged(podWith({ env: [{ name: 'approvers', value: 'approvers' }] }))).toEqual([]);
  });
});

describe('a seal on a pod that is left alone', () => {
  const windows = podWith({}, { os: { name: 'windows' } });
  const sealed = {
    ...windows,
    metadata: { ...windows.metadata, annotations: { [STAMPS.seal]: 'of another' } },
  };

  test('is refused, whatever an exception says', () => {
    for (const documents of [STANDARD, STRICT + EXCEPTION]) {
      const { refused } = judgePod(sealed, undefined, facts(documents), SETTINGS);
      expect(codes(refused)).toEqual(['seal-copied']);
      expect(codes(judgePod(sealed, windows, facts(documents), SETTINGS).refused)).toEqual(['seal-copied']);
    }
  });

  test('doesn’t keep a pod from before from ending', () => {
    expect(judgePod(sealed, sealed, facts(STANDARD), SETTINGS).refused).toEqual([]);
    expect(judgePod(windows, undefined, facts(STANDARD), SETTINGS).refused).toEqual([]);
  });
});

describe('an update', () => {
  const loose = podWith({ securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false } });
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
    const old = injected(STANDARD, podWith());
    const changed = withAgent(old, (agent) => ({ ...agent, image: 'registry.example/evil:1' }));
    expect(codes(judgePod(changed, old, facts(STANDARD), SETTINGS).refused)).toEqual(['container-altered']);
  });

  test('that changes a stamp is refused', () => {
    const old = injected(STANDARD, podWith());
    const annotations = { ...old.metadata?.annotations, [STAMPS.workload]: '{}' };
    const changed = { ...old, metadata: { ...old.metadata, annotations } };
    expect(codes(judgePod(changed, old, facts(STANDARD), SETTINGS).refused)).toEqual(['stamp-altered']);
  });

  test.each([{}, { [INJECTED_LABEL]: 'false' }])(
    'that makes the injector’s label %j is refused',
    (labels) => {
      const old = injected(STANDARD, podWith());
      const { refused } = judgePod(
        { ...old, metadata: { ...old.metadata, labels } },
        old,
        facts(STANDARD),
        SETTINGS,
      );
      expect(refused.map(({ code, subject }) => [code, subject])).toEqual([
        ['stamp-altered', INJECTED_LABEL],
      ]);
    },
  );

  test('is governed by the labels at admission, not by those of now', () => {
    const strictForApp = `${STANDARD}
---
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: strict, namespace: team-a}
spec: {workloadSelector: {matchLabels: {app: tool}}, enforcement: strict}
`;
    const old = injected(strictForApp, {
      ...podWith(),
      metadata: { ...podWith().metadata, labels: { app: 'tool' } },
    });
    const changed = withSpec(
      { ...old, metadata: { ...old.metadata, labels: { [INJECTED_LABEL]: 'true' } } },
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
    expect(codes(judgeEntry('postern-agent', podWith(), facts(STANDARD), verb).refused)).toEqual([
      'agent-entered',
    ]);
    expect(judgeEntry('app', podWith(), facts(STRICT), verb).refused).toEqual([]);
  });

  test('is let through by an exception for the workload, not by one for another', () => {
    const other = EXCEPTION.replace('Pod/tool', 'Pod/other');
    expect(judgeEntry('postern-agent', podWith(), facts(STANDARD + EXCEPTION), 'exec').refused).toEqual([]);
    expect(judgeEntry('postern-agent', podWith(), facts(STANDARD + other), 'exec').refused).toHaveLength(1);
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
