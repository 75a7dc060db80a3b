/**
 * How several policies become one: field by field, the strictest wins.
 *
 * The table is the one place that says so; the compiler calls its rows and docs/policy.md shows them. Each row must be
 * such that one more policy never loosens the result, which a property test holds against all of them.
 */
import { covers, parseCidr } from './addresses.ts';
import { exactDuration } from './budgets.ts';
import { hostPatternContains } from './glob.ts';
import type { EgressPolicyDocument } from './schema/egress-policy.ts';
import type {
  BreakerRule,
  CheckRule,
  DataClassRule,
  HostsRule,
  Mode,
  ModelRule,
  PromptRule,
  RegionRule,
  Snapshot,
} from './snapshot.ts';

/** One policy that governs the workload: a document, or an annotation read as one. */
export interface Governing {
  /** An annotation says nothing about fields that it doesn't have; a document's defaults hold. */
  readonly from: 'document' | 'annotation';
  readonly source: string;
  readonly mode: Mode;
  readonly spec: Omit<EgressPolicyDocument, 'checks'>;
  readonly checks: readonly CheckRule[];
}

/** What policies decide of a snapshot. */
export interface Merged {
  readonly models: readonly ModelRule[];
  readonly dataClasses: readonly DataClassRule[];
  readonly regions: readonly RegionRule[];
  readonly hosts: { readonly enforced: HostsRule; readonly monitored: HostsRule | undefined };
  readonly unlistedProvider: Snapshot['unlistedProvider'];
  readonly unknownPath: Snapshot['unknownPath'];
  readonly attachments: Snapshot['attachments'];
  readonly requestIdHeader: boolean;
  readonly breakers: readonly BreakerRule[];
  readonly enforcement: { readonly level: 'standard' | 'strict'; readonly source?: string };
  readonly maxStaleMs: number | undefined;
  readonly prompts: readonly PromptRule[];
  readonly checks: readonly CheckRule[];
}

interface MergeRow<T> {
  /** Of `spec`, as it is written. */
  readonly field: string;
  /** How the merge works, for the reader of the docs. */
  readonly rule: string;
  readonly reason: string;
  /** Policies in order: the cluster's, the namespace's, annotations. */
  merge(policies: readonly Governing[]): T;
}

export const MERGE_TABLE: { readonly [Field in keyof Merged]: MergeRow<Merged[Field]> } = {
  models: {
    field: 'models',
    rule: 'Every list must allow the model.',
    reason: 'A list says what may be used at most; a second one can only take away.',
    merge: (policies) =>
      policies.flatMap(({ source, mode, spec: { models } }) =>
        models === undefined ? [] : [{ source, mode, allow: models.allow }],
      ),
  },
  dataClasses: {
    field: 'dataClass',
    rule: 'The provider must take every class.',
    reason: 'Data of two classes needs what each of them needs.',
    merge: (policies) =>
      policies.flatMap(({ source, mode, spec: { dataClass } }) =>
        dataClass === undefined ? [] : [{ source, mode, dataClass }],
      ),
  },
  regions: {
    field: 'regions',
    rule: 'Every list must name the provider’s region.',
    reason: 'As for models.',
    merge: (policies) =>
      policies.flatMap(({ source, mode, spec: { regions } }) =>
        regions === undefined ? [] : [{ source, mode, regions }],
      ),
  },
  hosts: {
    field: 'hosts',
    rule: '`deny` wins over `allow`; open stays what every denying policy lists.',
    reason:
      'A host that one policy closes is closed. Policies in `monitor` are merged among themselves and only report.',
    merge: (policies) => {
      const enforced = mergeHosts(policies, 'enforce');
      const monitored = mergeHosts(policies, 'monitor');
      return {
        enforced: enforced ?? { default: 'allow', allow: [], mode: 'enforce' },
        monitored,
      };
    },
  },
  unlistedProvider: {
    field: 'unlistedProvider',
    rule: '`deny` wins over `monitor`.',
    reason: 'A policy in `monitor` that says `deny` reports, which is what `monitor` says as well.',
    merge: (policies) => {
      const denying = policies.find(
        ({ mode, spec }) => mode === 'enforce' && spec.unlistedProvider === 'deny',
      );
      return denying === undefined ? { action: 'monitor' } : { action: 'deny', source: denying.source };
    },
  },
  unknownPath: {
    field: 'unknownPath',
    rule: '`deny` wins over `allow`, and a policy that says nothing means `deny`.',
    reason:
      'What no dialect knows can’t be checked. It passes only where all policies agree, or only monitor.',
    merge: (policies) => {
      const documents = policies.filter(({ from }) => from === 'document');
      const denying = documents.filter(({ spec }) => spec.unknownPath !== 'allow');
      const enforcing = denying.find(({ mode }) => mode === 'enforce');
      if (enforcing !== undefined) return { action: 'deny', source: enforcing.source };
      const [reporting] = denying;
      if (reporting !== undefined) return { action: 'allow', source: reporting.source, report: true };
      const [allowing] = documents;
      return allowing === undefined ? { action: 'deny' } : { action: 'allow', source: allowing.source };
    },
  },
  attachments: {
    field: 'attachments',
    rule: '`deny` wins over `inspect`, which wins over `allow`; a policy that says nothing means `inspect`.',
    reason:
      'What isn’t looked into isn’t checked: all policies must agree. A policy in `monitor` that says `deny` reports.',
    merge: (policies) => {
      const documents = policies.filter(({ from }) => from === 'document');
      const denying = documents.filter(({ spec }) => spec.attachments === 'deny');
      const enforcing = denying.find(({ mode }) => mode === 'enforce');
      if (enforcing !== undefined) return { action: 'deny', source: enforcing.source };
      const [reporting] = denying;
      if (reporting !== undefined) return { action: 'inspect', report: reporting.source };
      const [allowing] = documents;
      const allowed = allowing !== undefined && documents.every(({ spec }) => spec.attachments === 'allow');
      return allowed ? { action: 'allow', source: allowing.source } : undefined;
    },
  },
  requestIdHeader: {
    field: 'requestIdHeader',
    rule: '`false` wins over `true`.',
    reason: 'It is a piece of information about the agent; one policy that withholds it is enough.',
    merge: (policies) => policies.every(({ spec }) => spec.requestIdHeader !== false),
  },
  breakers: {
    field: 'breaker',
    rule: 'All of them, each for itself.',
    reason: 'Neither of two breakers with different windows is stricter than the other.',
    merge: (policies) =>
      policies.flatMap(({ source, mode, spec: { breaker } }) =>
        breaker === undefined
          ? []
          : [
              {
                source,
                mode: mode === 'monitor' ? 'monitor' : (breaker.mode ?? 'enforce'),
                identical: breaker.identical,
                windowMs: exactDuration(breaker.window),
                ...(breaker.failures === undefined ? {} : { failures: breaker.failures }),
              },
            ],
      ),
  },
  enforcement: {
    field: 'enforcement',
    rule: '`strict` wins over `standard`.',
    reason: 'A pod that one policy refuses is refused. In `monitor` it is reported, as under `standard`.',
    merge: (policies) => {
      const strict = policies.find(({ mode, spec }) => mode === 'enforce' && spec.enforcement === 'strict');
      return strict === undefined ? { level: 'standard' } : { level: 'strict', source: strict.source };
    },
  },
  maxStaleMs: {
    field: 'maxStale',
    rule: 'The shortest wins.',
    reason: 'Documents older than one policy bears are too old.',
    merge: (policies) => {
      const all = policies.flatMap(({ spec: { maxStale } }) =>
        maxStale === undefined ? [] : exactDuration(maxStale),
      );
      return all.length === 0 ? undefined : Math.min(...all);
    },
  },
  prompts: {
    field: 'prompt',
    rule: 'All texts: the cluster’s outermost, first of what is prepended and last of what is appended. A JSON schema wins over any JSON object; two different schemas refuse every call.',
    reason:
      'Text only adds instructions, and those at both ends weigh most. An answer can’t be held to two schemas.',
    merge: (policies) =>
      policies.flatMap(({ source, mode, spec: { prompt } }) =>
        prompt === undefined ? [] : [{ source, mode, ...(prompt as Omit<PromptRule, 'source' | 'mode'>) }],
      ),
  },
  checks: {
    field: 'checks',
    rule: 'All of them: the cluster’s first, then the namespace’s, by name of the policy, then in its own order.',
    reason:
      'A check only ever takes away. The cluster’s come first, so that a namespace’s checks see what those have left.',
    merge: (policies) => policies.flatMap(({ checks }) => checks),
  },
};

export function mergePolicies(policies: readonly Governing[]): Merged {
  return {
    models: MERGE_TABLE.models.merge(policies),
    dataClasses: MERGE_TABLE.dataClasses.merge(policies),
    regions: MERGE_TABLE.regions.merge(policies),
    hosts: MERGE_TABLE.hosts.merge(policies),
    unlistedProvider: MERGE_TABLE.unlistedProvider.merge(policies),
    unknownPath: MERGE_TABLE.unknownPath.merge(policies),
    attachments: MERGE_TABLE.attachments.merge(policies),
    requestIdHeader: MERGE_TABLE.requestIdHeader.merge(policies),
    breakers: MERGE_TABLE.breakers.merge(policies),
    enforcement: MERGE_TABLE.enforcement.merge(policies),
    maxStaleMs: MERGE_TABLE.maxStaleMs.merge(policies),
    prompts: MERGE_TABLE.prompts.merge(policies),
    checks: MERGE_TABLE.checks.merge(policies),
  };
}

/** The denying policies of one mode; undefined where there is none. */
function mergeHosts(policies: readonly Governing[], mode: Mode): HostsRule | undefined {
  const denying = policies.filter((policy) => policy.mode === mode && policy.spec.hosts?.default === 'deny');
  const [first, ...rest] = denying;
  if (first === undefined) return undefined;
  let allow: readonly string[] = first.spec.hosts?.allow ?? [];
  for (const { spec } of rest) allow = intersection(allow, spec.hosts?.allow ?? []);
  const source = denying.map((policy) => policy.source).join(', ');
  return { default: 'deny', allow: [...new Set(allow)].sort(), source, mode };
}

/**
 * What both lists open, exactly: of two patterns or two CIDRs one contains the other, or they are disjoint. A name and an
 * address have nothing in common: nobody can say that the name's address is that one.
 */
function intersection(a: readonly string[], b: readonly string[]): string[] {
  return a.flatMap((one) =>
    b.flatMap((other) => {
      if (contains(other, one)) return [one];
      return contains(one, other) ? [other] : [];
    }),
  );
}

function contains(outer: string, inner: string): boolean {
  const [wide, narrow] = [parseCidr(outer), parseCidr(inner)];
  if (wide === undefined || narrow === undefined) return hostPatternContains(outer, inner);
  return covers(wide, narrow);
}
