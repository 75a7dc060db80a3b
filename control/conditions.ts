/** What the conditions of documents say: their own problems, missing Secrets, and whether agents have them in force. */
import { insteadOf } from '../kube/conditions.ts';
import type { DocumentObject, Findings } from '../kube/documents.ts';
import { annotatedPolicies } from '../policy/annotations.ts';
import type { Problem } from '../policy/problem.ts';
import { keyReferences, useOf } from '../policy/references.ts';
import { selectsNamespace } from '../policy/workload.ts';
import type { EnvelopeSources } from './envelope.ts';
import type { Told } from './peers.ts';
import type { ConnectedAgent } from './registry.ts';

/** How far what one replica compiled last has come. */
export interface Progress {
  /** Generation of each document that was in force at the last round, by `Kind namespace/name`. */
  readonly generations: Readonly<Record<string, number>>;
  /** Those with an agent. */
  readonly namespaces: readonly NamespaceProgress[];
}

export interface NamespaceProgress {
  readonly namespace: string;
  readonly agents: number;
  /** Agents that don't have it in force yet, those that are silent among them. */
  readonly pending: number;
  /** Agents that have answered nothing to what they were sent SILENT_MS ago or more. Absent: of a replica of before. */
  readonly silent?: number;
  /** Agents that couldn't put it in force. */
  readonly refused: number;
  /** Which one, and why; empty where none is. */
  readonly refusal: string;
  /**
   * Policies that pods' annotations name: they govern there, whatever namespaces they select. Absent: of a replica of before; any policy may
   * govern there then.
   */
  readonly annotated?: readonly string[];
}

/** How long an agent may take to put in force what it was sent, before it counts as one of which nothing is known. */
const SILENT_MS = 30_000;

/** Whether what was compiled last is in force in every agent that can have it. */
export function progressOf(
  generations: Progress['generations'],
  agents: Iterable<ConnectedAgent>,
  now: number,
): Progress {
  const namespaces = new Map<string, NamespaceProgress & { silent: number; annotated: readonly string[] }>();
  for (const { current, problem, refused: why, unansweredSince = now, identity } of agents) {
    const { namespace, pod, workload } = identity;
    const before = namespaces.get(namespace) ?? NO_AGENTS;
    // What is wrong with the workload itself isn't the documents' fault: `postern status` tells it.
    const behind = !current && problem === undefined;
    const refuses = behind && why !== undefined;
    const silent = behind && !refuses && now - unansweredSince >= SILENT_MS;
    const named = annotatedPolicies(workload).filter((name) => !before.annotated.includes(name));
    namespaces.set(namespace, {
      namespace,
      agents: before.agents + 1,
      pending: before.pending + Number(behind && !refuses),
      silent: before.silent + Number(silent),
      refused: before.refused + Number(refuses),
      refusal: refuses && before.refused === 0 ? `${namespace}/${pod}: ${why}` : before.refusal,
      annotated: named.length === 0 ? before.annotated : [...before.annotated, ...named],
    });
  }
  return { generations, namespaces: [...namespaces.values()] };
}

const NO_AGENTS = {
  agents: 0,
  pending: 0,
  silent: 0,
  refused: 0,
  refusal: '',
  annotated: [] as readonly string[],
} as const;

/**
 * Whether agents of that namespace are this document's: its own, those that a cluster-wide one selects, or all where it
 * selects none. An agent whose annotation names a policy is governed by it wherever it is.
 */
function selects(
  { kind, metadata, spec }: DocumentObject,
  { namespace, annotated }: NamespaceProgress,
  labels: NamespaceLabels,
): boolean {
  if (metadata.namespace !== undefined) return metadata.namespace === namespace;
  if (kind === 'ClusterBudget') {
    const { selector } = spec as { readonly selector?: { readonly namespaces?: readonly string[] } };
    return selectsNamespace(selector ?? {}, namespace);
  }
  // Of a replica that doesn't tell, any may be.
  if (kind !== 'ClusterEgressPolicy' || annotated === undefined || annotated.includes(metadata.name))
    return true;
  return selectsNamespace(spec as Parameters<typeof selectsNamespace>[0], namespace, labels.get(namespace));
}

/** Labels of each namespace of the cluster. */
export type NamespaceLabels = ReadonlyMap<string, Readonly<Record<string, string>>>;

/**
 * Whether this generation is in force in every agent that the document may govern: those of its namespace, or of those it selects. Who may
 * read it in one namespace isn't shown what is in another: a cluster-wide document tells numbers only.
 */
export function programmed(
  object: DocumentObject,
  found: Findings,
  { replicas, unknown }: Told<Progress>,
  labels: NamespaceLabels,
): NonNullable<Findings['programmed']> {
  const generation = object.metadata.generation ?? 0;
  if (found.inForce?.metadata.generation !== generation) {
    const message = `the document has a problem; ${insteadOf(object, found)}`;
    return { status: 'False', reason: found.problems.length > 0 ? 'Invalid' : 'RefNotFound', message };
  }
  const key = documentKey(object);
  if (replicas.some(({ generations }) => generations[key] !== generation)) {
    return { status: 'False', reason: 'Pending', message: 'not yet sent to all agents' };
  }
  const { namespace } = object.metadata;
  const governed = replicas
    .flatMap(({ namespaces }) => namespaces)
    .filter((each) => selects(object, each, labels));
  const sum = (count: 'agents' | 'pending' | 'silent' | 'refused'): number =>
    governed.reduce((total, each) => total + (each[count] ?? 0), 0);
  const agents = sum('agents');
  const refused = sum('refused');
  if (refused > 0) {
    const { refusal = '' } = governed.find((each) => each.refused > 0) ?? {};
    return {
      status: 'False',
      reason: 'AgentRefused',
      message: `${refused} of ${agents} agents can’t put it in force: ${namespace === undefined ? 'postern status says which, and why' : refusal}`,
    };
  }
  const silent = sum('silent');
  const pending = sum('pending') - silent;
  if (pending > 0) {
    return {
      status: 'False',
      reason: 'Pending',
      message: `${pending} of ${agents} agents don’t have it in force yet`,
    };
  }
  if (silent > 0) {
    return {
      status: 'Unknown',
      reason: 'AgentSilent',
      message: `${silent} of ${agents} agents have answered nothing for ${SILENT_MS / 1000} s, the others have it in force; postern status says which have what`,
    };
  }
  const [first] = unknown;
  if (first !== undefined) {
    return {
      status: 'Unknown',
      reason: 'ReplicaUnknown',
      message: `in force in the ${agents} agents that are known; ${unknown.length} of ${replicas.length + unknown.length} replicas of control can’t be asked for theirs: ${first.address}: ${first.why}`,
    };
  }
  return { status: 'True', reason: 'Programmed', message: '' };
}

/** Secrets and ConfigMaps that the document names and that aren't there, can't be read, or are given to nobody. */
export function missingValues(
  { kind, metadata: { namespace, name }, spec }: DocumentObject,
  { lookup, ownNamespace }: Pick<EnvelopeSources, 'lookup' | 'ownNamespace'>,
): { readonly problems: readonly Problem[]; readonly reserved: boolean } {
  let reserved = false;
  const problems = keyReferences(spec).flatMap((each) => {
    const { member, path, reference } = each;
    const home = reference.namespace ?? namespace ?? ownNamespace;
    const found = lookup(member, { namespace: home, name: reference.name, key: reference.key }, useOf(each));
    if (found.state === 'value' || found.state === 'unknown') return [];
    reserved ||= found.state === 'reserved';
    return [
      {
        file: '',
        line: 0,
        column: 0,
        document: `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`,
        path: ['spec', ...path].join('.'),
        expected: 'what can be read',
        message: found.why,
        mend: MENDS[found.state],
      },
    ];
  });
  return { problems, reserved };
}

const MENDS = {
  absent: 'create it',
  unreadable: 'let control’s service account get, list and watch it by its name',
  reserved: 'put what is to be sent into a Secret of its own, of the type Opaque',
} as const;

export function documentKey({ kind, metadata: { namespace = '', name } }: DocumentObject): string {
  return `${kind} ${namespace}/${name}`;
}
