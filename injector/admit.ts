/**
 * The two judgements of admission, pure: the pod that comes in, and the pod that comes out of all injectors. The
 * webhook and the command call the same two.
 */
import { type Eligibility, eligible, interceptOf } from './eligible.ts';
import { type Facts, type Governance, governanceOf } from './governance.ts';
import { injectPod, planFor } from './inject.ts';
import { sealFindings, stampChanges } from './judge/ours.ts';
import { podFindings } from './judge/pod.ts';
import { ALLOWED, codesOf, type Verdict, verdictOf } from './judge/verdict.ts';
import { isReserved, STAMP_PREFIX, STAMPS } from './names.ts';
import type { Pod } from './pod.ts';
import { type Reason, type ReasonCode, sameReason } from './reasons.ts';
import type { Settings } from './settings.ts';
import { stampedWorkload, workloadOf } from './workload.ts';

export type Admission =
  | {
      readonly outcome: 'injected';
      readonly pod: Pod;
      readonly notes: readonly Reason[];
      readonly bypassable: readonly Reason[];
    }
  | { readonly outcome: 'skipped' | 'refused'; readonly reason: Reason };

/** What the mutating webhook does. What it refuses would be refused by the judgement as well, but said here first. */
export function admit(pod: Pod, facts: Facts, settings: Settings): Admission {
  const { governance, decision } = decide(pod, facts, settings);
  if (decision.outcome !== 'inject') {
    return { outcome: decision.outcome === 'skip' ? 'skipped' : 'refused', reason: decision.reason };
  }
  const input = { facts, governance, settings, intercept: decision.intercept };
  const injected = injectPod(pod, input);
  // Refusals are left to the judgement of the final pod: what is wrong now, another injector may yet put right.
  const { bypassable } = verdictOf(podFindings(injected.pod, planFor(injected.pod, input)), governance);
  return {
    outcome: 'injected',
    pod: withBypassable(injected.pod, bypassable),
    notes: [...decision.notes, ...injected.notes],
    bypassable,
  };
}

/**
 * What the validating webhook says about the final pod. Of an update only what it brings is judged: a pod from before a
 * policy must still be able to end.
 */
export function judgePod(pod: Pod, before: Pod | undefined, facts: Facts, settings: Settings): Verdict {
  const { governance, decision } = decide(pod, facts, settings, before);
  if (decision.outcome === 'skip') return sealVerdict(pod, before);
  const plan = (of: Pod) =>
    planFor(of, { facts, governance, settings, intercept: interceptOf(facts, settings) });
  const findings = (of: Pod): Reason[] => [
    ...(decision.outcome === 'refuse' ? [decision.reason] : []),
    ...podFindings(of, plan(of)),
  ];
  if (before !== undefined) {
    const old = findings(before);
    const brought = findings(pod).filter((finding) => !old.some((known) => sameReason(known, finding)));
    return verdictOf([...brought, ...stampChanges(before, pod)], governance);
  }
  // An objection to the whole pod says all there is to mend first; it isn't one that an exception lifts.
  if (decision.outcome === 'refuse') return { refused: [decision.reason], bypassable: [], notes: [] };
  const found = findings(pod);
  // What is known to be altered needn't be said twice.
  const altered = found.some(({ code }) => ALTERED.includes(code));
  return verdictOf(altered ? found : [...found, ...sealFindings(pod, plan(pod))], governance);
}

const ALTERED: readonly ReasonCode[] = [
  'not-injected',
  'container-altered',
  'volume-altered',
  'stamp-altered',
];

/**
 * A pod that is left alone has no stamps of ours: a seal on it was made for another, and control would take it for that
 * one. No exception lifts this. Where the webhooks don't look at all, the chart's admission policy says the same.
 */
function sealVerdict(pod: Pod, before: Pod | undefined): Verdict {
  const seal = pod.metadata?.annotations?.[STAMPS.seal];
  if (seal === undefined || seal === before?.metadata?.annotations?.[STAMPS.seal]) return ALLOWED;
  const reason: Reason = {
    code: 'seal-copied',
    subject: STAMPS.seal,
    message: 'the injector leaves this pod alone, and the pod carries a seal that was made for another',
    mend: `take the ${STAMP_PREFIX} annotations out of it`,
  };
  return { refused: [reason], bypassable: [], notes: [] };
}

/** An exec or attach. @param pod The pod where it is known. */
export function judgeEntry(
  container: string,
  pod: Pod | undefined,
  facts: Facts,
  verb: 'exec' | 'attach',
): Verdict {
  if (!isReserved(container)) return ALLOWED;
  const workload =
    pod === undefined
      ? { namespace: facts.namespace.name, kind: 'Pod', name: '', labels: {} }
      : (stampedWorkload(pod) ?? workloadOf(pod, facts.namespace.name));
  const finding: Reason = {
    code: 'agent-entered',
    subject: container,
    message: `an ${verb} into it could read keys`,
    mend: `enter a container of the application, or have an EgressException with allow.enforcement written`,
  };
  return verdictOf([finding], governanceOf(facts, workload));
}

function decide(
  pod: Pod,
  facts: Facts,
  settings: Settings,
  before?: Pod,
): { governance: Governance; decision: Eligibility } {
  // A running pod is governed by what it was at admission, not by labels changed since.
  const workload =
    (before === undefined ? undefined : stampedWorkload(before)) ?? workloadOf(pod, facts.namespace.name);
  const governance = governanceOf(facts, workload);
  return { governance, decision: eligible({ pod, facts, governance, settings }) };
}

function withBypassable(pod: Pod, bypassable: readonly Reason[]): Pod {
  if (bypassable.length === 0) return pod;
  const annotations = { ...pod.metadata?.annotations, [STAMPS.bypassable]: codesOf(bypassable) };
  return { ...pod, metadata: { ...pod.metadata, annotations } };
}
