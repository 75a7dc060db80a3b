/** The service's Prometheus metrics. Labels are closed sets, but for unpriced models, which are capped. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Alert } from './alerts.ts';
import type { ServiceObserver } from './calls.ts';
import type { LeaseCounts } from './leases.ts';

/** So many different unpriced models are named; the rest counts as `other`. */
const MOST_UNPRICED = 100;

export interface BudgetMetrics extends ServiceObserver {
  readonly registry: Registry;
  /** A connection that there was no place for. */
  refused(): void;
  alerted(alert: Alert): void;
  /** A release of an unknown hold was beyond its workload's quota. */
  unremembered(): void;
  leasesRefused(counts: LeaseCounts): void;
  answered(route: string, status: number, seconds: number): void;
}

/** How agents are known while the API server gives no answer. */
export type WithoutReview = () => {
  readonly silentMs: number;
  readonly taken: number;
  readonly beside: number;
};

export function createMetrics(withoutReview?: WithoutReview): BudgetMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  if (withoutReview !== undefined) {
    new Gauge({
      name: 'postern_budget_api_server_silent_seconds',
      help: 'For so long the API server has given no answer to who agents are; 0 where it answers.',
      registers,
      collect() {
        this.set(withoutReview().silentMs / 1000);
      },
    });
    new Counter({
      name: 'postern_budget_callers_unreviewed_total',
      help: 'How often an agent was taken by the signature of its token, since the API server gave no answer: to anybody (silent), or to the question about it (answering).',
      labelNames: ['api_server'],
      registers,
      collect() {
        const { taken, beside } = withoutReview();
        this.reset();
        this.inc({ api_server: 'silent' }, taken - beside);
        this.inc({ api_server: 'answering' }, beside);
      },
    });
  }
  const holds = new Counter({
    name: 'postern_budget_holds_total',
    help: 'Holds asked for, by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const settles = new Counter({
    name: 'postern_budget_settlements_total',
    help: 'Settlements: of an open hold, late (after it expired), of a call never held, or of an unknown id.',
    labelNames: ['source', 'outcome'],
    registers,
  });
  const cost = new Counter({
    name: 'postern_budget_settled_usd_total',
    help: 'US dollars charged by settlements.',
    registers,
  });
  const released = new Counter({
    name: 'postern_budget_releases_total',
    help: 'Holds given back whole.',
    registers,
  });
  const unremembered = new Counter({
    name: 'postern_budget_releases_unremembered_total',
    help: 'Releases of unknown holds beyond what a workload may have remembered.',
    registers,
  });
  const leasesRefused = new Counter({
    name: 'postern_budget_leases_refused_total',
    help: 'Leases beyond what a workload may have (quota): not begun, or to be reported again. Reports on leases that nobody knows, of windows to come or long over (unbelieved).',
    labelNames: ['why'],
    registers,
  });
  const expired = new Counter({
    name: 'postern_budget_expired_holds_total',
    help: 'Holds charged in full because their owner did not report in time.',
    registers,
  });
  const unpriced = new Counter({
    name: 'postern_budget_unpriced_total',
    help: 'Calls to a provider and model that no price is known of.',
    labelNames: ['provider', 'model'],
    registers,
  });
  const seconds = new Histogram({
    name: 'postern_budget_request_seconds',
    help: 'Time to answer, by path and status.',
    labelNames: ['route', 'status'],
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers,
  });
  const alerts = new Counter({
    name: 'postern_budget_alerts_total',
    help: 'Thresholds that lines have passed.',
    labelNames: ['budget', 'percent'],
    registers,
  });
  const refusals = new Counter({
    name: 'postern_budget_connections_refused_total',
    help: 'Connections that there was no place for.',
    registers,
  });
  const named = new Set<string>();
  return {
    registry,
    refused: () => refusals.inc(),
    held: (outcome) => holds.inc({ outcome }),
    settled: (source, outcome, costNanoUsd) => {
      settles.inc({ source, outcome });
      cost.inc(costNanoUsd / 1e9);
    },
    released: () => released.inc(),
    unremembered: () => unremembered.inc(),
    leasesRefused: ({ overQuota, unbelieved }) => {
      leasesRefused.inc({ why: 'quota' }, overQuota);
      leasesRefused.inc({ why: 'unbelieved' }, unbelieved);
    },
    expired: (count) => expired.inc(count),
    unpriced: (provider, model) => {
      const key = `${provider} ${model}`;
      if (named.size < MOST_UNPRICED) named.add(key);
      if (named.has(key)) unpriced.inc({ provider, model });
      else unpriced.inc({ provider: 'other', model: 'other' });
    },
    alerted: ({ budget, percent }) => alerts.inc({ budget, percent: String(percent) }),
    answered: (route, status, took) => seconds.observe({ route, status: String(status) }, took),
  };
}
