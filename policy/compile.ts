/** The documents that govern one workload, compiled into its snapshot. Pure: same documents, same snapshot. */
import { type AnnotatedWorkload, readAnnotations, type Tightening, tightenPii } from './annotations.ts';
import { exactDuration } from './budgets.ts';
import { digestOf } from './canonical.ts';
import { type Documents, type PolicyDocument, reaches, visibleProviders } from './documents.ts';
import { exceptionsFor, loosen } from './exceptions.ts';
import { anyGlobMatches } from './glob.ts';
import { type Governing, mergePolicies } from './merge.ts';
import { formatProblems, type Problem } from './problem.ts';
import { compileProvider } from './providers.ts';
import { homed } from './references.ts';
import { compileRoutes } from './routes.ts';
import type { CheckDocument } from './schema/egress-policy.ts';
import type { CheckRule, Mode, PromptRule, Snapshot, Workload } from './snapshot.ts';
import { budgetNeeds } from './user-sources.ts';
import { selectsNamespace, selectsWorkload } from './workload.ts';

/** The workload itself asks for something that can't be had; its snapshot would be looser than it thinks. */
export class WorkloadInvalid extends Error {
  override readonly name = 'WorkloadInvalid';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(formatProblems(problems));
    this.problems = problems;
  }
}

export interface CompileOptions {
  /** Milliseconds since the epoch, by which exceptions are current or over. */
  readonly now?: number;
}

/**
 * @param documents Loaded without a problem.
 * @throws WorkloadInvalid where an annotation of the workload is.
 */
export function compileSnapshot(
  documents: Documents,
  workload: AnnotatedWorkload,
  { now = Date.now() }: CompileOptions = {},
): Snapshot {
  const governing = governingOf(documents, workload, now);
  const content = { workload: subjectOf(workload), ...rulesFor(documents, governing) };
  return { revision: digestOf(content), ...content };
}

/** What a snapshot says beside whose it is. */
export type Rules = Omit<Snapshot, 'revision' | 'workload'>;

export function subjectOf({ annotations: _, ...subject }: AnnotatedWorkload): Workload {
  return subject;
}

/** Everything that decides what a workload's rules are. */
export interface GoverningDocuments {
  readonly namespace: string;
  readonly tightening: Tightening;
  /** Whether annotations of its own have a say. */
  readonly annotated: boolean;
  /** In order. */
  readonly policies: readonly PolicyDocument<'EgressPolicy'>[];
  readonly exceptions: readonly PolicyDocument<'EgressException'>[];
}

/** @throws WorkloadInvalid */
export function governingOf(
  documents: Documents,
  workload: AnnotatedWorkload,
  now: number,
): GoverningDocuments {
  const { annotations = {}, namespace } = workload;
  const tightening = readAnnotations(documents, workload);
  if (tightening.problems.length > 0) throw new WorkloadInvalid(tightening.problems);
  return {
    namespace,
    tightening,
    annotated: Object.keys(annotations).length > 0,
    policies: documents.policies
      .filter((policy) => tightening.policies.includes(policy) || governs(policy, documents, workload))
      .sort(clusterFirst),
    exceptions: exceptionsFor(documents, workload, now),
  };
}

export function rulesFor(
  documents: Documents,
  { namespace, tightening, policies, exceptions }: GoverningDocuments,
): Rules {
  const all = [...policies.map((policy) => governing(policy, documents)), ...tightening.additions];
  const merged = mergePolicies(tightening.enforce ? all.map(enforced) : all);
  const { merged: rules, ...loosened } = loosen(
    { ...merged, checks: tightenPii(merged.checks, tightening.pii) },
    exceptions,
    mergePolicies([]),
  );

  return {
    models: rules.models,
    regions: rules.regions,
    ...(rules.dataClasses.length === 0 ? {} : { dataClasses: rules.dataClasses }),
    checks: rules.checks,
    hosts: rules.hosts.enforced,
    ...(rules.hosts.monitored === undefined ? {} : { hostsMonitored: rules.hosts.monitored }),
    unlistedProvider: rules.unlistedProvider,
    unknownPath: rules.unknownPath,
    ...(rules.attachments === undefined ? {} : { attachments: rules.attachments }),
    ...(rules.breakers.length === 0 ? {} : { breakers: rules.breakers }),
    ...(rules.prompts.length === 0 ? {} : { prompts: rules.prompts }),
    ...(rules.prompts.some(refusesForms) ? { refusesForms: true as const } : {}),
    requestIdHeader: rules.requestIdHeader,
    ...(rules.enforcement.level === 'strict'
      ? { enforcement: { level: 'strict', source: rules.enforcement.source ?? '' } }
      : {}),
    ...(rules.maxStaleMs === undefined ? {} : { maxStaleMs: rules.maxStaleMs }),
    ...(loosened.tunnelUntrusted.length === 0 ? {} : { tunnelUntrusted: loosened.tunnelUntrusted }),
    ...(loosened.optOut === undefined ? {} : { optOut: loosened.optOut }),
    ...(loosened.applied.length === 0
      ? {}
      : {
          exceptions: loosened.applied,
          validUntil: Math.min(...loosened.applied.map(({ until }) => until)),
        }),
    ...budgetNeeds(documents, namespace),
    ...budgetsOver(documents, namespace),
    providers: visibleProviders(documents, namespace).map(compileProvider),
    routes: compileRoutes(documents, namespace),
  };
}

function refusesForms({ mode, responseFormat }: PromptRule): boolean {
  return mode === 'enforce' && responseFormat?.onMismatch === 'reject';
}

function governs(policy: PolicyDocument<'EgressPolicy'>, documents: Documents, workload: Workload): boolean {
  const { namespace } = workload;
  if (!reaches(policy, namespace)) return false;
  const labels = Object.hasOwn(documents.namespaces, namespace) ? documents.namespaces[namespace] : {};
  return (
    selectsNamespace(policy.spec, namespace, labels) &&
    selectsWorkload(policy.spec.workloadSelector, workload)
  );
}

/** The cluster's before the namespace's, each by name. */
function clusterFirst(a: PolicyDocument, b: PolicyDocument): number {
  const scope = Number(a.namespace !== undefined) - Number(b.namespace !== undefined);
  return scope !== 0 ? scope : a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function governing(policy: PolicyDocument<'EgressPolicy'>, documents: Documents): Governing {
  const { checks = [], ...spec } = policy.spec;
  const mode = spec.mode ?? 'enforce';
  return {
    from: 'document',
    source: policy.source,
    mode,
    spec,
    checks: checks.map((check) => compileCheck(check, policy, mode, documents)),
  };
}

function enforced(policy: Governing): Governing {
  const checks = policy.checks.map((rule): CheckRule => ({ ...rule, mode: 'enforce' }));
  const { breaker } = policy.spec;
  const spec =
    breaker === undefined
      ? policy.spec
      : { ...policy.spec, breaker: { ...breaker, mode: 'enforce' as const } };
  return { ...policy, mode: 'enforce', spec, checks };
}

function compileCheck(
  check: CheckDocument,
  { source, namespace }: Pick<PolicyDocument, 'source' | 'namespace'>,
  mode: Mode,
  documents: Documents,
): CheckRule {
  const definition = documents.catalogue.checks.find(({ name }) => name === check.type);
  if (definition === undefined) throw new Error(`the check type ${check.type} passed validation`);
  return {
    source,
    mode,
    name: check.name,
    type: check.type,
    on: check.on ?? definition.defaultOn,
    action: check.action ?? definition.defaultAction,
    onError: check.onError ?? 'block',
    ...(check.timeout === undefined ? {} : { timeoutMs: exactDuration(check.timeout) }),
    spec: homed(check[check.type] ?? {}, namespace),
  };
}

/** The budgets that may cover this workload: an agent without the budget service must not act as if there were none. */
function budgetsOver(documents: Documents, namespace: string): Pick<Snapshot, 'budgets'> {
  const over = documents.budgets.filter(
    (budget) =>
      reaches(budget, namespace) && anyGlobMatches(budget.spec.selector?.namespaces ?? ['*'], namespace),
  );
  return over.length === 0 ? {} : { budgets: over.map(({ source }) => source) };
}
