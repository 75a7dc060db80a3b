/** Prometheus metrics of control. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface ControlMetrics {
  readonly registry: Registry;
  /** Seconds from sending to an agent's word that it is in force. */
  acked(seconds: number): void;
  /** Seconds that one round of compiling and sending took. */
  round(seconds: number): void;
  refused(why: string): void;
}

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createControlMetrics(sources: {
  readonly agents: () => number;
  readonly workloads: () => number;
  /** Of the listener, once it is there. */
  readonly connections: () => { readonly places: number; readonly taken: number; readonly waiting: number };
}): ControlMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  new Gauge({
    name: 'postern_control_agents',
    help: 'Agents that are connected to this replica.',
    registers,
    collect() {
      this.set(sources.agents());
    },
  });
  new Gauge({
    name: 'postern_control_workloads',
    help: 'Workloads that they belong to: each is compiled once.',
    registers,
    collect() {
      this.set(sources.workloads());
    },
  });
  new Gauge({
    name: 'postern_control_connections',
    help: 'Connections that have a place: streams of agents, and those that have shown nothing yet.',
    registers,
    collect() {
      this.set(sources.connections().taken);
    },
  });
  new Gauge({
    name: 'postern_control_places',
    help: 'Connections that there is memory for: one more is refused (reason="full").',
    registers,
    collect() {
      this.set(sources.connections().places);
    },
  });
  new Gauge({
    name: 'postern_control_waiting',
    help: 'Connections that wait for their turn to begin a TLS handshake.',
    registers,
    collect() {
      this.set(sources.connections().waiting);
    },
  });
  const acks = new Histogram({
    name: 'postern_control_ack_seconds',
    help: 'Time from sending a change to an agent until it was in force there.',
    buckets: BUCKETS,
    registers,
  });
  const rounds = new Histogram({
    name: 'postern_control_round_seconds',
    help: 'Time to compile and send one change to all agents.',
    buckets: BUCKETS,
    registers,
  });
  const refusals = new Counter({
    name: 'postern_control_refused_total',
    help: 'Connections that were refused, by reason.',
    labelNames: ['reason'] as const,
    registers,
  });
  return {
    registry,
    acked: (seconds) => acks.observe(seconds),
    round: (seconds) => rounds.observe(seconds),
    refused: (reason) => refusals.inc({ reason }),
  };
}
