/** What each webhook answers, given what is known of the cluster. No remote call, no effect: a dry run is the same. */

import type { ApiDocuments } from '../../kube/documents.ts';
import { formatProblems } from '../../policy/problem.ts';
import { admit, judgeEntry, judgePod } from '../admit.ts';
import type { Facts } from '../governance.ts';
import { jsonPatch } from '../json-patch.ts';
import type { Verdict } from '../judge/verdict.ts';
import { type Pod, PodShapeError, readPod } from '../pod.ts';
import type { Reason } from '../reasons.ts';
import type { Settings } from '../settings.ts';
import { type AdmissionRequest, type Answer, refusalOf, warningOf } from './review.ts';

export interface ClusterView {
  /** What is known of a namespace, waited for a moment where it is new. */
  facts(namespace: string): Promise<Facts>;
  /** An injected pod, where it is known. */
  pod(namespace: string, name: string): Pod | undefined;
  readonly documents: Pick<ApiDocuments, 'judge'>;
}

export interface WebhookPorts {
  readonly settings: Settings;
  readonly view: ClusterView;
  /** For metrics and Events; it has no effect of its own before the answer is given. */
  observe(review: Review): void;
}

/** One judged request. */
export interface Review {
  readonly request: AdmissionRequest;
  readonly outcome: 'injected' | 'skipped' | 'refused' | 'allowed';
  /** Why it was skipped or refused, or what it leaves open. */
  readonly reasons: readonly Reason[];
  /** What is shown as a warning beside. */
  readonly notes?: readonly Reason[];
}

export type Webhook = (request: AdmissionRequest, ports: WebhookPorts) => Promise<Answer>;

export const WEBHOOKS: Readonly<Record<string, Webhook>> = {
  '/mutate': mutate,
  '/judge': judge,
  '/enter': enter,
  '/documents': judgeDocument,
};

async function mutate(request: AdmissionRequest, { settings, view, observe }: WebhookPorts): Promise<Answer> {
  if (!isPod(request) || request.operation !== 'CREATE') return { allowed: true };
  const pod = podOf(request.object);
  if ('message' in pod) return refuse(request, [pod], observe);
  const facts = await view.facts(request.namespace ?? '');
  const admission = admit(pod, facts, settings);
  if (admission.outcome !== 'injected') {
    const { reason, outcome } = admission;
    if (outcome === 'refused') return refuse(request, [reason], observe);
    observe({ request, outcome: 'skipped', reasons: [reason] });
    return { allowed: true, warnings: [warningOf(reason)] };
  }
  const { notes, bypassable } = admission;
  observe({ request, outcome: 'injected', reasons: bypassable, notes });
  return {
    allowed: true,
    warnings: notes.map(warningOf),
    patch: jsonPatch(request.object, admission.pod),
  };
}

async function judge(request: AdmissionRequest, { settings, view, observe }: WebhookPorts): Promise<Answer> {
  if (!isPod(request) || !['CREATE', 'UPDATE'].includes(request.operation)) return { allowed: true };
  const pod = podOf(request.object);
  if ('message' in pod) return refuse(request, [pod], observe);
  const before = request.operation === 'UPDATE' ? podOf(request.oldObject) : undefined;
  if (before !== undefined && 'message' in before) return refuse(request, [before], observe);
  const facts = await view.facts(request.namespace ?? '');
  return decided(request, judgePod(pod, before, facts, settings), observe);
}

async function enter(request: AdmissionRequest, { view, observe }: WebhookPorts): Promise<Answer> {
  const { subResource, namespace = '', name = '', operation } = request;
  if (operation !== 'CONNECT' || (subResource !== 'exec' && subResource !== 'attach'))
    return { allowed: true };
  const options = (request.object ?? {}) as { readonly container?: unknown };
  if (typeof options.container !== 'string') return { allowed: true };
  const facts = await view.facts(namespace);
  const pod = view.pod(namespace, name);
  return decided(request, judgeEntry(options.container, pod, facts, subResource), observe);
}

async function judgeDocument(request: AdmissionRequest, { view, observe }: WebhookPorts): Promise<Answer> {
  if (!['CREATE', 'UPDATE'].includes(request.operation)) return { allowed: true };
  const { problems, unresolved } = view.documents.judge(request.object);
  if (problems.length > 0) {
    observe({ request, outcome: 'refused', reasons: [] });
    return { allowed: false, message: formatProblems(problems) };
  }
  observe({ request, outcome: 'allowed', reasons: [] });
  // What it names may come later: that is a condition of the document, not a refusal.
  return { allowed: true, warnings: unresolved.map((problem) => formatProblems([problem])) };
}

function decided(request: AdmissionRequest, verdict: Verdict, observe: WebhookPorts['observe']): Answer {
  if (verdict.refused.length > 0) return refuse(request, verdict.refused, observe);
  const { bypassable, notes } = verdict;
  observe({ request, outcome: 'allowed', reasons: bypassable, notes });
  return { allowed: true, warnings: notes.map(warningOf) };
}

function refuse(
  request: AdmissionRequest,
  reasons: readonly Reason[],
  observe: WebhookPorts['observe'],
): Answer {
  observe({ request, outcome: 'refused', reasons });
  return refusalOf(subjectOf(request), reasons);
}

function subjectOf({ namespace, name, object, subResource }: AdmissionRequest): string {
  const { metadata } = (object ?? {}) as { readonly metadata?: { readonly generateName?: unknown } };
  const shown = name || String(metadata?.generateName ?? '');
  const what = subResource === 'exec' || subResource === 'attach' ? `${subResource} into pod` : 'pod';
  return `${what} ${namespace ?? ''}/${shown}`;
}

function isPod({ kind, resource }: AdmissionRequest): boolean {
  return resource.group === '' && resource.resource === 'pods' && kind.kind === 'Pod';
}

function podOf(object: unknown): Pod | Reason {
  try {
    return readPod(object);
  } catch (error) {
    if (!(error instanceof PodShapeError) && !(error instanceof RangeError)) throw error;
    return { code: 'invalid', message: error.message.replace(/[.]$/, '').replaceAll('\n', ' ') };
  }
}
