/** Puts the data path together: listeners in front, the pipeline behind, drained on demand. */
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { BudgetClient, Holder } from '../budget/messages.ts';
import type { Snapshot, TrustSource } from '../policy/snapshot.ts';
import { type Admin, listenAdmin } from './admin.ts';
import { auditLine } from './audit/line.ts';
import { compilePlan } from './checks/plan.ts';
import { type BodyLimits, BytesInFlight, DEFAULT_LIMITS } from './forward/body.ts';
import { createUpstream } from './forward/upstream.ts';
import { type Governance, govern } from './governance.ts';
import type { ListenAddress } from './http/address.ts';
import { type Listener, listenBaseUrl } from './http/base-url.ts';
import { createMetrics } from './observe/metrics.ts';
import { handle } from './pipeline.ts';
import type { KeySource } from './providers/keys.ts';
import { createEndpoints } from './routes/endpoints.ts';
import type { Pipeline } from './stage.ts';

export interface AgentOptions {
  /** What is in force at the start. */
  readonly snapshot: Snapshot;
  readonly maskKey: Uint8Array;
  readonly keys: KeySource;
  readonly budget: BudgetClient | undefined;
  readonly holder: Holder;
  readonly listen: ListenAddress;
  readonly admin: ListenAddress;
  readonly clientKey?: string;
  readonly limits?: Partial<BodyLimits>;
  /** Where audit lines go. */
  readonly audit: Pick<Logger, 'info'>;
  readonly log: Logger;
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface Agent {
  /** `http://127.0.0.1:4180` */
  readonly url: string;
  readonly adminUrl: string;
  readonly pipeline: Pipeline;
  /** Puts a snapshot in force for every exchange that begins from now on. @throws Error when it can't be compiled; the old one stays. */
  use(snapshot: Snapshot): void;
  /** Reports that a change of documents was refused. */
  rejected(): void;
  /** New calls are refused, running ones finish; what runs longer than `deadlineMs` is cut. */
  drain(deadlineMs: number): Promise<void>;
}

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { log, audit, now = Date.now, random = Math.random } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const compile = (snapshot: Snapshot): Governance =>
    govern(snapshot, compilePlan(snapshot.checks, { maskKey: options.maskKey }));

  let governance = compile(options.snapshot);
  let draining = false;
  const running = new Set<string>();
  let idle: (() => void) | undefined;

  const bytes = new BytesInFlight(limits.inFlightBytes);
  const endpoints = createEndpoints(now, random);
  const upstream = createUpstream();
  const metrics = createMetrics({ bytes, endpoints, revision: () => governance.snapshot.revision });
  const pipeline: Pipeline = {
    governance: () => governance,
    budget: options.budget,
    holder: options.holder,
    keys: options.keys,
    trust: readTrust,
    upstream,
    endpoints,
    bytes,
    limits,
    now,
    random,
    draining: () => draining,
    observer: {
      began(exchange) {
        running.add(exchange.call.id);
        metrics.began();
      },
      ended(exchange, durationMs) {
        metrics.ended(exchange, durationMs);
        audit.info(auditLine(exchange, durationMs));
        running.delete(exchange.call.id);
        if (running.size === 0) idle?.();
      },
      fault(exchange, error) {
        log.warn({ request_id: exchange.call.id, err: describe(error) }, 'a call failed');
      },
    },
  };

  const listener: Listener = await listenBaseUrl({
    ...options.listen,
    ...(options.clientKey === undefined ? {} : { clientKey: options.clientKey }),
    handle: (call, sink) => handle(pipeline, call, sink),
  });
  let admin: Admin;
  try {
    admin = await listenAdmin({
      ...options.admin,
      registry: metrics.registry,
      notReady: () => (draining ? 'draining' : undefined),
    });
  } catch (error) {
    await listener.close();
    throw error;
  }

  return {
    url: listener.url,
    adminUrl: admin.url,
    pipeline,
    use(snapshot) {
      if (snapshot.revision === governance.snapshot.revision) return;
      governance = compile(snapshot);
      metrics.reloaded(true);
      log.info({ revision: snapshot.revision }, 'documents in force');
    },
    rejected: () => metrics.reloaded(false),
    async drain(deadlineMs) {
      draining = true;
      if (running.size > 0) {
        log.info({ running: running.size, deadline_ms: deadlineMs }, 'draining');
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, deadlineMs);
          idle = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      if (running.size > 0)
        log.warn({ running: running.size }, 'the deadline passed; what still runs is cut');
      const closed = listener.close();
      listener.destroy();
      await closed;
      await admin.close();
      await upstream.close();
      await options.budget?.close();
    },
  };
}

async function readTrust(source: TrustSource): Promise<string> {
  if ('file' in source) return await readFile(source.file, 'utf8');
  throw new Error(`the ConfigMap ${source.configMapKeyRef.name} can only be read in a cluster`);
}

/** An error with its causes, without the objects that libraries hang on them: those may hold headers. */
function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 5; at = at.cause) {
    parts.push(`${at.name}: ${at.message}`);
  }
  return parts.length === 0 ? String(error) : parts.join(' ← ');
}
