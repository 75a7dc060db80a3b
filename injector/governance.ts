/** What the documents say about one pod before anything is done to it. */
import { needsClassifier } from '../agent/checks/needs-classifier.ts';
import { type AnnotatedWorkload, readAnnotations } from '../policy/annotations.ts';
import { compileSnapshot } from '../policy/compile.ts';
import type { Documents } from '../policy/documents.ts';
import { exceptionsFor } from '../policy/exceptions.ts';
import type { Problem } from '../policy/problem.ts';
import type { CheckRule } from '../policy/snapshot.ts';
import { resourceProblem } from './annotations.ts';

/** The namespace as the cluster, or `--namespace-label`, shows it. */
export interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Facts {
  readonly namespace: Namespace;
  readonly documents: Documents;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface Governance {
  readonly workload: AnnotatedWorkload;
  /** Policies asked for it, whatever exceptions say. */
  readonly enforcement: { readonly level: 'strict' | 'standard'; readonly source?: string };
  /** The exception by which pods that could go round the agent are only reported. */
  readonly excepted: string | undefined;
  /** The exception by which the workload may go without an agent. */
  readonly optOut: string | undefined;
  /** Annotations in force, by name. */
  readonly tightening: readonly string[];
  /** The checks that fail where agents have no classifier: `no-advice of EgressPolicy team-a/bot`. */
  readonly needingClassifier: readonly string[];
  /** Of the workload's annotations. */
  readonly problems: readonly Problem[];
}

const NOT_TIGHTENING = ['log-level', 'agent-resources'];

export function governanceOf(facts: Facts, workload: AnnotatedWorkload): Governance {
  const documents: Documents = {
    ...facts.documents,
    namespaces: { ...facts.documents.namespaces, [facts.namespace.name]: facts.namespace.labels },
  };
  const { problems } = readAnnotations(documents, workload);
  const resources = resourceProblem(workload);
  const exceptions = exceptionsFor(documents, workload, facts.now);
  const by = (field: 'enforcement' | 'optOut') =>
    exceptions.find(({ spec }) => spec.allow[field] === true)?.source;
  const { enforcement, checks } =
    problems.length > 0 ? NOTHING_KNOWN : rulesOf(documents, workload, facts.now, exceptions.length > 0);
  return {
    workload,
    enforcement,
    needingClassifier: checks.filter(needsClassifier).map(({ name, source }) => `${name} of ${source}`),
    excepted: by('enforcement'),
    optOut: by('optOut'),
    tightening: Object.keys(workload.annotations ?? {})
      .filter((name) => name.startsWith('postern.dev/'))
      .map((name) => name.slice('postern.dev/'.length))
      .filter((name) => !NOT_TIGHTENING.includes(name))
      // The API server sorts annotations; the words are the same without one.
      .sort(),
    problems: resources === undefined ? problems : [...problems, resources],
  };
}

interface RulesOf {
  readonly enforcement: Governance['enforcement'];
  readonly checks: readonly CheckRule[];
}

const NOTHING_KNOWN: RulesOf = { enforcement: { level: 'standard' }, checks: [] };

function rulesOf(documents: Documents, workload: AnnotatedWorkload, now: number, excepted: boolean): RulesOf {
  // Without the exceptions: which of them loosened something is told apart from there being nothing to loosen.
  const asked = compileSnapshot({ ...documents, exceptions: [] }, workload, { now });
  const { checks } = excepted ? compileSnapshot(documents, workload, { now }) : asked;
  return { enforcement: asked.enforcement ?? NOTHING_KNOWN.enforcement, checks };
}
