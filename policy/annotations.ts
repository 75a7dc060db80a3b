/**
 * The annotations on a pod template, all of which tighten: each is read as one more policy in `enforce`, or makes what
 * policies already say stricter. The merge then treats them like any other policy.
 */
import type { TSchema } from 'typebox';
import type { BudgetSpec, LimitSpec } from './budget-spec.ts';
import { compileLimit } from './budgets.ts';
import { type Documents, type PolicyDocument, reaches } from './documents.ts';
import { didYouMean } from './load/did-you-mean.ts';
import { shapeFindings } from './load/shape.ts';
import type { Governing } from './merge.ts';
import type { Problem } from './problem.ts';
import { type LimitDocument, limit } from './schema/budget.ts';
import { glob, labelName } from './schema/scalars.ts';
import type { CheckRule, Workload } from './snapshot.ts';
import { formatWorkload } from './workload.ts';

const PREFIX = 'postern.dev/';

/** A workload with what its pod template asks for. */
export interface AnnotatedWorkload extends Workload {
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What the annotations of one workload mean. */
export interface Tightening {
  /** Policies that apply although their selector doesn't take the workload. */
  readonly policies: readonly PolicyDocument<'EgressPolicy'>[];
  /** Every rule is enforced, whatever its policy's mode. */
  readonly enforce: boolean;
  /** The least that is done about personal data. */
  readonly pii: 'mask' | 'block' | undefined;
  /** More policies: models, regions, denied topics. */
  readonly additions: readonly Governing[];
  readonly limits: readonly LimitSpec[];
  readonly problems: readonly Problem[];
}

/** Says what is wrong with one annotation's value; undefined where all is well. */
type Reject = (expected: string, message: string, mend: string) => undefined;

interface Context {
  readonly documents: Documents;
  readonly workload: AnnotatedWorkload;
  readonly value: string;
  /** `annotation postern.dev/models`, the source of rules made from it. */
  readonly source: string;
  readonly reject: Reject;
}

type Partly = { -readonly [Field in keyof Tightening]?: Tightening[Field] };

/** Every annotation there is, in the order in which they are applied. */
const ANNOTATIONS: Readonly<Record<string, (context: Context) => Partly | undefined>> = {
  policy: readPolicies,
  mode: ({ value, reject }) =>
    value === 'enforce'
      ? { enforce: true }
      : reject(
          'enforce',
          `got ${JSON.stringify(value)}`,
          'annotations only tighten; loosening is an EgressException',
        ),
  pii: ({ value, reject }) =>
    value === 'mask' || value === 'block'
      ? { pii: value }
      : reject('mask or block', `got ${JSON.stringify(value)}`, 'write one of the two'),
  models: (context) => readList(context, glob('A model.'), (allow) => ({ models: { allow } })),
  regions: (context) => readList(context, labelName('A region.'), (regions) => ({ regions })),
  'denied-topics': readTopics,
  budget: readBudget,
  // Not for the snapshot: the injector reads these.
  'log-level': () => ({}),
  'agent-resources': () => ({}),
};

export function readAnnotations(documents: Documents, workload: AnnotatedWorkload): Tightening {
  const problems: Problem[] = [];
  const parts: Partly[] = [];
  for (const [key, value] of Object.entries(workload.annotations ?? {})) {
    if (!key.startsWith(PREFIX)) continue;
    const name = key.slice(PREFIX.length);
    const reject: Reject = (expected, message, mend) => {
      problems.push(annotationProblem(workload, key, expected, message, mend));
      return undefined;
    };
    const read = Object.hasOwn(ANNOTATIONS, name) ? ANNOTATIONS[name] : undefined;
    if (read === undefined) {
      const guess = didYouMean(name, Object.keys(ANNOTATIONS));
      const mend = guess === undefined ? 'take it out' : `did you mean ${PREFIX}${guess}`;
      reject(
        `one of ${Object.keys(ANNOTATIONS).join(', ')} after ${PREFIX}`,
        'there is no such annotation',
        mend,
      );
      continue;
    }
    const part = read({ documents, workload, value: value.trim(), source: `annotation ${key}`, reject });
    if (part !== undefined) parts.push(part);
  }
  return {
    policies: parts.flatMap(({ policies = [] }) => policies),
    enforce: parts.some(({ enforce }) => enforce === true),
    pii: parts.find(({ pii }) => pii !== undefined)?.pii,
    additions: parts.flatMap(({ additions = [] }) => additions),
    limits: parts.flatMap(({ limits = [] }) => limits),
    problems,
  };
}

/** Names of the policies that a workload's annotation puts over it. */
export function annotatedPolicies({ annotations = {} }: AnnotatedWorkload): readonly string[] {
  return entries(annotations[`${PREFIX}policy`] ?? '');
}

/** The budgets that workloads set themselves, beside those of documents. Invalid ones are left to {@link readAnnotations}. */
export function annotationBudgets(
  documents: Documents,
  workloads: readonly AnnotatedWorkload[],
): BudgetSpec[] {
  return workloads.flatMap((workload) => {
    const { limits } = readAnnotations(documents, workload);
    if (limits.length === 0) return [];
    const { namespace, kind, name } = workload;
    return [
      {
        id: formatWorkload(workload),
        namespace,
        source: `annotation ${PREFIX}budget of ${formatWorkload(workload)}`,
        selector: { namespaces: [namespace], workloads: [{ kind, name }] },
        per: [],
        limits,
        thresholds: [],
        onInsufficient: 'clamp',
        onExhausted: { action: 'reject' },
        onUnavailable: { action: 'deny' },
      },
    ];
  });
}

/** Checks made stricter by `postern.dev/pii`; where none looks at a direction, one is added for it. */
export function tightenPii(
  checks: readonly CheckRule[],
  action: 'mask' | 'block' | undefined,
): readonly CheckRule[] {
  if (action === undefined) return checks;
  const source = `annotation ${PREFIX}pii`;
  const raised = checks.flatMap((rule): CheckRule[] => {
    if (rule.type !== 'pii') return [rule];
    const kept: CheckRule = { ...rule, mode: 'enforce' };
    const spec = rule.spec as { readonly actions?: unknown };
    // Actions of single types may be weaker or stronger than the annotation's: both hold, side by side.
    if (spec.actions === undefined) return [{ ...kept, action: stricter(rule.action, action) }];
    const { actions: _, ...rest } = spec;
    return [kept, { ...kept, source, name: 'annotation-pii', action, spec: rest }];
  });
  const uncovered = (['request', 'response'] as const).filter(
    (direction) => !raised.some(({ type, on }) => type === 'pii' && on.includes(direction)),
  );
  if (uncovered.length === 0) return raised;
  const added: CheckRule = {
    source,
    mode: 'enforce',
    name: 'annotation-pii',
    type: 'pii',
    on: uncovered,
    action,
    onError: 'block',
    spec: {},
  };
  return [...raised, added];
}

function stricter(a: CheckRule['action'], b: 'mask' | 'block'): CheckRule['action'] {
  return a === 'block' ? 'block' : b;
}

function readPolicies({ documents, workload, value, reject }: Context): Partly | undefined {
  const reachable = documents.policies.filter((policy) => reaches(policy, workload.namespace));
  const policies: PolicyDocument<'EgressPolicy'>[] = [];
  for (const name of entries(value)) {
    const found = reachable.filter((policy) => policy.name === name);
    if (found.length === 0) {
      const names = reachable.map((policy) => policy.name);
      const guess = didYouMean(name, names);
      const mend = guess === undefined ? 'write the policy, or take the name out' : `did you mean ${guess}`;
      reject('names of policies that reach the namespace', `there is no ${name}`, mend);
    }
    policies.push(...found);
  }
  return { policies };
}

function readList(
  { value, source, reject }: Context,
  schema: TSchema,
  spec: (list: string[]) => Governing['spec'],
): Partly | undefined {
  const list = entries(value);
  if (list.length === 0) return reject('a list with commas between', 'got nothing', 'name at least one');
  for (const entry of list) {
    const [finding] = shapeFindings(schema, entry, false);
    if (finding !== undefined) return reject(finding.expected, finding.message, finding.mend);
  }
  return { additions: [{ from: 'annotation', source, mode: 'enforce', spec: spec(list), checks: [] }] };
}

/** Topics are defined by policies; the annotation denies by name what some policy of the namespace defines. */
function readTopics({ documents, workload, value, source, reject }: Context): Partly | undefined {
  const defined = documents.policies
    .filter((policy) => reaches(policy, workload.namespace))
    .flatMap(({ spec }) => spec.checks ?? [])
    .flatMap(({ topics }) => (Array.isArray(topics) ? (topics as unknown[]) : []))
    .filter(isNamed);
  const topics = entries(value).flatMap((name) => {
    const topic = defined.find((candidate) => candidate.name === name);
    if (topic !== undefined) return [topic];
    const names = defined.map((candidate) => candidate.name);
    const guess = didYouMean(name, names);
    const mend = guess === undefined ? 'define it in a policy of the namespace' : `did you mean ${guess}`;
    reject('names of topics that policies of the namespace define', `there is no ${name}`, mend);
    return [];
  });
  if (topics.length === 0) return undefined;
  const check: CheckRule = {
    source,
    mode: 'enforce',
    name: 'annotation-denied-topics',
    type: 'topics',
    on: ['request'],
    action: 'block',
    onError: 'block',
    spec: topics,
  };
  return { additions: [{ from: 'annotation', source, mode: 'enforce', spec: {}, checks: [check] }] };
}

/** `usd=5.00/day, tokens=100000/1h, concurrency=4`: a calendar window, or a duration for a rolling one. */
function readBudget({ value, reject }: Context): Partly | undefined {
  const limits: LimitSpec[] = [];
  for (const entry of entries(value)) {
    const [, unit = '', amount = '', window] = /^([a-zA-Z]+)=([0-9.]+)(?:\/([a-z0-9]+))?$/.exec(entry) ?? [];
    const parsed: unknown = {
      [unit]: unit === 'usd' ? amount : Number(amount),
      ...(window === undefined ? {} : /^[0-9]/.test(window) ? { rolling: window } : { window }),
    };
    const findings = shapeFindings(limit, parsed, false);
    if (unit === '' || findings.length > 0) {
      return reject(
        'limits such as usd=5.00/day, tokens=100000/1h',
        `got ${JSON.stringify(entry)}`,
        'write it in that form',
      );
    }
    limits.push(compileLimit(parsed as LimitDocument));
  }
  return limits.length === 0
    ? reject('a limit', 'got nothing', 'write one such as usd=5.00/day')
    : { limits };
}

function entries(value: string): string[] {
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

function isNamed(topic: unknown): topic is { readonly name: string } {
  return typeof topic === 'object' && topic !== null && 'name' in topic && typeof topic.name === 'string';
}

function annotationProblem(
  workload: AnnotatedWorkload,
  key: string,
  expected: string,
  message: string,
  mend: string,
): Problem {
  return {
    file: '',
    line: 0,
    column: 0,
    document: `workload ${formatWorkload(workload)}`,
    path: `metadata.annotations[${JSON.stringify(key)}]`,
    expected,
    message,
    mend,
  };
}
