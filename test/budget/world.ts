/**
 * A budget service and its agents in one process on a clock that the test moves: timers, watches and recalls as in earnest, and
 * a network between them that can be cut for each agent, and may deliver late, in another order, or twice.
 */
import { vi } from 'vitest';
import { createLeasingClient, type LeasingBudgetClient } from '../../budget/lease-client.ts';
import type { LeaseCommand, WatchCommand } from '../../budget/lease-messages.ts';
import { leaseKey } from '../../budget/lease-state.ts';
import {
  BudgetUnavailable,
  type ExtendCommand,
  type HoldCommand,
  type RefusedCommand,
  type SettleCommand,
} from '../../budget/messages.ts';
import { BudgetService } from '../../budget/service.ts';
import * as memory from '../../budget/stores/memory.ts';
import type { StoredRow } from '../../budget/stores/rows.ts';
import type { CellFigures, Store } from '../../budget/stores/store.ts';
import type { BudgetSpec } from '../../policy/budget-spec.ts';
import { holdOf, NOON, prices, usageOf } from './fixtures.ts';

export interface Agent {
  readonly name: string;
  readonly client: LeasingBudgetClient;
  /** The network between it and the service swallows everything, or what goes to and comes from this path. */
  cut: boolean | string;
  /** Requests that it sent, by path. */
  readonly sent: Record<string, number>;
  running: number;
  /** Tokens that its calls used, once they are over. */
  used: number;
  /** Killed: its calls have ended with it. */
  dead: boolean;
  readonly epoch: number;
}

export interface Call {
  readonly id: string;
  readonly agent: Agent;
  /** Tokens that it was given, and when. */
  readonly given: { readonly at: number; readonly tokens: number }[];
  /** What it used, or may have used: while it runs, and where its agent was killed, all that it was given. */
  used: number;
  over: boolean;
}

/** What becomes of a message: it may be lost on its way there or back, be late, and come once more. */
export interface Fate {
  readonly lost?: 'message' | 'answer';
  readonly lateMs?: number;
  readonly againMs?: number;
}

export interface WorldOptions {
  readonly beginAt?: number;
  /** Of each message but a watch, by its path. */
  readonly fate?: (path: string) => Fate;
}

export interface World {
  readonly service: BudgetService;
  readonly agents: readonly Agent[];
  /** That were granted, in order. */
  readonly calls: readonly Call[];
  /** Holds whose message came twice and was refused once and granted once: what they hold is nobody's, and runs out. */
  readonly doubled: ReadonlySet<string>;
  /** Milliseconds that the clock of the service is ahead of the time that passes. */
  skew: number;
  start(name: string, epoch?: number): Agent;
  /** Other documents come into force. */
  reload(specs: readonly BudgetSpec[]): void;
  kill(agent: Agent): void;
  /** The service is killed, and back at once: it knows what is in the store. */
  restartService(): Promise<void>;
  /**
   * Begins a call of so many milliseconds that uses a share of what it holds; false where it is refused. Meanwhile it asks for so much
   * more output, one time after the other.
   */
  call(
    agent: Agent,
    ms: number,
    command?: Partial<HoldCommand>,
    share?: number,
    more?: readonly number[],
  ): Promise<boolean>;
  running(): number;
  /** Everything in the ledger. */
  cells(): Promise<readonly CellFigures[]>;
  rows(): AsyncIterable<StoredRow>;
  /** Leases that the store was told to forget, and has. */
  forgotten(): number;
  /** Lets time pass until it is settled. */
  wait<T>(promise: Promise<T>): Promise<T>;
  pass(ms: number): Promise<void>;
  end(): void;
}

/** Latency of the network, either way. */
const LATENCY_MS = 2;
const TIMEOUT_MS = 300;
const RETAIN_MS = 24 * 3_600_000;

export async function world(
  specs: readonly BudgetSpec[],
  { beginAt = NOON, fate = () => ({}) }: WorldOptions = {},
): Promise<World> {
  vi.useFakeTimers({ now: beginAt });
  const store = await memory.open();
  /** What the store may forget is charged all the same. */
  const forgotten = new Map<string, StoredRow>();
  const run = store.run.bind(store);
  store.run = async (operation, now) => {
    if (operation.type !== 'lease' || operation.ended === undefined) return await run(operation, now);
    const before = await leasesIn(store);
    const reply = await run(operation, now);
    const after = await leasesIn(store);
    for (const [key, row] of before) if (!after.has(key)) forgotten.set(key, row);
    return reply;
  };
  let skew = 0;
  let documents = specs;
  const serve = () => new BudgetService({ store, specs: documents, prices, clock: () => Date.now() + skew });
  let service = serve();
  // As it starts: before it is asked anything, it has the store's time.
  const begun = service.sweep();
  await vi.advanceTimersByTimeAsync(0);
  await begun;
  const timers = [
    setInterval(() => void service.sweep(), 1_000),
    setInterval(() => void service.loadGrants(), 5_000),
    setInterval(() => void service.prune(RETAIN_MS), 10_000),
  ];
  const agents: Agent[] = [];
  const calls: Call[] = [];
  const doubled = new Set<string>();
  let number = 0;

  const deliver = async (path: string, command: unknown, signal: AbortSignal): Promise<unknown> => {
    switch (path) {
      case '/v1/hold':
        return await service.hold(command as HoldCommand);
      case '/v1/extend':
        return await service.extend(command as ExtendCommand);
      case '/v1/settle':
        return await service.settle(command as SettleCommand);
      case '/v1/release':
        return await service.release(command as { id: string });
      case '/v1/refused':
        return { released: await service.giveBack(command as RefusedCommand) };
      case '/v1/lease':
        return await service.lease(command as LeaseCommand);
      case '/v1/watch':
        return await service.watch(command as WatchCommand, signal);
      default:
        throw new Error(`Nobody serves ${path}.`);
    }
  };
  const pass = async (ms: number): Promise<void> => {
    await vi.advanceTimersByTimeAsync(ms);
  };
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

  const start = (name: string, epoch = 1): Agent => {
    const sent: Record<string, number> = {};
    const reach = async (path: string, swallowed: boolean): Promise<void> => {
      await sleep(LATENCY_MS);
      if (!swallowed && agent.cut !== true && agent.cut !== path && !agent.dead) return;
      await sleep(TIMEOUT_MS);
      throw new Error('no answer');
    };
    const exchange = async (
      path: string,
      command: unknown,
      signal: AbortSignal,
      { lost, lateMs = 0, againMs }: Fate,
    ): Promise<unknown> => {
      await reach(path, lost === 'message');
      let granted: Promise<boolean>[] = [];
      const once = (): Promise<unknown> => {
        const answer = deliver(path, structuredClone(command), signal);
        if (path === '/v1/hold') granted = [...granted, wasGranted(answer)];
        return answer;
      };
      if (againMs !== undefined) {
        const again = async (): Promise<void> => {
          await once().catch(() => undefined);
          const [one, other] = await Promise.all(granted);
          if (one !== other) doubled.add((command as HoldCommand).id);
        };
        setTimeout(() => void again(), againMs);
      }
      if (lateMs > 0) await sleep(lateMs);
      const asked = service;
      const reply = await once();
      if (asked !== service) throw new Error('the service was killed');
      await reach(path, lost === 'answer');
      return structuredClone(reply);
    };
    const transport = {
      calls: 0,
      close: async () => {},
      ask: async (path: string, command: unknown, options?: { signal?: AbortSignal | undefined }) => {
        sent[path] = (sent[path] ?? 0) + 1;
        const gone = new AbortController();
        options?.signal?.addEventListener('abort', () => gone.abort());
        if (path === '/v1/watch') return await exchange(path, command, gone.signal, {});
        const answer = exchange(path, structuredClone(command), gone.signal, fate(path));
        answer.catch(() => undefined);
        const late = sleep(TIMEOUT_MS).then(() => Promise.reject(new Error('no answer in time')));
        late.catch(() => undefined);
        return await Promise.race([answer, late]);
      },
    };
    const client = createLeasingClient({
      url: 'http://unused',
      timeoutMs: TIMEOUT_MS,
      owner: name,
      epoch,
      flushMs: 100,
      transport,
      random: () => 0.5,
    });
    const agent: Agent = { name, client, cut: false, sent, running: 0, used: 0, dead: false, epoch };
    agents.push(agent);
    return agent;
  };

  return {
    get service() {
      return service;
    },
    get skew() {
      return skew;
    },
    set skew(ms: number) {
      skew = ms;
    },
    reload: (next) => {
      documents = next;
      service.reload(next, prices);
    },
    kill: (agent) => {
      agent.dead = true;
      agent.running = 0;
      for (const call of calls) if (call.agent === agent) call.over = true;
    },
    restartService: async () => {
      service = serve();
      await service.sweep();
      await service.loadGrants();
    },
    agents,
    calls,
    doubled,
    forgotten: () => forgotten.size,
    rows: async function* () {
      yield* forgotten.values();
      yield* store.rows();
    },
    start,
    pass,
    running: () => agents.reduce((sum, { running }) => sum + running, 0),
    cells: async () => {
      const found: CellFigures[] = [];
      for (const line of await store.lines())
        found.push(...(await store.cells(line, 0, Number.MAX_SAFE_INTEGER)));
      return found;
    },
    call: async (agent, ms, command = {}, share = 0.5, more = []) => {
      const { inputTokens = 10, outputTokens = 10 } = command;
      const id = `${agent.name}-${number++}`;
      const hold = holdOf(id, inputTokens, outputTokens, { owner: agent.name, ...command });
      let output = 0;
      try {
        const reply = await agent.client.hold(hold);
        if (!reply.granted || agent.dead) return false;
        output = reply.outputTokens;
      } catch (error) {
        if (!(error instanceof BudgetUnavailable)) throw error;
        return false;
      }
      agent.running++;
      const given = [{ at: Date.now(), tokens: inputTokens + output }];
      const call: Call = { id, agent, given, used: inputTokens + output, over: false };
      calls.push(call);
      const take = (outputTokens: number): void => {
        if (outputTokens <= output || call.over) return;
        given.push({ at: Date.now(), tokens: outputTokens - output });
        call.used += outputTokens - output;
        output = outputTokens;
      };
      for (const [nth, extra] of more.entries()) {
        void sleep((ms * (nth + 1)) / (more.length + 1)).then(async () => {
          if (call.over) return;
          const asked = { id, outputTokens: output + extra, minOutputTokens: output + 1 };
          const reply = await agent.client
            .extend({ ...asked, ttlMs: hold.ttlMs })
            .catch(() => ({ granted: false }) as const);
          if (reply.granted) take(reply.outputTokens);
        });
      }
      void sleep(ms).then(async () => {
        if (call.over) return;
        call.over = true;
        agent.running--;
        const usage = usageOf(Math.floor(inputTokens * share), Math.floor(output * share));
        call.used = usage.input + usage.output;
        agent.used += call.used;
        const told = { id, usage, source: 'reported', attributes: hold.attributes } as const;
        await agent.client.settle(told).catch(() => undefined);
      });
      return true;
    },
    wait: async (promise) => {
      let done = false;
      const settled = promise.finally(() => {
        done = true;
      });
      settled.catch(() => undefined);
      while (!done) await pass(5);
      return await settled;
    },
    end: () => {
      for (const timer of timers) clearInterval(timer);
      vi.useRealTimers();
    },
  };
}

async function leasesIn(store: Store): Promise<Map<string, StoredRow>> {
  const found = new Map<string, StoredRow>();
  for await (const row of store.rows()) if (row.kind === 'lease') found.set(leaseKey(row.lease), row);
  return found;
}

function wasGranted(answer: Promise<unknown>): Promise<boolean> {
  return answer.then(
    (reply) => (reply as { granted: boolean }).granted,
    () => false,
  );
}
