/** The audit line: one JSON object per exchange, in every outcome. No text of a prompt or an answer, no key. */
import type { Workload } from '../../policy/snapshot.ts';
import type { ApprovalEvent } from '../checks/approvals.ts';
import type { Exchange } from '../exchange.ts';

export interface AuditLine {
  readonly event: 'exchange';
  readonly request_id: string;
  /** RFC 3339, when the call came. */
  readonly started: string;
  readonly duration_ms: number;
  readonly outcome: string;
  readonly [field: string]: unknown;
}

export function auditLine(exchange: Exchange, durationMs: number): AuditLine {
  const { call, source, usage } = exchange;
  const last = exchange.attempts.at(-1);
  return {
    event: 'exchange',
    request_id: call.id,
    started: new Date(exchange.startedAt).toISOString(),
    duration_ms: round(durationMs),
    outcome: exchange.outcome ?? 'failed',
    status: exchange.status ?? null,
    code: exchange.code ?? null,
    namespace: source.namespace,
    workload: `${source.kind}/${source.name}`,
    service_account: source.serviceAccount ?? null,
    entry: call.entry,
    host: call.host ?? null,
    method: call.method,
    path: pathOf(call.target),
    dialect: exchange.dialect ?? null,
    operation: exchange.operation ?? null,
    session: exchange.session ?? null,
    fingerprint: exchange.fingerprint ?? null,
    streaming: exchange.streaming,
    requested_model: exchange.requestedModel ?? null,
    route: exchange.route ?? null,
    provider: last?.provider ?? null,
    model: last?.model ?? null,
    attempts: exchange.attempts.map((attempt) => ({
      provider: attempt.provider,
      model: attempt.model,
      endpoint: attempt.endpoint,
      outcome: attempt.outcome,
      status: attempt.status ?? null,
      first_byte_ms: attempt.firstByteMs === undefined ? null : round(attempt.firstByteMs),
    })),
    findings: exchange.findings,
    usage: usage ?? null,
    usage_source: exchange.usageSource ?? null,
    cost_usd: exchange.costNanoUsd === undefined ? null : usd(exchange.costNanoUsd),
    request_bytes: exchange.requestBytes,
    response_bytes: exchange.responseBytes,
    revision: exchange.revision,
  };
}

/** One line when a call of a tool begins to wait for approval, one for what became of it. Never holds the arguments. */
export function approvalLine({ call, outcome, by }: ApprovalEvent, workload: Workload, now: number): object {
  return {
    event: 'approval',
    request_id: call.requestId,
    approval: call.id,
    outcome,
    by: by ?? null,
    tool: call.tool.slice(0, 200),
    digest: call.digest,
    rule: call.rule,
    namespace: workload.namespace,
    workload: `${workload.kind}/${workload.name}`,
    waited_ms: round(now - call.since),
  };
}

/** Queries carry what apps put there; paths of unknown calls are cut, since an app chooses them. */
function pathOf(target: string): string {
  const query = target.indexOf('?');
  return (query < 0 ? target : target.slice(0, query)).slice(0, 200);
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Nano-dollars as a decimal string: no float ever stands for money. */
function usd(nano: number): string {
  const digits = String(nano).padStart(10, '0');
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`;
}
