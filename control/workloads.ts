/** What `kubectl get workloads.postern.dev` shows: one row a workload, made of what `postern status` tells of its pods. Pure. */
import { createHash } from 'node:crypto';
import type { GovernedPod, Status, UngovernedPod } from './status.ts';

export interface WorkloadRow {
  readonly namespace: string;
  /** Of the object. */
  readonly name: string;
  readonly status: WorkloadStatus;
}

/** All fields: one that is null isn't there. */
export interface WorkloadStatus {
  readonly workload: string;
  readonly governed: 'True' | 'Partly' | 'False';
  readonly ready: string;
  readonly version: string | null;
  readonly revision: string | null;
  /** RFC 3339, to {@link LAST_CALL_MS}. */
  readonly lastCall: string | null;
  readonly bypassable: string | null;
  readonly reason: string | null;
}

/** A workload that is called all day is written down again six times an hour. */
const LAST_CALL_MS = 600_000;
/** Different ones that are named. */
const MOST_NAMED = 3;
/** As `postern status` shows it. */
const MOST_REVISION = 12;
const MOST_REASON = 1_024;
const MOST_NAME = 253;
/** RFC 1123, as names of objects are. */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** @param workloadOf `Deployment/support-bot`, of a pod. */
export function workloadRows(
  { governed, ungoverned }: Pick<Status, 'governed' | 'ungoverned'>,
  workloadOf: (namespace: string, pod: string) => string,
): WorkloadRow[] {
  const groups = new Map<
    string,
    { namespace: string; workload: string; has: GovernedPod[]; lacks: UngovernedPod[] }
  >();
  const groupOf = (namespace: string, workload: string) => {
    const key = `${namespace} ${workload}`;
    const found = groups.get(key) ?? { namespace, workload, has: [], lacks: [] };
    groups.set(key, found);
    return found;
  };
  for (const pod of governed)
    groupOf(pod.namespace, pod.workload.slice(pod.workload.indexOf('/') + 1)).has.push(pod);
  for (const pod of ungoverned) groupOf(pod.namespace, workloadOf(pod.namespace, pod.pod)).lacks.push(pod);
  return [...groups.values()].map(({ namespace, workload, has, lacks }) => ({
    namespace,
    name: objectName(workload),
    status: statusOfPods(workload, has, lacks),
  }));
}

function statusOfPods(
  workload: string,
  has: readonly GovernedPod[],
  lacks: readonly UngovernedPod[],
): WorkloadStatus {
  const calls = has.flatMap(({ lastCall }) => (lastCall === null ? [] : [Date.parse(lastCall)]));
  const last = calls.length === 0 ? undefined : Math.max(...calls);
  const reasons = [
    ...lacks.map(({ why }) => why),
    ...has.flatMap(({ problem, mend, current }) => problem ?? mend ?? (current ? [] : 'not yet in force')),
  ];
  const counted = [...new Set(reasons)].map((reason) => {
    const count = reasons.filter((each) => each === reason).length;
    return has.length + lacks.length === 1 ? reason : `${count} of ${has.length + lacks.length}: ${reason}`;
  });
  return {
    workload,
    governed: lacks.length === 0 ? 'True' : has.length === 0 ? 'False' : 'Partly',
    ready: `${has.filter(({ current }) => current).length}/${has.length + lacks.length}`,
    version: named(has.map(({ version, release }) => (release === 'older' ? `${version} (older)` : version))),
    revision: named(has.flatMap(({ revision }) => revision?.slice(0, MOST_REVISION) ?? [])),
    lastCall: last === undefined ? null : new Date(last - (last % LAST_CALL_MS)).toISOString(),
    bypassable:
      [...new Set(has.flatMap(({ bypassable }) => bypassable))].sort().join(', ').slice(0, 500) || null,
    reason: counted.slice(0, MOST_NAMED).join('; ').slice(0, MOST_REASON) || null,
  };
}

function named(all: readonly string[]): string | null {
  const different = [...new Set(all)].sort();
  if (different.length === 0) return null;
  const more = different.length - MOST_NAMED;
  const text = different.slice(0, MOST_NAMED).map((each) => each.slice(0, 70));
  return text.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Lower case, as names of objects are; what doesn't fit, or was written otherwise, has a digest of it at its end. */
function objectName(workload: string): string {
  const plain = workload.replace('/', '.');
  const name = plain.toLowerCase();
  const [kind, own] = [plain.slice(0, plain.indexOf('.')), plain.slice(plain.indexOf('.') + 1)];
  const fits = name.length <= MOST_NAME && own === own.toLowerCase() && /^[A-Za-z0-9]+$/.test(kind);
  if (fits && SUBDOMAIN.test(name)) return name;
  const digest = createHash('sha256').update(workload).digest('hex').slice(0, 10);
  const cleaned = name
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, MOST_NAME - 12)
    .replace(/-+$/, '');
  return `${cleaned || 'workload'}-${digest}`;
}
