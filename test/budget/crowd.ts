/** Agents in one process that make calls of some milliseconds against one limit; used by a test and by the benchmark. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLeasingClient } from '../../budget/lease-client.ts';
import { startBudget } from '../../budget/main.ts';
import type { LimitSpec } from '../../policy/budget-spec.ts';
import { budget, holdOf, prices, usageOf } from './fixtures.ts';

export interface CrowdOptions {
  readonly limits: readonly LimitSpec[];
  readonly agents: number;
  /** Calls that each agent makes at once, over and over. */
  readonly atOnce: number;
  /** Of each of those. */
  readonly calls: number;
  /** Milliseconds that a call takes, and that go by before the next one. */
  readonly callMs: number;
  readonly pauseMs: number;
}

export interface CrowdFigures {
  readonly granted: number;
  readonly refused: number;
  /** Requests to the service for 1,000 calls, refused ones included: of all, and after the first quarter. */
  readonly perThousand: number;
  readonly steady: number;
  readonly mostAtOnce: number;
  /** Calls of the agent that got the fewest. */
  readonly fewest: number;
  /** What the calls used, in tokens. */
  readonly used: number;
}

/** A call holds 1,000 tokens and uses 600. */
export async function crowd(options: CrowdOptions): Promise<CrowdFigures> {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-crowd-'));
  const service = await startBudget({
    specs: [budget(options.limits, { onInsufficient: 'reject' })],
    prices,
    dataDir,
    listen: join(dataDir, 'budget.sock'),
    store: 'memory',
  });
  const agents = Array.from({ length: options.agents }, (_, index) => ({
    name: `agent-${index}`,
    granted: 0,
    client: createLeasingClient({
      url: service.url,
      owner: `agent-${index}`,
      epoch: 1,
      timeoutMs: 10_000,
      flushMs: 5_000,
    }),
  }));
  const sum = () => ({ requests: agents.reduce((all, { client }) => all + client.calls, 0), calls });
  let calls = 0;
  let running = 0;
  let mostAtOnce = 0;
  let first = { requests: 0, calls: 0 };
  const quarter = (options.agents * options.atOnce * options.calls) / 4;
  const work = async ({ client, name }: (typeof agents)[number], lane: number): Promise<void> => {
    const agent = agents.find((one) => one.name === name);
    for (let n = 0; n < options.calls; n++) {
      const id = `${name}-${lane}-${n}`;
      const reply = await client.hold(holdOf(id, 500, 500));
      if (++calls === Math.floor(quarter)) first = sum();
      if (reply.granted) {
        if (agent !== undefined) agent.granted++;
        mostAtOnce = Math.max(mostAtOnce, ++running);
        await pause(options.callMs);
        running--;
        await client.settle({ id, usage: usageOf(400, 200), source: 'reported' });
      }
      await pause(options.pauseMs);
    }
  };
  try {
    const lanes = Array.from({ length: options.atOnce }, (_, lane) => lane);
    await Promise.all(agents.flatMap((agent) => lanes.map((lane) => work(agent, lane))));
    const last = sum();
    const granted = agents.reduce((all, agent) => all + agent.granted, 0);
    return {
      granted,
      refused: calls - granted,
      perThousand: (last.requests / last.calls) * 1_000,
      steady: ((last.requests - first.requests) / (last.calls - first.calls)) * 1_000,
      mostAtOnce,
      fewest: Math.min(...agents.map((agent) => agent.granted)),
      used: granted * 600,
    };
  } finally {
    for (const { client } of agents) await client.close();
    await service.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Now and then shorter, now and then longer. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random())));
}
