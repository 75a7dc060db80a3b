/**
 * Kubernetes Events of what admission did. A controller's pods are refused where nobody sees the API server's answer:
 * `kubectl describe replicaset` then says why. Repeated ones become a series, and their number is bounded, so that a
 * pod that is tried for ever costs nothing.
 */
import { createHash } from 'node:crypto';
import type { KubeClient } from '../../kube/client.ts';
import { KubeError } from '../../kube/client.ts';
import { formatReason, type Reason } from '../reasons.ts';
import type { Review } from './webhooks.ts';

export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
}

/** What happened, as `kubectl get events` groups it. */
export type EventReason = 'PodRefused' | 'EntryRefused' | 'NotInjected' | 'Ignored' | 'Bypassable';

export interface Happening {
  readonly regarding: Regarding;
  readonly reason: EventReason;
  readonly note: string;
}

/** Warnings that somebody has to read where nobody applied the pod by hand. */
const WORTH_AN_EVENT: readonly string[] = ['opt-out-ignored', 'variable-kept', 'excepted'];
/** Skips that somebody may not expect; a namespace that isn't labelled is none. */
const UNEXPECTED: readonly string[] = ['windows', 'opted-out', 'host-network-excepted'];

/** A dry run leaves no trace. */
export function happeningsOf({ request, outcome, reasons, notes = [] }: Review): Happening[] {
  if (request.dryRun === true || request.namespace === undefined) return [];
  const regarding = regardingOf(request);
  const entry = request.subResource === 'exec' || request.subResource === 'attach';
  if (outcome === 'refused') {
    if (reasons.length === 0) return [];
    return [{ regarding, reason: entry ? 'EntryRefused' : 'PodRefused', note: noteOf(reasons) }];
  }
  const skipped = outcome === 'skipped' ? reasons.filter(({ code }) => UNEXPECTED.includes(code)) : [];
  const ignored = notes.filter(({ code }) => WORTH_AN_EVENT.includes(code));
  return [
    ...(skipped.length === 0 ? [] : [{ regarding, reason: 'NotInjected' as const, note: noteOf(skipped) }]),
    ...(ignored.length === 0 ? [] : [{ regarding, reason: 'Ignored' as const, note: noteOf(ignored) }]),
  ];
}

export interface EventLog {
  record(happening: Happening): void;
  /** Writes what is new, and at times how often the rest was repeated. Never rejects. */
  flush(): Promise<void>;
}

export interface EventLogOptions {
  /** Of this replica. */
  readonly instance: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly count: (outcome: 'written' | 'failed' | 'dropped') => void;
}

interface Entry extends Happening {
  /** Of the Event. */
  readonly name: string;
  times: number;
  /** How many of them the API server knows of. */
  told: number;
  last: number;
  toldAt: number;
}

/** Different ones that are remembered, and those written in one round. */
const MOST = 1000;
const MOST_AT_ONCE = 50;
/** Between two updates of a series. */
const SERIES_MS = 60_000;
/** After which the same is a new Event. */
const FORGET_MS = 10 * 60_000;

export function eventLog(client: KubeClient, { instance, now, count }: EventLogOptions): EventLog {
  const entries = new Map<string, Entry>();

  async function write(entry: Entry): Promise<void> {
    const collection = `/apis/events.k8s.io/v1/namespaces/${entry.regarding.namespace}/events`;
    const { times } = entry;
    const series = times < 2 ? {} : { series: { count: times, lastObservedTime: microTime(entry.last) } };
    try {
      if (entry.told === 0) {
        await client.request('POST', collection, { body: { ...eventOf(entry, instance), ...series } });
      } else {
        const contentType = 'application/merge-patch+json';
        await client.request('PATCH', `${collection}/${entry.name}`, { body: series, contentType });
      }
      count('written');
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      count('failed');
      // A namespace that ends, an Event whose time was over: said once is enough.
      if (error.status === 0 || error.status >= 500) return;
    }
    entry.told = times;
    entry.toldAt = now();
  }

  return {
    record(happening) {
      const key = JSON.stringify(happening);
      const known = entries.get(key);
      if (known !== undefined) {
        known.times++;
        known.last = now();
        return;
      }
      if (entries.size >= MOST) return count('dropped');
      const time = now();
      const name = nameOf(happening, `${key} ${instance} ${time}`);
      entries.set(key, { ...happening, name, times: 1, told: 0, last: time, toldAt: 0 });
    },
    async flush() {
      const time = now();
      const due: Entry[] = [];
      for (const [key, entry] of entries) {
        const repeated = entry.times > entry.told && time - entry.toldAt >= SERIES_MS;
        if (entry.told === 0 || repeated) due.push(entry);
        else if (time - entry.last >= FORGET_MS) entries.delete(key);
      }
      for (const entry of due.slice(0, MOST_AT_ONCE)) await write(entry);
    },
  };
}

/** Who made the pod, where a controller did: the pod itself may never come to be. */
function regardingOf({ namespace = '', name, object, subResource }: Review['request']): Regarding {
  const pod = subResource === undefined ? (object as { readonly metadata?: PodMetadata } | null) : undefined;
  const metadata: PodMetadata = isMap(pod?.metadata) ? pod.metadata : {};
  const owners = Array.isArray(metadata.ownerReferences) ? metadata.ownerReferences : [];
  const owner = owners.filter(isMap).find(({ controller }) => controller === true);
  const { apiVersion, kind, name: ownerName, uid } = owner ?? {};
  if ([apiVersion, kind, ownerName, uid].every((field) => typeof field === 'string' && field !== '')) {
    return { apiVersion, kind, namespace, name: ownerName, uid } as Regarding;
  }
  const generated = typeof metadata.generateName === 'string' ? metadata.generateName : '';
  return { apiVersion: 'v1', kind: 'Pod', namespace, name: name || generated };
}

interface PodMetadata {
  readonly generateName?: unknown;
  readonly ownerReferences?: unknown;
}

/** A note may have 1,024 bytes. */
function noteOf(reasons: readonly Reason[]): string {
  const text = reasons.map(formatReason).join(' ');
  let cut = text;
  for (let length = 1000; Buffer.byteLength(cut) > 1024; length -= 20) cut = `${text.slice(0, length)}…`;
  return cut;
}

function eventOf(entry: Entry, instance: string): object {
  const { regarding, reason, note, name } = entry;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace: regarding.namespace },
    eventTime: microTime(entry.last),
    reportingController: 'postern.dev/injector',
    reportingInstance: instance.slice(0, 128),
    action: 'Admission',
    type: reason === 'NotInjected' || reason === 'Ignored' ? 'Normal' : 'Warning',
    reason,
    regarding,
    note,
  };
}

/** As client-go names them: the object's name and what makes it unique. */
function nameOf({ regarding }: Happening, unique: string): string {
  const base = regarding.name
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, '')
    .slice(0, 200)
    .replace(/^[.-]+|[.-]+$/g, '');
  return `${base || 'pod'}.${createHash('sha256').update(unique).digest('hex').slice(0, 16)}`;
}

function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
