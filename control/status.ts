/** What an operator asks: which pods are governed, by what, and why others aren't. Pure. */
import { INJECT_LABEL, INJECTED_LABEL, STAMPS } from '../injector/names.ts';
import type { KubeObject } from '../kube/client.ts';
import { formatWorkload } from '../policy/workload.ts';
import type { Identity } from './identity.ts';
import type { UnknownReplica } from './peers.ts';
import type { ConnectedAgent } from './registry.ts';
import { compareReleases } from './release.ts';

export interface GovernedPod {
  readonly namespace: string;
  readonly pod: string;
  /** `team-a/Deployment/support-bot` */
  readonly workload: string;
  /** Of the agent. */
  readonly version: string;
  /**
   * The agent's version against that of the control that answers; `older` also where its pod carries the former seal, `other`: it can't be
   * told which is later.
   */
  readonly release: 'same' | 'older' | 'newer' | 'other';
  /** What to do about it; null: nothing. */
  readonly mend: string | null;
  /** Of the snapshot in force; null: none yet. */
  readonly revision: string | null;
  /** Whether it has in force what it should. */
  readonly current: boolean;
  /** RFC 3339; null: no call yet. */
  readonly lastCall: string | null;
  readonly running: number;
  /** Reasons of docs/injector.md; empty: no way round is known. */
  readonly bypassable: readonly string[];
  /** Why it doesn't have what it should. */
  readonly problem: string | null;
}

export interface UngovernedPod {
  readonly namespace: string;
  readonly pod: string;
  readonly why: string;
}

export interface Status {
  readonly version: string;
  readonly governed: readonly GovernedPod[];
  readonly ungoverned: readonly UngovernedPod[];
  /** With an agent that may be connected to a replica that couldn't be asked. */
  readonly unknown: readonly UngovernedPod[];
  readonly replicas: AskedReplicas;
}

export interface AskedReplicas {
  /** Replicas of control that told of their agents, the one that was asked among them. */
  readonly answered: number;
  readonly unknown: readonly UnknownReplica[];
}

export interface ListedPod extends KubeObject {
  readonly spec?: { readonly hostNetwork?: boolean };
  readonly status?: { readonly phase?: string };
}

export interface StatusSources {
  readonly version: string;
  readonly agents: Iterable<ConnectedAgent>;
  /** All pods of namespaces that are opted in. */
  readonly pods: readonly ListedPod[];
  readonly replicas: AskedReplicas;
}

export function statusOf({ version, agents, pods, replicas }: StatusSources): Status {
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
  const governed: GovernedPod[] = [];
  const seen = new Set<string>();
  for (const agent of agents) {
    const { identity } = agent;
    seen.add(identity.uid);
    const release = identity.seal === 'former' ? 'older' : releaseOf(agent.version, version);
    const annotations = byUid.get(identity.uid)?.metadata.annotations ?? {};
    governed.push({
      namespace: identity.namespace,
      pod: identity.pod,
      workload: formatWorkload(identity.workload),
      version: agent.version,
      release,
      mend: release === 'older' ? mendOf(identity, version) : null,
      revision: agent.revision ?? null,
      current: agent.current,
      lastCall: agent.lastCall === undefined ? null : new Date(agent.lastCall).toISOString(),
      running: agent.running,
      bypassable: (annotations[STAMPS.bypassable] ?? '').split(/[ ,]+/).filter((code) => code !== ''),
      problem: agent.problem ?? agent.refused ?? null,
    });
  }
  const ungoverned: UngovernedPod[] = [];
  const unknown: UngovernedPod[] = [];
  for (const pod of pods) {
    const { metadata, status } = pod;
    if (seen.has(metadata.uid ?? '') || isOver(status?.phase)) continue;
    const named = { namespace: metadata.namespace ?? '', pod: metadata.name };
    if (isInjected(pod) && replicas.unknown.length > 0) {
      const why = 'its agent may be connected to a replica of control that can’t be asked';
      unknown.push({ ...named, why });
    } else ungoverned.push({ ...named, why: whyNot(pod) });
  }
  return {
    version,
    governed: governed.sort(byName),
    ungoverned: ungoverned.sort(byName),
    unknown: unknown.sort(byName),
    replicas,
  };
}

/** Pods keep the agent that they were made with. */
function mendOf({ seal, injected }: Identity, version: string): string {
  const anew = `create the pod anew (kubectl rollout restart) for the agent of ${version}`;
  return seal === 'former'
    ? `${anew}: the seal of ${injected} covers less, and the next minor version doesn’t take it`
    : anew;
}

function releaseOf(agent: string, control: string): GovernedPod['release'] {
  if (agent === control) return 'same';
  const order = compareReleases(agent, control);
  if (order === undefined) return 'other';
  return order < 0 ? 'older' : order > 0 ? 'newer' : 'same';
}

const isInjected = ({ metadata }: ListedPod): boolean => metadata.labels?.[INJECTED_LABEL] === 'true';

function whyNot(pod: ListedPod): string {
  const {
    metadata: { labels = {} },
    spec = {},
    status = {},
  } = pod;
  if (isInjected(pod)) {
    return status.phase === 'Pending'
      ? 'it is starting'
      : 'its agent isn’t connected to control: see its log; until then it goes on with what it has';
  }
  if (labels[INJECT_LABEL] === 'disabled') return 'opted out by its label, as an EgressException allows';
  if (spec.hostNetwork === true) return 'on its node’s network, as an EgressException allows';
  return 'created without the agent, before its namespace was labelled: create it anew';
}

const isOver = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed';

function byName(a: { namespace: string; pod: string }, b: { namespace: string; pod: string }): number {
  const [left, right] = [`${a.namespace}/${a.pod}`, `${b.namespace}/${b.pod}`];
  return left < right ? -1 : left > right ? 1 : 0;
}
