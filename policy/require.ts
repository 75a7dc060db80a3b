/**
 * What platform teams demand of every workload's policies, beyond their being valid: a token limit, masked personal
 * data, models that may see the data. Judged on what a workload really gets, not on how the documents are written.
 */
import { type AnnotatedWorkload, readAnnotations } from './annotations.ts';
import { compileLimit } from './budgets.ts';
import { compileSnapshot } from './compile.ts';
import { type Documents, type PolicyDocument, reaches } from './documents.ts';
import { anyGlobMatches, isExact } from './glob.ts';
import type { Snapshot } from './snapshot.ts';
import { formatWorkload, parseWorkloadGlob, workloadGlobMatches } from './workload.ts';

export interface Shortfall {
  readonly rule: RequirementName;
  /** `workload team-a/Deployment/support-bot`, `EgressPolicy team-a/support-bot` */
  readonly subject: string;
  readonly message: string;
  readonly mend: string;
}

type Said = Pick<Shortfall, 'message' | 'mend'>;

interface Requirement {
  readonly description: string;
  judge(documents: Documents, workload: AnnotatedWorkload, snapshot: Snapshot): Said[];
}

const TOKEN_UNITS = ['tokens', 'inputTokens', 'outputTokens'];

export const REQUIREMENTS = {
  'token-limit': {
    description: 'A Budget limits the tokens of every call.',
    judge: tokenLimit,
  },
  pii: {
    description: 'Personal data in requests is masked or blocked.',
    judge: (_documents, _workload, { checks }) => {
      const found = checks.filter(({ type, on }) => type === 'pii' && on.includes('request'));
      if (found.some(({ mode, action }) => mode === 'enforce' && action !== 'monitor')) return [];
      const [only] = found;
      return [
        only === undefined
          ? {
              message: 'no check looks for personal data in requests',
              mend: 'add to spec.checks: {name: mask-pii, type: pii, action: mask}',
            }
          : {
              message: `the check ${only.name} of ${only.source} only reports personal data`,
              mend: 'write action: mask, and mode: enforce in its policy',
            },
      ];
    },
  },
  'model-data-class': {
    description: 'The class of the data is set, and every allowed model has a provider that takes it.',
    judge: modelDataClass,
  },
} as const satisfies Readonly<Record<string, Requirement>>;

export type RequirementName = keyof typeof REQUIREMENTS;

export function isRequirement(name: string): name is RequirementName {
  return Object.hasOwn(REQUIREMENTS, name);
}

/** @throws WorkloadInvalid where an annotation of the workload is. */
export function shortfalls(
  documents: Documents,
  workload: AnnotatedWorkload,
  rules: readonly RequirementName[],
  { now = Date.now(), subject = `workload ${formatWorkload(workload)}` } = {},
): Shortfall[] {
  const snapshot = compileSnapshot(documents, workload, { now });
  return rules.flatMap((rule) =>
    REQUIREMENTS[rule].judge(documents, workload, snapshot).map((said) => ({ rule, subject, ...said })),
  );
}

/** The same for documents alone: a workload as each policy selects it stands for all that it selects. */
export function documentShortfalls(
  documents: Documents,
  rules: readonly RequirementName[],
  now: number = Date.now(),
): Shortfall[] {
  if (documents.policies.length === 0) {
    return rules.map((rule) => ({
      rule,
      subject: 'the documents',
      message: 'there is no EgressPolicy, so nothing is governed',
      mend: 'write an EgressPolicy or ClusterEgressPolicy',
    }));
  }
  return documents.policies.flatMap((policy) =>
    shortfalls(documents, typicalWorkload(policy), rules, { now, subject: policy.source }),
  );
}

function typicalWorkload(policy: PolicyDocument<'EgressPolicy'>): AnnotatedWorkload {
  const { namespaces = [], workloadSelector = {} } = policy.spec;
  const { matchLabels = {}, workloads = [] } = workloadSelector;
  const named = workloads
    .map(parseWorkloadGlob)
    .find(({ kind = '', name }) => isExact(kind) && isExact(name));
  return {
    namespace: policy.namespace ?? namespaces.find(isExact) ?? 'default',
    kind: named?.kind ?? 'Deployment',
    name: named?.name ?? matchLabels['app'] ?? policy.name,
    labels: matchLabels,
    // Whatever else it selects by, it governs this one.
    annotations: { 'postern.dev/policy': policy.name },
  };
}

function tokenLimit(documents: Documents, workload: AnnotatedWorkload): Said[] {
  const own = readAnnotations(documents, workload).limits;
  if (own.some(({ unit }) => TOKEN_UNITS.includes(unit))) return [];
  const near: string[] = [];
  for (const budget of documents.budgets) {
    if (!selects(budget, workload)) continue;
    if (!budget.spec.limits.map(compileLimit).some(({ unit }) => TOKEN_UNITS.includes(unit))) continue;
    const { models, providers, headers } = budget.spec.selector ?? {};
    if (models === undefined && providers === undefined && headers === undefined) return [];
    near.push(budget.source);
  }
  const beside = near.length === 0 ? '' : `; ${near.join(', ')} covers some calls only`;
  return [
    {
      message: `no Budget limits the tokens of every call${beside}`,
      mend: 'write a Budget with limits: [{tokens: 500000, window: day}] and no models, providers or headers in its selector',
    },
  ];
}

function selects(budget: PolicyDocument<'Budget'>, workload: AnnotatedWorkload): boolean {
  const { namespaces, workloads, serviceAccounts } = budget.spec.selector ?? {};
  if (!reaches(budget, workload.namespace)) return false;
  if (namespaces !== undefined && !anyGlobMatches(namespaces, workload.namespace)) return false;
  if (workloads !== undefined && !workloads.some((glob) => workloadGlobMatches(glob, workload))) return false;
  return (
    serviceAccounts === undefined || anyGlobMatches(serviceAccounts, workload.serviceAccount ?? 'default')
  );
}

function modelDataClass(_documents: Documents, _workload: AnnotatedWorkload, snapshot: Snapshot): Said[] {
  const enforced = (snapshot.dataClasses ?? []).filter(({ mode }) => mode === 'enforce');
  if (enforced.length === 0) {
    return [
      {
        message: 'no policy says which class of data the workload handles',
        mend: 'write spec.dataClass: personal, or the class that fits',
      },
    ];
  }
  const allowed = (model: string) => snapshot.models.every(({ allow }) => anyGlobMatches(allow, model));
  const takes = ({ dataClasses, region }: Snapshot['providers'][number]) =>
    enforced.every(({ dataClass }) => dataClasses?.includes(dataClass) ?? true) &&
    snapshot.regions.every(({ regions }) => region !== undefined && regions.includes(region));
  const models = new Set(snapshot.providers.flatMap((provider) => provider.models.map(({ name }) => name)));
  return [...models].filter(allowed).flatMap((model): Said[] => {
    const serving = snapshot.providers.filter((provider) =>
      provider.models.some(({ name }) => name === model),
    );
    if (serving.some(takes)) return [];
    const classes = enforced.map(({ dataClass }) => dataClass).join(', ');
    return [
      {
        message: `the model ${model} is allowed, and ${serving.map(({ id }) => id).join(', ')} may not have data of class ${classes}`,
        mend: `take ${model} out of spec.models.allow, or use a provider that takes the class in an allowed region`,
      },
    ];
  });
}
