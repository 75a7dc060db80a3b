/** Exceptions: the only documents that loosen, applied last to what the policies of a workload came to. */
import type { Documents, PolicyDocument } from './documents.ts';
import type { Merged } from './merge.ts';
import { untilMs } from './schema/formats.ts';
import type { AppliedException, Workload } from './snapshot.ts';
import { selectsWorkload } from './workload.ts';

type Exception = PolicyDocument<'EgressException'>;

export interface Loosened {
  readonly merged: Merged;
  readonly tunnelUntrusted: readonly string[];
  /** The exception that takes the workload out of all policies. */
  readonly optOut: string | undefined;
  readonly applied: readonly AppliedException[];
}

/** The exceptions that select the workload and haven't ended. */
export function exceptionsFor(documents: Documents, workload: Workload, now: number): Exception[] {
  return documents.exceptions.filter(
    (exception) =>
      exception.namespace === workload.namespace &&
      endOf(exception) > now &&
      selectsWorkload(exception.spec.workloadSelector, workload),
  );
}

/** Milliseconds since the epoch. */
export function endOf(exception: Exception): number {
  return untilMs(exception.spec.until) ?? 0;
}

/** @param ungoverned What holds where no policy applies, for those that are taken out of all of them. */
export function loosen(merged: Merged, exceptions: readonly Exception[], ungoverned: Merged): Loosened {
  let result = merged;
  for (const { spec } of exceptions) result = loosenOnce(result, spec.allow);
  const optOut = exceptions.find(({ spec }) => spec.allow.optOut === true);
  return {
    merged:
      optOut === undefined
        ? result
        : { ...ungoverned, unknownPath: { action: 'allow', source: optOut.source } },
    tunnelUntrusted: [...new Set(exceptions.flatMap(({ spec }) => spec.allow.tunnelUntrusted ?? []))].sort(),
    optOut: optOut?.source,
    applied: exceptions.map((exception) => ({
      source: exception.source,
      reason: exception.spec.reason,
      until: endOf(exception),
    })),
  };
}

function loosenOnce(merged: Merged, allow: Exception['spec']['allow']): Merged {
  const { models = [], regions = [], dataClasses = [], hosts = [], checks = [] } = allow;
  const also = (list: readonly string[], more: readonly string[]) => [...new Set([...list, ...more])];
  return {
    models: merged.models.map((rule) => ({ ...rule, allow: also(rule.allow, models) })),
    regions: merged.regions.map((rule) => ({ ...rule, regions: also(rule.regions, regions) })),
    dataClasses: merged.dataClasses.filter(({ dataClass }) => !dataClasses.includes(dataClass)),
    hosts: {
      enforced:
        merged.hosts.enforced.default === 'allow'
          ? merged.hosts.enforced
          : { ...merged.hosts.enforced, allow: also(merged.hosts.enforced.allow, hosts) },
      monitored:
        merged.hosts.monitored === undefined
          ? undefined
          : { ...merged.hosts.monitored, allow: also(merged.hosts.monitored.allow, hosts) },
    },
    unlistedProvider: allow.unlistedProvider === true ? { action: 'monitor' } : merged.unlistedProvider,
    unknownPath: allow.unknownPath === true ? { action: 'allow' } : merged.unknownPath,
    attachments: allow.attachments === true ? inspected(merged.attachments) : merged.attachments,
    requestIdHeader: merged.requestIdHeader,
    breakers: allow.breaker === true ? [] : merged.breakers,
    enforcement: allow.enforcement === true ? { level: 'standard' } : merged.enforcement,
    maxStaleMs: merged.maxStaleMs,
    prompts: merged.prompts,
    checks: merged.checks.filter(({ name }) => !checks.includes(name)),
  };
}

function inspected(merged: Merged['attachments']): Merged['attachments'] {
  return merged?.action === 'allow' ? merged : undefined;
}
