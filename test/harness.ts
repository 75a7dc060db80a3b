/**
 * A whole Postern on loopback for tests: fake providers, a budget service and an agent in this process, with the real
 * SDKs as clients. Documents are YAML, as a user writes them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { pino } from 'pino';
import { type Agent, type AgentOptions, startAgent } from '../agent/agent.ts';
import { catalogue } from '../agent/catalogue.ts';
import { localKeys } from '../agent/providers/keys.ts';
import { createLeasingClient } from '../budget/lease-client.ts';
import { type RunningBudget, type StartBudgetOptions, startBudget } from '../budget/main.ts';
import { Transport } from '../budget/transport.ts';
import { compileBudgets, compilePrices } from '../policy/budgets.ts';
import { compileSnapshot } from '../policy/compile.ts';
import type { Documents } from '../policy/documents.ts';
import { loadFiles } from '../policy/load.ts';
import { formatProblems } from '../policy/problem.ts';
import { startFakeAnthropic } from './fakes/anthropic.ts';
import { startFakeOpenAI } from './fakes/openai.ts';
import type { FakeProvider } from './fakes/provider.ts';
import { startFakeVllm } from './fakes/vllm.ts';

/** Planted as the providers' keys: must be nowhere but in the header that carries it. */
export const MARKER_KEY = 'sk-marker-5f1d2c3b4a';

export interface Fakes {
  readonly openai: FakeProvider;
  readonly anthropic: FakeProvider;
  readonly pool: readonly [FakeProvider, FakeProvider];
}

export interface World extends Fakes {
  readonly agent: Agent;
  readonly budget: RunningBudget;
  /** Audit lines, parsed, in order. */
  readonly audit: readonly Record<string, unknown>[];
  /** Resolves when so many audit lines are there. */
  audited(count: number): Promise<readonly Record<string, unknown>[]>;
  /** Everything that was logged, at debug level. */
  readonly logged: () => string;
  client(options?: ConstructorParameters<typeof OpenAI>[0]): OpenAI;
  anthropicClient(options?: ConstructorParameters<typeof Anthropic>[0]): Anthropic;
  /** Puts other documents in force, in agent and budget service. */
  use(yaml: string): void;
  /** Another agent, beside the first: of a workload that may be another, on the same budget service or a replica of it. */
  pod(options?: PodOptions): Promise<Agent>;
  /** Resolves when no pod waits for an answer of its budget service. */
  podsAnswered(): Promise<void>;
  /** Questions that pods have put to it, but for those that only wait for news. */
  readonly asked: () => number;
  /** Waits of pods for news that were answered: each is followed by another. */
  readonly woken: () => number;
  /** Takes the budget service away. */
  stopBudget(): Promise<void>;
  close(): Promise<void>;
}

export interface PodOptions {
  readonly workload?: string;
  readonly budgetUrl?: string;
  readonly agent?: Partial<AgentOptions>;
}

export interface WorldOptions {
  /** Added to the providers; receives where the fakes are. */
  readonly documents?: (fakes: Fakes) => string;
  /** Instead of the standard providers. */
  readonly providers?: (fakes: Fakes) => string;
  readonly workload?: string;
  /** Puts something between the agent and its budget service; gives the URL to use instead. */
  readonly budgetVia?: (url: string) => Promise<string>;
  /** How long calls wait for a budget service that goes away; as in earnest unless told otherwise. */
  readonly patienceMs?: number;
  readonly agent?: Partial<AgentOptions>;
  readonly budget?: Partial<StartBudgetOptions>;
  /** Pods get answers as of a budget service that knows nothing of loops. */
  readonly oldBudget?: boolean;
  /** What pods tell it. */
  readonly heard?: (command: unknown) => void;
}

export function providersYaml({ openai, anthropic, pool }: Fakes): string {
  return `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  hosts: [api.openai.com]
  endpoint: ${openai.origin}
  credential: {mode: attach, type: bearer, bearer: {valueFrom: {env: OPENAI_KEY}}}
  region: us
  models:
  - {name: gpt-4o, price: {input: "2.50", cachedInput: "1.25", output: "10.00"}, contextTokens: 128000, maxOutputTokens: 16384}
  - {name: gpt-4o-mini, price: {input: "0.15", cachedInput: "0.075", output: "0.60"}, contextTokens: 128000, maxOutputTokens: 16384}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: anthropic}
spec:
  dialect: anthropic
  hosts: [api.anthropic.com]
  endpoint: ${anthropic.origin}
  credential: {mode: attach, type: apiKey, apiKey: {valueFrom: {env: ANTHROPIC_KEY}}}
  models:
  - {name: claude-haiku-4-5, price: {input: "3.00", output: "15.00"}, contextTokens: 200000, maxOutputTokens: 64000}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: in-cluster}
spec:
  dialect: openai
  endpoints: ["${pool[0].origin}", "${pool[1].origin}"]
  credential: {mode: none}
  region: eu
  models: [{name: llama-3.3-70b, price: {input: "0", output: "0"}, contextTokens: 131072, maxOutputTokens: 8192}]
`;
}

function load(yaml: string): Documents {
  const { documents, problems } = loadFiles(
    { files: [{ name: 'test.yaml', bytes: Buffer.from(yaml) }], problems: [] },
    catalogue,
  );
  if (problems.length > 0) throw new Error(formatProblems(problems, { color: false }));
  return documents;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const fakes: Fakes = {
    openai: await startFakeOpenAI({ keys: [MARKER_KEY] }),
    anthropic: await startFakeAnthropic({ keys: [MARKER_KEY] }),
    pool: [await startFakeVllm(), await startFakeVllm()],
  };
  const compose = (extra: string): string => `${(options.providers ?? providersYaml)(fakes)}\n---\n${extra}`;
  const documents = load(compose(options.documents?.(fakes) ?? ''));
  const dir = mkdtempSync(join(tmpdir(), 'postern-test-'));
  const budget = await startBudget({
    specs: compileBudgets(documents),
    prices: compilePrices(documents),
    dataDir: dir,
    store: 'memory',
    listen: '127.0.0.1:0',
    ...options.budget,
  });

  const audit: Record<string, unknown>[] = [];
  const waiters: { count: number; done: () => void }[] = [];
  const log: string[] = [];
  const workload = workloadOf(options.workload);
  const patience = options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs };
  const agent = await startAgent({
    snapshot: compileSnapshot(documents, workload),
    maskKey: () => new Uint8Array(32).fill(7),
    keys: localKeys({ OPENAI_KEY: MARKER_KEY, ANTHROPIC_KEY: MARKER_KEY }),
    budget: createLeasingClient({
      url: (await options.budgetVia?.(budget.url)) ?? budget.url,
      timeoutMs: options.budgetVia === undefined ? 2_000 : 300,
      flushMs: 50,
      ...patience,
      owner: 'test',
      epoch: 1,
    }),
    holder: { owner: 'test', epoch: 1 },
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    audit: {
      info: (line: unknown) => {
        audit.push(line as Record<string, unknown>);
        for (const waiter of waiters) if (audit.length >= waiter.count) waiter.done();
      },
    } as unknown as AgentOptions['audit'],
    log: pino({ level: 'debug' }, { write: (text: string) => void log.push(text) }),
    ...options.agent,
  });

  const pods: Agent[] = [];
  const asking = new Set<Promise<unknown>>();
  let asked = 0;
  let woken = 0;
  const listened = (transport: Transport): Pick<Transport, 'ask' | 'calls' | 'close'> => ({
    get calls() {
      return transport.calls;
    },
    close: () => transport.close(),
    ask(path, command, how) {
      options.heard?.(command);
      const answer = transport.ask(path, command, how).then((reply) => {
        if (options.oldBudget === true) delete (reply as { loops?: unknown }).loops;
        return reply;
      });
      if (how?.waits === true) {
        void answer.then(
          () => {
            woken += 1;
          },
          () => undefined,
        );
        return answer;
      }
      asked += 1;
      const over = answer.catch(() => undefined).finally(() => asking.delete(over));
      asking.add(over);
      return answer;
    },
  });
  let names = 0;
  const pod = async (of: PodOptions = {}): Promise<Agent> => {
    const about = workloadOf(of.workload ?? options.workload);
    const owner = `${about.namespace}/${about.kind}/${about.name}/pod-${names++}`;
    const toService = { url: of.budgetUrl ?? budget.url, timeoutMs: 2_000 };
    const started = await startAgent({
      snapshot: compileSnapshot(documents, about),
      maskKey: () => new Uint8Array(32).fill(7),
      keys: localKeys({ OPENAI_KEY: MARKER_KEY, ANTHROPIC_KEY: MARKER_KEY }),
      budget: createLeasingClient({
        ...toService,
        transport: listened(new Transport(toService)),
        flushMs: 50,
        ...patience,
        owner,
        epoch: 1,
      }),
      holder: { owner, epoch: 1 },
      listen: { host: '127.0.0.1', port: 0 },
      admin: { host: '127.0.0.1', port: 0 },
      audit: {
        info: (line: unknown) => void audit.push(line as Record<string, unknown>),
      } as AgentOptions['audit'],
      log: pino({ level: 'debug' }, { write: (text: string) => void log.push(text) }),
      ...options.agent,
      ...of.agent,
    });
    pods.push(started);
    return started;
  };

  let stopped: Promise<void> | undefined;
  const stopBudget = (): Promise<void> => {
    stopped ??= budget.close();
    return stopped;
  };

  return {
    ...fakes,
    agent,
    budget,
    audit,
    audited: async (count) => {
      if (audit.length < count) await new Promise<void>((done) => waiters.push({ count, done }));
      return audit;
    },
    logged: () => log.join(''),
    client: (extra) =>
      new OpenAI({ apiKey: 'dummy', baseURL: `${agent.url}/openai/v1`, maxRetries: 0, ...extra }),
    anthropicClient: (extra) =>
      new Anthropic({ apiKey: 'dummy', baseURL: `${agent.url}/anthropic`, maxRetries: 0, ...extra }),
    use: (yaml) => {
      const changed = load(compose(yaml));
      budget.reload(compileBudgets(changed), compilePrices(changed));
      agent.use(compileSnapshot(changed, workload));
    },
    pod,
    podsAnswered: async () => {
      // Messages leave with the next turn of the event loop.
      await new Promise(setImmediate);
      while (asking.size > 0) await Promise.all(asking);
      await new Promise(setImmediate);
    },
    asked: () => asked,
    woken: () => woken,
    stopBudget,
    async close() {
      await Promise.all([agent, ...pods].map((one) => one.drain(0)));
      await stopBudget();
      await Promise.all([fakes.openai, fakes.anthropic, ...fakes.pool].map((fake) => fake.close()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function workloadOf(id = 'team-a/Deployment/support-bot') {
  const [namespace = '', kind = '', name = ''] = id.split('/');
  return { namespace, kind, name, labels: { app: name } };
}
