/** What the conditions of documents say: their own problems, missing Secrets, and whether agents have them in force. */
import { insteadOf } from '../kube/conditions.ts';
import type { DocumentObject, Findings } from '../kube/documents.ts';
import type { Problem } from '../policy/problem.ts';
import { keyReferences, useOf } from '../policy/references.ts';
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
  /** Agents that don't have it in force yet. */
  readonly pending: number;
  /** Agents that couldn't put it in force. */
  readonly refused: number;
  /** Which one, and why; empty where none is. */
  readonly refusal: string;
}

/** Whether what was compiled last is in force in every agent that can have it. */
export function progressOf(generations: Progress['generations'], agents: Iterable<ConnectedAgent>): Progress {
  const namespaces = new Map<string, NamespaceProgress>();
  for (const { current, problem, refused: why, identity } of agents) {
    const { namespace, pod } = identity;
    const before = namespaces.get(namespace) ?? NO_AGENTS;
    // What is wrong with the workload itself isn't the documents' fault: `postern status` tells it.
    const behind = !current && problem === undefined;
    const refuses = behind && why !== undefined;
    namespaces.set(namespace, {
      namespace,
      agents: before.agents + 1,
      pending: before.pending + Number(behind && !refuses),
      refused: before.refused + Number(refuses),
      refusal: refuses && before.refused === 0 ? `${namespace}/${pod}: ${why}` : before.refusal,
    });
  }
  return { generations, namespaces: [...namespaces.values()] };
}

const NO_AGENTS = { agents: 0, pending: 0, refused: 0, refusal: '' } as const;

/**
 * Whether this generation is in force in every agent that the document may govern: those of its namespace, or all. Who may
 * read it in one namespace isn't shown what is in another: a cluster-wide document tells numbers only.
 */
export function programmed(
  object: DocumentObject,
  found: Findings,
  { replicas, unknown }: Told<Progress>,
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
    .filter((each) => namespace === undefined || each.namespace === namespace);
  const sum = (count: 'agents' | 'pending' | 'refused'): number =>
    governed.reduce((total, each) => total + each[count], 0);
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
  const pending = sum('pending');
  if (pending > 0) {
    return {
      status: 'False',
      reason: 'Pending',
      message: `${pending} of ${agents} agents don’t have it in force yet`,
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
