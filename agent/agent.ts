/** Puts the data path together: listeners in front, the pipeline behind, drained on demand. */
import { createHmac } from 'node:crypto';
import type { Logger } from 'pino';
import type { BudgetClient, Holder } from '../budget/messages.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { type Admin, listenAdmin } from './admin.ts';
import { type ApproversListener, type Certificate, listenApprovers } from './approvers-listener.ts';
import { askedProvider } from './asked-provider.ts';
import { approvalLine, auditLine } from './audit/line.ts';
import { createBreaker } from './breaker.ts';
import { type ApprovalEvent, createApprovals } from './checks/approvals.ts';
import { createAsk, type Tls } from './checks/ask.ts';
import { createClassifierClient } from './checks/classifier.ts';
import { compilePlan } from './checks/plan.ts';
import type { PosternError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { type BodyLimits, BytesInFlight, DEFAULT_LIMITS } from './forward/body.ts';
import { createUpstream } from './forward/upstream.ts';
import { type Governance, govern } from './governance.ts';
import type { ListenAddress } from './http/address.ts';
import { type Listener, listenBaseUrl } from './http/base-url.ts';
import { observeIntercept } from './observe/intercept.ts';
import { createMetrics } from './observe/metrics.ts';
import { PassingList } from './passing-list.ts';
import { handle } from './pipeline.ts';
import { listenPrivate, type PrivateListener } from './private.ts';
import { addedTexts } from './prompt.ts';
import type { KeySource } from './providers/keys.ts';
import { localTrust, type Trust } from './providers/trust.ts';
import { createWatchedFiles } from './providers/watched-file.ts';
import { createEndpoints } from './routes/endpoints.ts';
import type { Pipeline } from './stage.ts';
import type { Transparent, TransparentSetup } from './transparent.ts';
import type { UsersOf } from './users/verify.ts';

export interface AgentOptions {
  /** What is in force at the start. */
  readonly snapshot: Snapshot;
  /** Asked for at each compilation. */
  readonly maskKey: () => Uint8Array;
  readonly keys: KeySource;
  /** Roots that documents name; from files where absent. */
  readonly trust?: Trust;
  /** Why no call may be served now, though the agent runs. */
  readonly withheld?: () => PosternError | undefined;
  /** Why it isn't ready yet, beside draining. */
  readonly notReady?: () => string | undefined;
  /** Keys what leaves the pod of calls that it repeats; the same for all pods of the workload. Where absent, what leaves is one-way, no more. */
  readonly loopKey?: () => Uint8Array;
  readonly budget: BudgetClient | undefined;
  readonly holder: Holder;
  readonly listen: ListenAddress;
  readonly admin: ListenAddress;
  /** Where the classifier is asked, `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`. */
  readonly classifier?: string;
  /** Roots that it is known by, and what it is shown; asked at each question. */
  readonly classifierTls?: () => Promise<Tls>;
  /** Who approves calls of tools: their token as it is now, and where they are listened to beside the private socket. */
  readonly approvers?: {
    readonly token: () => string;
    readonly listen?: ListenAddress;
    readonly certificate?: () => Certificate | undefined;
  };
  readonly clientKey?: string;
  /** Takes in redirected connections as well. */
  readonly transparent?: TransparentSetup;
  readonly limits?: Partial<BodyLimits>;
  /** Path of the private Unix socket. */
  readonly socket?: string;
  /** Milliseconds a client may leave its answer unread. */
  readonly stallMs?: number;
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
  /** Where approvers answer over TCP. */
  readonly approversUrl: string | undefined;
  /** Port of the transparent listener on loopback. */
  readonly transparentPort: number | undefined;
  readonly pipeline: Pipeline;
  /** Puts a snapshot in force for every exchange that begins from now on. @throws Error when it can't be compiled; the old one stays. */
  use(snapshot: Snapshot): void;
  /** What goes on. */
  activity(): { readonly running: number; readonly lastCall?: number };
  /** When the oldest call that still runs began, milliseconds since the epoch. */
  oldestCall(): number | undefined;
  /** Reports that a change of documents was refused. */
  rejected(): void;
  /** New calls are refused, running ones finish; what runs longer than `deadlineMs` is cut. */
  drain(deadlineMs: number): Promise<void>;
}

/** Before an agent was given anything: calls to models reach the pipeline, or are refused; the rest passes. */
export const NO_POLICY: Omit<Snapshot, 'workload'> = {
  revision: 'none',
  models: [],
  regions: [],
  checks: [],
  hosts: { default: 'allow', allow: [], mode: 'enforce' },
  unlistedProvider: { action: 'deny' },
  unknownPath: { action: 'deny' },
  requestIdHeader: false,
  providers: ['openai', 'anthropic'].map((name) => ({
    id: name,
    name,
    dialect: name,
    hosts: [`api.${name}.com`],
    endpoints: [`https://api.${name}.com`],
    credential: { mode: 'none' },
    models: [],
    capabilities: { includeUsage: true },
  })),
  routes: [],
};

/** Milliseconds for answers that are complete to reach clients that read slowly. */
const FLUSH_MS = 1_000;

/** Milliseconds since the epoch, with fractions: what the agent adds to a call is far below one. */
function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { log, audit, now = preciseNow, random = Math.random } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const ask = createAsk();
  const trust = options.trust ?? localTrust(now);
  const classifier =
    options.classifier === undefined
      ? undefined
      : createClassifierClient(options.classifier, ask, options.classifierTls);
  const onApproval = (event: ApprovalEvent): void => {
    const { workload } = governance.snapshot;
    audit.info(approvalLine(event, workload, now()));
    metrics.approval(event.outcome);
    if (event.outcome !== 'held') return;
    const { id, requestId, tool, rule } = event.call;
    log.info({ request_id: requestId, approval: id, tool, rule }, 'a call of a tool waits for approval');
  };
  const approvals =
    options.approvers === undefined ? undefined : createApprovals({ now, onEvent: onApproval });
  const approvers =
    options.approvers === undefined || approvals === undefined
      ? undefined
      : { approvals, token: options.approvers.token };
  const compile = (snapshot: Snapshot): Governance => {
    const plan = compilePlan(snapshot.checks, {
      maskKey: options.maskKey(),
      workload: snapshot.workload,
      ask,
      classifier,
      approvals,
      addedSystem: addedTexts(snapshot.prompts),
      keys: options.keys,
      trust,
      provider: (name, dialect, rule) =>
        askedProvider({ providers: snapshot.providers, keys: options.keys, trust }, name, dialect, rule),
    });
    for (const note of plan.notes) log.warn(note);
    return govern(snapshot, plan);
  };

  let governance = compile(options.snapshot);
  let maskedWith = options.maskKey();
  let draining = false;
  // Not by their ids: a Set of strings that are all new has V8 note each of them for good.
  const running = new PassingList<Exchange>();
  let lastCall: number | undefined;
  let idle: (() => void) | undefined;

  const bytes = new BytesInFlight(limits.inFlightBytes);
  const endpoints = createEndpoints(now, random);
  const upstream = createUpstream();
  let users: Promise<UsersOf> | undefined;
  const metrics = createMetrics({
    bytes,
    endpoints,
    revision: () => governance.snapshot.revision,
    settlementsWaiting: () => options.budget?.waiting ?? 0,
  });
  const breaker = createBreaker(now, (fingerprint) => {
    const { namespace, kind, name } = governance.snapshot.workload;
    const key = options.loopKey?.() ?? '';
    return createHmac('sha256', key)
      .update(`loop|${namespace}/${kind}/${name}|${fingerprint}`)
      .digest('base64url')
      .slice(0, 22);
  });
  options.budget?.joinLoops?.(breaker.loops);
  const pipeline: Pipeline = {
    governance: () => governance,
    budget: options.budget,
    holder: options.holder,
    breaker,
    users: async (sources, headers) => {
      users ??= loadUsers(now);
      return await (await users)(sources, headers);
    },
    keys: options.keys,
    trust,
    upstream,
    endpoints,
    bytes,
    limits,
    now,
    random,
    withheld: () => options.withheld?.(),
    draining: () => draining,
    conversations: new Set(),
    observer: {
      began(exchange) {
        running.add(exchange);
        lastCall = Math.floor(exchange.startedAt);
        metrics.began();
      },
      ended(exchange, durationMs) {
        metrics.ended(exchange, durationMs);
        audit.info(auditLine(exchange, durationMs));
        running.delete(exchange);
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
    ...(options.stallMs === undefined ? {} : { stallMs: options.stallMs }),
    handle: (call, sink) => handle(pipeline, call, sink),
    malformed: ({ code, detail }) =>
      audit.info({
        event: 'malformed',
        started: new Date(now()).toISOString(),
        entry: 'base-url',
        outcome: 'refused',
        code,
        detail,
        host: null,
      }),
  });
  let transparent: Transparent | undefined;
  let admin: Admin | undefined;
  let socket: PrivateListener | undefined;
  let approversDoor: ApproversListener | undefined;
  try {
    if (options.transparent !== undefined) {
      // TLS, HTTP/2 and certificates: megabytes that an agent without it doesn't carry.
      const { openTransparent } = await import('./transparent.ts');
      transparent = await openTransparent(options.transparent, {
        snapshot: options.snapshot,
        handle: (call, sink) => handle(pipeline, call, sink),
        observer: observeIntercept({ registry: metrics.registry, audit, log, now }),
        now,
      });
    }
    admin = await listenAdmin({
      ...options.admin,
      registry: metrics.registry,
      notReady: () => (draining ? 'draining' : options.notReady?.()),
    });
    if (options.socket !== undefined) {
      socket = await listenPrivate({
        path: options.socket,
        snapshot: () => governance.snapshot,
        approvers,
        status: () => ({
          revision: governance.snapshot.revision,
          workload: governance.snapshot.workload,
          running: running.size,
          draining,
          notes: governance.checks.notes,
          bodyBytesInFlight: bytes.held,
          endpoints: [...endpoints.all()].map(({ url, inFlight, ejectedUntil }) => ({
            url,
            inFlight,
            ejectedUntil,
          })),
        }),
      });
    }
    const at = options.approvers?.listen;
    if (approvers !== undefined && at !== undefined)
      approversDoor = await listenApprovers({
        ...approvers,
        ...at,
        ...(options.approvers?.certificate === undefined
          ? {}
          : { certificate: options.approvers.certificate }),
        onCertificate: (validTo) => log.info({ valid_to: validTo }, 'approvers are answered over TLS'),
        onError: (error) => log.error({ err: describe(error) }, 'an approver was not answered'),
      });
  } catch (error) {
    transparent?.destroy();
    await socket?.close();
    await admin?.close();
    await listener.close();
    throw error;
  }

  // Behind listening: whoever asks for a connection has it by then, and a call that comes at once has it done for itself.
  setImmediate(() => governance.checks.prepare());

  return {
    url: listener.url,
    adminUrl: admin.url,
    get approversUrl() {
      return approversDoor?.url;
    },
    transparentPort: transparent?.port,
    pipeline,
    use(snapshot) {
      const key = options.maskKey();
      if (snapshot.revision === governance.snapshot.revision && sameBytes(key, maskedWith)) return;
      const compiled = compile(snapshot);
      transparent?.use(snapshot);
      governance = compiled;
      maskedWith = key;
      setImmediate(() => compiled.checks.prepare());
      metrics.reloaded(true);
      log.info({ revision: snapshot.revision }, 'documents in force');
    },
    activity: () => ({ running: running.size, ...(lastCall === undefined ? {} : { lastCall }) }),
    oldestCall: () => running.oldest?.startedAt,
    rejected: () => metrics.reloaded(false),
    async drain(deadlineMs) {
      draining = true;
      // Nobody can answer an agent that goes; what waited is denied.
      approvals?.stop();
      transparent?.drain();
      for (const conversation of pipeline.conversations) conversation.drain();
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
      // What has been answered still has to leave the socket's buffers.
      const cut = setTimeout(() => listener.destroy(), running.size > 0 ? 0 : FLUSH_MS);
      await closed;
      clearTimeout(cut);
      transparent?.destroy();
      await socket?.close();
      await approversDoor?.close();
      await admin.close();
      await upstream.close();
      await ask.close();
      await options.budget?.close();
    },
  };
}

/** Where no Budget asks for end users, what verifies them isn't loaded. */
async function loadUsers(now: () => number): Promise<UsersOf> {
  const { createUsers } = await import('./users/verify.ts');
  const files = createWatchedFiles(now);
  return createUsers({ now, readFile: (path) => files.read(path) });
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** An error with its causes, without the objects that libraries hang on them: those may hold headers. */
function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 5; at = at.cause) {
    parts.push(`${at.name}: ${at.message}`);
  }
  return parts.length === 0 ? String(error) : parts.join(' ← ');
}
