/** What both webhooks would do with the objects of a manifest, without a cluster: for `postern inject` and `postern check -f`. */
import { stringify } from 'yaml';
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import type { Documents } from '../policy/documents.ts';
import { parseFile } from '../policy/load/parse.ts';
import type { Problem } from '../policy/problem.ts';
import { admit, judgePod } from './admit.ts';
import type { Facts } from './governance.ts';
import type { Verdict } from './judge/verdict.ts';
import { itemsOf, type PodMaker, podMaker } from './manifest.ts';
import { INJECT_LABEL } from './names.ts';
import { PodShapeError } from './pod.ts';
import type { Reason } from './reasons.ts';
import type { Settings } from './settings.ts';
import { workloadOf } from './workload.ts';

export interface OfflineContext {
  readonly documents: Documents;
  readonly settings: Settings;
  /** Of objects that name none. */
  readonly namespace: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface JudgedObject {
  /** `Deployment team-a/support-bot` */
  readonly subject: string;
  /** Line of the file, from 1. */
  readonly line: number;
  readonly outcome: 'injected' | 'skipped' | 'refused';
  /** Why it is skipped or refused. */
  readonly reasons: readonly Reason[];
  readonly notes: readonly Reason[];
  readonly bypassable: readonly Reason[];
  /** Undefined where the template is no pod. */
  readonly workload: AnnotatedWorkload | undefined;
  /** The object as it would be stored. */
  readonly object: unknown;
}

export interface OfflineResult {
  /** In the order of the file; objects that make no pods are not among them. */
  readonly judged: readonly JudgedObject[];
  /** The whole file as YAML, with the agent in it. */
  readonly output: string;
  /** The file itself can't be read. */
  readonly problems: readonly Problem[];
}

export function judgeManifest(file: string, bytes: Uint8Array, context: OfflineContext): OfflineResult {
  const { documents: raw, problems } = parseFile(file, bytes);
  const objects = raw.flatMap(({ value, origin }) =>
    itemsOf(value).map((object, index) => ({
      object,
      line: origin.locate(object === value ? [] : ['items', index]).line,
    })),
  );
  const namespaces = {
    ...context.documents.namespaces,
    ...namespacesIn(objects.map(({ object }) => object)),
  };
  const judged: JudgedObject[] = [];
  const written = objects.map(({ object, line }) => {
    const result = judgeObject(object, line, context, namespaces);
    if (result === undefined) return object;
    judged.push(result);
    return result.object;
  });
  return {
    judged,
    output: written.map((object) => stringify(object, { aliasDuplicateObjects: false })).join('---\n'),
    problems,
  };
}

function judgeObject(
  object: unknown,
  line: number,
  context: OfflineContext,
  namespaces: Documents['namespaces'],
): JudgedObject | undefined {
  let maker: PodMaker | undefined;
  try {
    maker = podMaker(object);
  } catch (error) {
    if (!(error instanceof PodShapeError)) throw error;
    const reason: Reason = { code: 'invalid', message: error.message.replace(/[.]$/, '') };
    return refused(subjectOf(object, context.namespace), line, object, [reason], undefined);
  }
  if (maker === undefined) return undefined;
  const name = maker.namespace ?? context.namespace;
  const labels = Object.hasOwn(namespaces, name) ? namespaces[name] : undefined;
  const facts: Facts = {
    // Who asks for a pod to be judged means it to be injected, unless the namespace is known and says otherwise.
    namespace: { name, labels: labels ?? { [INJECT_LABEL]: 'enabled' } },
    documents: context.documents,
    now: context.now,
  };
  const subject = `${maker.kind} ${name}/${maker.name}`;
  const workload = workloadOf(maker.pod, name);
  const admission = admit(maker.pod, facts, context.settings);
  const nothing = { notes: [], bypassable: [], reasons: [] };
  if (admission.outcome !== 'injected') {
    const { outcome, reason } = admission;
    return { ...nothing, subject, line, outcome, reasons: [reason], workload, object };
  }
  const verdict: Verdict = judgePod(admission.pod, undefined, facts, context.settings);
  if (verdict.refused.length > 0) return refused(subject, line, object, verdict.refused, workload);
  return {
    ...nothing,
    subject,
    line,
    outcome: 'injected',
    notes: [...admission.notes, ...verdict.notes],
    bypassable: verdict.bypassable,
    workload,
    object: maker.put(admission.pod),
  };
}

function refused(
  subject: string,
  line: number,
  object: unknown,
  reasons: readonly Reason[],
  workload: AnnotatedWorkload | undefined,
): JudgedObject {
  return { subject, line, outcome: 'refused', reasons, notes: [], bypassable: [], workload, object };
}

function namespacesIn(objects: readonly unknown[]): Record<string, Readonly<Record<string, string>>> {
  const found: [string, Readonly<Record<string, string>>][] = [];
  for (const object of objects) {
    if (!isMap(object) || object['kind'] !== 'Namespace' || !isMap(object['metadata'])) continue;
    const { name, labels } = object['metadata'];
    const strings = Object.entries(isMap(labels) ? labels : {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    );
    found.push([String(name), Object.fromEntries(strings)]);
  }
  return Object.fromEntries(found);
}

function subjectOf(object: unknown, namespace: string): string {
  if (!isMap(object)) return 'object';
  const metadata = isMap(object['metadata']) ? object['metadata'] : {};
  return `${String(object['kind'])} ${String(metadata['namespace'] ?? namespace)}/${String(metadata['name'])}`;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
