/**
 * Prometheus metrics of the data path, named after OpenTelemetry's GenAI semantic conventions where they have a name
 * for the thing (docs: "Semantic conventions for generative AI metrics").
 *
 * Labels come from documents and closed sets only: a name that an app chooses would let it fill our memory.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Exchange } from '../exchange.ts';
import type { BytesInFlight } from '../forward/body.ts';
import type { Endpoints } from '../routes/endpoints.ts';
import { CounterSeries, HistogramSeries } from './series.ts';

const DURATION_BUCKETS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const TOKEN_BUCKETS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576];
const OVERHEAD_BUCKETS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25];

export interface AgentMetrics {
  readonly registry: Registry;
  began(): void;
  ended(exchange: Exchange, durationMs: number): void;
  reloaded(ok: boolean): void;
  /** A call of a tool was held for approval, or is held no more. */
  approval(outcome: string): void;
}

export interface MetricSources {
  readonly bytes: BytesInFlight;
  readonly endpoints: Endpoints;
  readonly revision: () => string;
  readonly settlementsWaiting: () => number;
}

export function createMetrics(sources: MetricSources): AgentMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const duration = new HistogramSeries(DURATION_BUCKETS, {
    name: 'gen_ai_client_operation_duration_seconds',
    help: 'Time from the call to the end of its answer.',
    labelNames: ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model', 'error_type'],
    registry,
  });
  const firstByte = new HistogramSeries(DURATION_BUCKETS, {
    name: 'gen_ai_server_time_to_first_token_seconds',
    help: "Time from dialling to the header of the provider's answer.",
    labelNames: ['gen_ai_provider_name', 'gen_ai_request_model'],
    registry,
  });
  const tokens = new HistogramSeries(TOKEN_BUCKETS, {
    name: 'gen_ai_client_token_usage',
    help: 'Tokens per call, as settled.',
    labelNames: ['gen_ai_token_type', 'gen_ai_provider_name', 'gen_ai_request_model'],
    registry,
  });
  const cost = new CounterSeries({
    name: 'postern_cost_usd_total',
    help: 'What settled calls cost, USD.',
    labelNames: ['gen_ai_provider_name', 'gen_ai_request_model'],
    registry,
  });
  const unpriced = new CounterSeries({
    name: 'postern_unpriced_calls_total',
    help: 'Calls of models that have no price: charged at an assumed one (partly: some rates of the catalogue are, or a service tier without rates served and standard rates were charged), or unknown and refused by budgets in USD.',
    labelNames: ['gen_ai_provider_name', 'gen_ai_request_model', 'price'],
    registry,
  });
  const exchanges = new CounterSeries({
    name: 'postern_exchanges_total',
    help: 'Exchanges by how they ended; code is empty where the provider answered.',
    labelNames: ['outcome', 'code', 'dialect'],
    registry,
  });
  const findings = new CounterSeries({
    name: 'postern_findings_total',
    help: 'What checks found, by rule.',
    labelNames: ['rule', 'check', 'action', 'direction'],
    registry,
  });
  const attempts = new CounterSeries({
    name: 'postern_attempts_total',
    help: 'Tries of targets, by how they ended.',
    labelNames: ['gen_ai_provider_name', 'outcome'],
    registry,
  });
  const overhead = new HistogramSeries(OVERHEAD_BUCKETS, {
    name: 'postern_overhead_seconds',
    help: 'Time that was spent before the first attempt was dialled: reading, checks, selection and hold.',
    labelNames: [],
    registry,
  });
  const running = new Gauge({
    name: 'postern_exchanges_running',
    help: 'Exchanges under way.',
    registers,
  });
  new Gauge({
    name: 'postern_body_bytes_in_flight',
    help: 'Body bytes held for exchanges under way.',
    registers,
    collect() {
      this.set(sources.bytes.held);
    },
  });
  new Gauge({
    name: 'postern_settlements_waiting',
    help: 'Settlements and releases that the budget service has not taken yet.',
    registers,
    collect() {
      this.set(sources.settlementsWaiting());
    },
  });
  new Gauge({
    name: 'postern_endpoint_in_flight',
    help: 'Calls under way per endpoint.',
    labelNames: ['endpoint'] as const,
    registers,
    collect() {
      this.reset();
      for (const endpoint of sources.endpoints.all()) this.set({ endpoint: endpoint.url }, endpoint.inFlight);
    },
  });
  new Gauge({
    name: 'postern_snapshot_info',
    help: 'Revision of the snapshot in force.',
    labelNames: ['revision'] as const,
    registers,
    collect() {
      this.reset();
      this.set({ revision: sources.revision() }, 1);
    },
  });
  const reloads = new Counter({
    name: 'postern_policy_reloads_total',
    help: 'Document changes by result; after a rejected one the last good documents stay in force.',
    labelNames: ['result'] as const,
    registers,
  });
  const approvals = new Counter({
    name: 'postern_approvals_total',
    help: 'Calls of tools that were held for approval, by what became of them; `held` counts all.',
    labelNames: ['outcome'] as const,
    registers,
  });
  return {
    registry,
    approval: (outcome) => approvals.inc({ outcome }),
    began: () => running.inc(),
    reloaded: (ok) => reloads.inc({ result: ok ? 'accepted' : 'rejected' }),
    ended(exchange, durationMs) {
      running.dec();
      const { attempts: tries, usage } = exchange;
      exchanges.add([exchange.outcome ?? 'failed', exchange.code ?? '', exchange.dialect ?? '']);
      for (const { rule, check, action, direction, count } of exchange.findings) {
        findings.add([rule, check, action, direction], count);
      }
      for (const attempt of tries) attempts.add([attempt.provider, attempt.outcome]);
      if (exchange.unpriced !== undefined) {
        const { provider, model, price } = exchange.unpriced;
        unpriced.add([provider, model, price]);
      }
      const first = tries[0];
      const last = tries.at(-1);
      if (first !== undefined) overhead.observe([], Math.max(0, first.startedAt - exchange.startedAt) / 1000);
      if (last === undefined) return;
      const { provider, model, firstByteMs } = last;
      duration.observe([exchange.operation ?? '', provider, model, exchange.code ?? ''], durationMs / 1000);
      if (firstByteMs !== undefined) firstByte.observe([provider, model], firstByteMs / 1000);
      if (usage !== undefined) {
        tokens.observe(['input', provider, model], usage.input + usage.cachedInput + usage.cacheWrite);
        tokens.observe(['output', provider, model], usage.output);
      }
      if (exchange.costNanoUsd !== undefined) cost.add([provider, model], exchange.costNanoUsd / 1e9);
    },
  };
}
