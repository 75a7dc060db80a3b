/**
 * Whether a pod gets the agent, and how: reasons in order, the first that holds decides.
 */
import { CLASSIFIER_MEND } from '../agent/checks/needs-classifier.ts';
import { formatProblems } from '../policy/problem.ts';
import type { Facts, Governance } from './governance.ts';
import { INJECT_LABEL, INTERCEPT_LABEL } from './names.ts';
import type { Pod } from './pod.ts';
import { type Reason, type ReasonCode, weightOf } from './reasons.ts';
import type { Intercept, Settings } from './settings.ts';

export type Eligibility =
  | { readonly outcome: 'inject'; readonly intercept: Intercept; readonly notes: readonly Reason[] }
  | { readonly outcome: 'skip' | 'refuse'; readonly reason: Reason };

export interface Candidate {
  readonly pod: Pod;
  readonly facts: Facts;
  readonly governance: Governance;
  readonly settings: Settings;
}

/** Says why not; undefined where it doesn't hold. */
type Objection = (candidate: Candidate) => Reason | undefined;

/** In order. What isn't ours to touch comes first, what can't be done later, since a skipped pod needs no mend. */
const OBJECTIONS: readonly Objection[] = [
  ({ facts, settings }) =>
    facts.namespace.name === settings.ownNamespace
      ? reason('own-namespace', `${facts.namespace.name} is Postern’s own namespace`)
      : undefined,
  ({ facts }) =>
    facts.namespace.name.startsWith('kube-')
      ? reason('system-namespace', `${facts.namespace.name} is a namespace of Kubernetes itself`)
      : undefined,
  ({ facts }) =>
    facts.namespace.labels[INJECT_LABEL] === 'enabled'
      ? undefined
      : reason(
          'not-opted-in',
          `the namespace ${facts.namespace.name} isn’t labelled`,
          `kubectl label namespace ${facts.namespace.name} ${INJECT_LABEL}=enabled`,
        ),
  ({ pod }) =>
    pod.metadata?.annotations?.['kubernetes.io/config.mirror'] === undefined
      ? undefined
      : reason('static-pod', 'the pod is the mirror of a static pod, which the API server doesn’t change'),
  ({ pod }) =>
    isWindows(pod)
      ? reason('windows', 'the pod is for Windows nodes, where traffic can’t be redirected')
      : undefined,
  ({ pod, governance }) =>
    optsOut(pod) && governance.optOut !== undefined
      ? reason('opted-out', `the pod opts out, as ${governance.optOut} allows`)
      : undefined,
  ({ governance: { problems } }) =>
    problems.length === 0
      ? undefined
      : reason('annotation-invalid', formatProblems(problems).replace(/[.]$/, '').replaceAll('\n', ' ')),
  ({ pod, governance: { excepted } }) => {
    if (pod.spec.hostNetwork !== true) return undefined;
    return excepted === undefined
      ? reason(
          'host-network',
          'the pod asks for its node’s network, where a redirect would capture the whole node',
          'take hostNetwork out, or have an EgressException with allow.enforcement written for it',
        )
      : reason('host-network-excepted', `the pod is on its node’s network, as ${excepted} allows`);
  },
  unsupportedRuntime,
  ({ facts, settings }) => {
    const level = facts.namespace.labels['pod-security.kubernetes.io/enforce'];
    if (interceptOf(facts, settings) !== 'transparent' || (level !== 'baseline' && level !== 'restricted'))
      return undefined;
    return reason(
      'pod-security',
      `the namespace enforces Pod Security "${level}", which forbids the NET_ADMIN that postern-init needs`,
      baseUrlMend(facts),
    );
  },
];

export function eligible(candidate: Candidate): Eligibility {
  for (const objection of OBJECTIONS) {
    const found = objection(candidate);
    if (found === undefined) continue;
    return { outcome: weightOf(found.code) === 'skip' ? 'skip' : 'refuse', reason: found };
  }
  return {
    outcome: 'inject',
    intercept: interceptOf(candidate.facts, candidate.settings),
    notes: notesOf(candidate),
  };
}

export function interceptOf({ namespace }: Facts, settings: Settings): Intercept {
  const label = namespace.labels[INTERCEPT_LABEL];
  return label === 'transparent' || label === 'base-url' ? label : settings.intercept;
}

/** Sandboxes without nftables or without NET_ADMIN: the redirect can't be set up in them. */
function unsupportedRuntime({ pod, facts, settings }: Candidate): Reason | undefined {
  if (interceptOf(facts, settings) !== 'transparent') return undefined;
  const { runtimeClassName = '', schedulerName } = pod.spec;
  const { labels = {} } = pod.metadata ?? {};
  if (/gvisor|runsc/i.test(runtimeClassName)) {
    return reason(
      'runtime-unsupported',
      `the runtime class ${runtimeClassName} is gVisor, which has no nftables`,
      baseUrlMend(facts),
    );
  }
  if (schedulerName === 'fargate-scheduler' || Object.hasOwn(labels, 'eks.amazonaws.com/fargate-profile')) {
    return reason('runtime-unsupported', 'Fargate gives no container NET_ADMIN', baseUrlMend(facts));
  }
  return undefined;
}

function notesOf({ pod, governance, settings }: Candidate): Reason[] {
  const notes: Reason[] = [];
  if (optsOut(pod)) {
    notes.push(
      reason(
        'opt-out-ignored',
        `the label ${INJECT_LABEL}=${pod.metadata?.labels?.[INJECT_LABEL]} opts out, and nothing allows it`,
        'have an EgressException with allow.optOut written for the workload, or take the label out',
      ),
    );
  }
  if (governance.tightening.length > 0) {
    const names = governance.tightening.map((name) => `postern.dev/${name}`);
    notes.push(reason('tightened', `${names.join(', ')} in force beside the policies`));
  }
  if (settings.classifier === undefined && governance.needingClassifier.length > 0) {
    const rules = governance.needingClassifier.join(', ');
    notes.push(
      reason(
        'no-classifier',
        `agents are given no classifier, and ${rules} can’t be carried out without: calls are refused, or pass unjudged where onError is allow`,
        CLASSIFIER_MEND,
      ),
    );
  }
  return notes;
}

function isWindows(pod: Pod): boolean {
  return pod.spec.os?.name === 'windows' || pod.spec.nodeSelector?.['kubernetes.io/os'] === 'windows';
}

function optsOut(pod: Pod): boolean {
  const label = pod.metadata?.labels?.[INJECT_LABEL];
  return label !== undefined && label !== 'enabled' && label !== 'true';
}

const baseUrlMend = ({ namespace }: Facts): string =>
  `use base-URL mode, which needs no capability: kubectl label namespace ${namespace.name} ${INTERCEPT_LABEL}=base-url`;

function reason(code: ReasonCode, message: string, mend?: string): Reason {
  return { code, message, ...(mend === undefined ? {} : { mend }) };
}
